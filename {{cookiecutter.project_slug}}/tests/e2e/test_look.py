"""What the page looks like, and to whom: light, dark, narrow, by keyboard, by screen reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # has none
from playwright.sync_api import expect

from {{ cookiecutter.package_name }}.about import TITLE
from {{ cookiecutter.package_name }}.report import Chart, Column, Report, Table

from .conftest import Arrives, Served
from .desk import HOUR, Desk, payments
from .visitor import Visitor, csv

Scheme = Literal["light", "dark"]
PHONE = {"width": 360, "height": 740}


def every_state(visitor: Visitor, desk: Desk) -> Iterator[str]:
    """Walk through all states of the page, and stop in each, once it looks as it should."""
    for state in walk(visitor, desk):
        visitor.is_dressed()
        yield state


def walk(visitor: Visitor, desk: Desk) -> Iterator[str]:
    visitor.sees("empty")
    yield "empty"
    visitor.page.route("**/api/upload", lambda route: None)  # never answered
    visitor.choose(csv())
    visitor.sees("uploading")
    yield "uploading"
    visitor.press("Cancel the upload")
    visitor.page.unroute("**/api/upload")
    visitor.upload(csv("A rather long name of a file that somebody gave to their sales.csv"))
    yield "ready"
    visitor.option("Largest").fill("99")
    visitor.press("Make the report")
    expect(visitor.option("Largest")).to_be_focused()
    yield "ready, with a wrong option"
    visitor.option("Largest").fill("9")
    desk.step.gate.clear()
    visitor.press("Make the report")
    visitor.reads("Opened the files.")
    yield "running"
    visitor.press("Cancel")
    visitor.sees("cancelled")
    yield "cancelled"
    desk.step.gate.set()
    desk.step.error = "The file “sales.csv” is protected by a password."
    visitor.press("Make the report")
    visitor.sees("failed")
    yield "failed"
    desk.step.error = ""
    visitor.press("Make the report")
    visitor.sees("done")
    yield "done"
    visitor.press("Change options")
    desk.step.review = payments()
    visitor.press("Make the report")
    visitor.sees("review")
    yield "review"
    visitor.press("Make the report")
    visitor.reads("This must not be empty.")
    yield "review, with an empty cell"
    visitor.option("Category, row 1").select_option("Food")
    visitor.reads("1 value corrected.")
    visitor.press("Make the report")
    visitor.sees("done")
    yield "done, after a review"
    visitor.rests()
    desk.wait(HOUR - 60)
    visitor.page.evaluate("dispatchEvent(new Event('focus'))")
    visitor.reads("Your files are removed in")
    yield "done, and about to end"
    visitor.press("Keep them")
    expect(visitor.page.locator("#ending")).to_have_count(0)
    visitor.page.context.set_offline(True)
    visitor.reads("You are offline.")
    yield "offline"
    with visitor.page.expect_response("**/api/status"):
        visitor.page.context.set_offline(False)
    expect(visitor.page.locator("#connection")).to_be_empty()
    desk.turn(HOUR + 1)
    visitor.press("Download the workbook")
    visitor.sees("expired")
    yield "expired"
    visitor.page.reload()
    visitor.sees("expired")
    yield "expired, with no file held"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_state(arrives: Arrives, desk: Desk, scheme: Scheme) -> None:
    visitor = arrives(desk.url, color_scheme=scheme)
    for state in every_state(visitor, desk):
        found = Axe().run(visitor.page)
        assert found.violations_count == 0, f"{state}: {found.generate_report()}"


LONG = "How satisfied are you with the speed, and how with the price, of our service? " * 2
WORD = "Bank_statement_export_Northern_Region_2025_quarter_3_account_A.csv"


def wide_and_long() -> Report:
    """More rows and columns than a screen has room for, under headings of every length."""
    names = ["Row", LONG, WORD, *(f"Amount {n}" for n in range(12))]
    columns = [Column(name, "integer", "sum") for name in names]
    rows = [list(range(row, row + len(names))) for row in range(100)]
    return Report("Wide", [Table("Answers", columns, rows, Chart("Sum", "Row", [LONG, WORD]))])


def test_a_heading_is_shown_to_its_end(visitor: Visitor, desk: Desk) -> None:
    desk.step.report = wide_and_long()
    visitor.make()
    visitor.is_dressed()
    cut = "all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"
    for width in (1280, PHONE["width"]):
        visitor.page.set_viewport_size({"width": width, "height": 700})
        assert visitor.page.locator("th").evaluate_all(cut) == []


def test_a_report_is_printed_with_all_that_it_shows(arrives: Arrives, desk: Desk) -> None:
    desk.step.report = wide_and_long()
    visitor = arrives(desk.url, color_scheme="dark", viewport={"width": 720, "height": 1000})
    visitor.make()
    visitor.is_dressed()
    visitor.page.emulate_media(media="print", color_scheme="dark")
    box = visitor.page.locator(".scroll")
    cut = box.evaluate("e => [e.scrollWidth > innerWidth, e.scrollHeight > e.clientHeight]")
    assert cut == [False, False]
    expect(visitor.page.locator(".bar").first).to_have_css("print-color-adjust", "exact")
    expect(visitor.page.locator("thead th").first).to_have_css("position", "static")
    expect(visitor.page.locator("td").first).to_have_css("color", "rgb(28, 36, 34)")
    expect(visitor.page.get_by_role("button").filter(visible=True)).to_have_count(0)


def test_bars_and_their_legend_keep_their_colours(arrives: Arrives, desk: Desk) -> None:
    """Where a person has chosen all colours, they are still what tells one column from another."""
    desk.step.report = wide_and_long()
    visitor = arrives(desk.url, forced_colors="active")
    visitor.make()
    visitor.is_dressed()
    colours = "all => all.map(e => getComputedStyle(e).backgroundColor)"
    bars = visitor.page.locator(".bar").evaluate_all(colours)
    swatches = visitor.page.locator(".swatch").evaluate_all(colours)
    assert len({*swatches}) == 2
    assert {*bars} == {*swatches}


def test_dark_is_dark_and_light_is_light(arrives: Arrives, desk: Desk) -> None:
    def brightness(scheme: Scheme) -> float:
        page = arrives(desk.url, color_scheme=scheme).page
        found = page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        )
        return float(sum(found)) / 3

    assert brightness("dark") < 40
    assert brightness("light") > 215


@pytest.mark.parametrize("colours", ["none", "active"])
def test_a_bar_that_does_not_know_yet_does_not_look_full(
    arrives: Arrives, desk: Desk, colours: Literal["none", "active"]
) -> None:
    """Where nothing may move; and it has an edge where the app's colours are not shown."""
    visitor = arrives(desk.url, reduced_motion="reduce", forced_colors=colours)
    visitor.page.route("**/api/uploads", lambda route: None)  # never answered
    visitor.choose(csv())
    bar = visitor.page.get_by_role("progressbar", name="Upload")
    expect(bar).to_have_css("border-style", "solid")
    if colours == "none":
        expect(bar).to_have_css("background-image", re.compile("repeating-linear-gradient"))


CONTRAST = """(field) => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map((part) =>
            part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    const { color, opacity } = getComputedStyle(field, "::placeholder");
    const two = [light(color), light(getComputedStyle(field).backgroundColor)];
    return opacity * Math.max(...two) / Math.min(...two);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_placeholder_can_be_read(arrives: Arrives, desk: Desk, scheme: Scheme) -> None:
    visitor = arrives(desk.url, color_scheme=scheme)
    visitor.upload()
    visitor.is_dressed()
    assert visitor.option("Largest").evaluate(CONTRAST) >= 4.5


def test_a_phone_shows_every_state_without_scrolling_sideways(arrives: Arrives, desk: Desk) -> None:
    visitor = arrives(desk.url, viewport=PHONE, has_touch=True)
    for state in every_state(visitor, desk):
        width = visitor.page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], state
        for button in visitor.page.locator(
            "button:visible, select:visible, .drop:visible, .check label:visible"
        ).all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44, f"{state}: {button}"


def test_every_state_moves_the_focus_to_its_heading(visitor: Visitor, desk: Desk) -> None:
    for state in every_state(visitor, desk):
        if "," not in state and state not in ("empty", "offline"):
            expect(visitor.heading()).to_be_focused()
            assert visitor.heading().inner_text() in visitor.page.title()


def test_the_keyboard_is_enough(visitor: Visitor) -> None:
    keyboard = visitor.page.keyboard

    def tab_to(name: str, role: Literal["button", "spinbutton"] = "button") -> None:
        wanted = visitor.page.get_by_role(role, name=name, exact=True)
        for _ in range(20):
            keyboard.press("Tab")
            if wanted.evaluate("one => one === document.activeElement"):
                return
        pytest.fail(f"{name} cannot be reached")

    with visitor.page.expect_file_chooser() as chooser:
        keyboard.press("Tab")
        expect(visitor.page.locator("#files")).to_be_focused()
        keyboard.press("Enter")
    chooser.value.set_files([csv()])
    visitor.sees("ready")
    tab_to("Largest", "spinbutton")
    keyboard.press("ControlOrMeta+a")
    keyboard.type("7")
    keyboard.press("Enter")
    visitor.sees("done")
    visitor.reads("Largest: 7.")
    with visitor.page.expect_download():
        tab_to("Download the workbook")
        keyboard.press("Enter")
    tab_to("Start over")
    keyboard.press("Space")
    visitor.sees("empty")


def test_the_focus_can_be_seen(visitor: Visitor) -> None:
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.locator(".drop")).to_have_css("outline-style", "solid")
    visitor.page.keyboard.press("Tab")
    expect(visitor.button("Try it with a sample")).to_have_css("outline-style", "solid")


def test_a_page_may_listen_to_states_and_errors(visitor: Visitor) -> None:
    visitor.page.evaluate(
        """() => {
            window.heard = [];
            for (const type of ["silo:state", "silo:error"])
                document.addEventListener(type, ({ detail }) =>
                    window.heard.push(detail.state ?? detail.error.code));
        }"""
    )
    visitor.upload()
    visitor.option("Largest").fill("99")
    visitor.press("Make the report")
    expect(visitor.option("Largest")).to_be_focused()
    assert visitor.page.evaluate("window.heard") == ["uploading", "ready", "invalid_options"]


def test_the_first_visit_is_small(arrives: Arrives, served: Served) -> None:
    visitor = arrives(served.url)
    visitor.sees("empty")
    visitor.page.wait_for_load_state("networkidle")
    fetched = [r for r in visitor.requests if not r.url.startswith("data:")]
    assert len(fetched) <= 8
    sizes = [r.sizes() for r in fetched]
    ours = sum(s["responseBodySize"] + s["responseHeadersSize"] for s in sizes)
    assert ours - 2 * len(TITLE.encode()) < 30_000, "beside the name of the app"


def test_screenshots_for_the_readme(
    arrives: Arrives, shipped: Served, request: pytest.FixtureRequest
) -> None:
    folder = request.config.getoption("--screenshots", default=None)
    if folder is None:
        pytest.skip("only with --screenshots DIR")
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for scheme in schemes:
        size = {"width": 1200, "height": 900}
        visitor = arrives(shipped.url, color_scheme=scheme, viewport=size)
        visitor.press("Try it with a sample")
        visitor.press("Make the report")
        visitor.sees("done")
        visitor.page.screenshot(path=Path(folder) / f"page-{scheme}.png")
