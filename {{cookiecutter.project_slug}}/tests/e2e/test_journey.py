"""From a file to a report, and everything a person may do on the way."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from openpyxl import Workbook, load_workbook
from playwright.sync_api import Route, expect
from pydantic import Field

from {{ cookiecutter.package_name }} import jobs, views
from {{ cookiecutter.package_name }}.report import Cell, Chart, Column, Report, Table

from .conftest import Arrives, Served
from .desk import Colour, Desk, Options
from .visitor import Visitor, csv

SALES = [("North", 3, 10.5), ("South", 4, 20.25), ("North", 5, 30.125), ("West", 6, -4.0)]


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    """A workbook as people have it: two sheets, one of them long enough to count."""
    book = Workbook()
    orders = book.active
    assert orders is not None
    orders.title = "Orders"
    orders.append(["Region", "Pieces", "Amount"])
    for number in range(400):
        orders.append(SALES[number % len(SALES)])
    notes = book.create_sheet("Notes")
    notes.append(["Remark"])
    notes.append(["=not a formula, we hope"])
    path = tmp_path / "sales 2024.xlsx"
    book.save(path)
    return path


def sums() -> dict[str, tuple[int, float]]:
    """Pieces and amount by region, added up here and not by the app."""
    totals: dict[str, tuple[int, float]] = {}
    for region, pieces, amount in SALES * 100:
        before = totals.get(region, (0, 0.0))
        totals[region] = (before[0] + pieces, before[1] + amount)
    return totals


def test_a_workbook_becomes_a_report(
    arrives: Arrives, served: Served, sales: Path, tmp_path: Path
) -> None:
    visitor = arrives(served.url)
    visitor.choose(sales)
    visitor.sees("ready")
    visitor.reads("sales 2024.xlsx")
    visitor.press("Make the report")
    visitor.sees("done")
    shown = visitor.table("Orders by Region")
    assert shown[0] == ["Region", "Rows", "Sum of Pieces", "Sum of Amount"]
    assert {row[0]: float(row[3].replace(",", "")) for row in shown[1:]} == {
        region: pytest.approx(amount, abs=0.005) for region, (_, amount) in sums().items()
    }
    download = visitor.download()
    assert download.suggested_filename == "sales 2024 report.xlsx"
    download.save_as(tmp_path / "report.xlsx")
    rows: list[Any] = list(load_workbook(tmp_path / "report.xlsx")["Orders by Region"].values)
    assert {row[0]: (row[2], row[3]) for row in rows[1:]} == sums()


def test_the_sample_shows_what_the_app_does(arrives: Arrives, served: Served) -> None:
    visitor = arrives(served.url)
    visitor.press("Try it with a sample")
    visitor.sees("ready")
    visitor.reads("sample")
    visitor.press("Make the report")
    visitor.sees("done")
    expect(visitor.page.get_by_role("table").first).to_be_visible()


def test_an_unreadable_file_gets_its_sentence(
    arrives: Arrives, served: Served, sales: Path
) -> None:
    whole = sales.read_bytes()
    sales.write_bytes(whole[: len(whole) // 2])
    visitor = arrives(served.url)
    visitor.choose(sales)
    visitor.press("Make the report")
    visitor.sees("failed")
    expect(visitor.heading()).to_have_text("The report could not be made")
    expect(visitor.page.locator("#reason")).to_contain_text("sales 2024.xlsx")


def test_a_failing_step_is_told_in_its_own_words(visitor: Visitor, desk: Desk) -> None:
    desk.step.error = "“sales.csv” has <b>no</b> amounts."
    visitor.upload()
    visitor.press("Make the report")
    visitor.sees("failed")
    visitor.reads("“sales.csv” has <b>no</b> amounts.")
    desk.step.error = ""
    visitor.press("Make the report")
    visitor.sees("done")


def test_a_refused_file_is_told_and_nothing_is_lost(visitor: Visitor) -> None:
    visitor.upload(csv("first.csv"))
    visitor.choose({"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"})
    expect(visitor.page.locator("#problem")).to_contain_text("a.pdf")
    expect(visitor.page.locator("#problem")).to_be_focused()
    visitor.sees("ready")
    visitor.reads("first.csv")
    visitor.press("Make the report")
    visitor.sees("done")
    expect(visitor.page.locator("#problem")).to_be_hidden()


def test_several_files_are_dropped_on_the_page(visitor: Visitor) -> None:
    visitor.drop("a.csv", "b.csv")
    visitor.sees("ready")
    expect(visitor.page.get_by_role("list", name="Uploaded files")).to_have_text(
        re.compile(r"a\.csv.*b\.csv")
    )


def test_what_is_dropped_where_no_place_for_it_is_shown_is_not_taken(
    visitor: Visitor, desk: Desk
) -> None:
    def is_told(way: str) -> None:
        state = visitor.page.locator("html").get_attribute("data-state") or ""
        visitor.drop("dropped.csv")
        visitor.reads(f"What you dropped was not taken. To use other files, press “{way}” first.")
        visitor.sees(state)

    visitor.upload(csv("first.csv"))
    is_told("Choose other files")
    desk.step.gate.clear()
    visitor.press("Make the report")
    visitor.reads("Opened the files.")
    is_told("Start over")
    desk.step.gate.set()
    visitor.sees("done")
    expect(visitor.page.locator("#problem")).to_be_hidden()
    is_told("Start over")
    visitor.press("Start over")
    visitor.sees("empty")
    visitor.drop("dropped.csv")
    visitor.sees("ready")
    visitor.reads("dropped.csv")


def test_a_dropped_folder_is_told(visitor: Visitor) -> None:
    """A browser gives a folder as a file that cannot be read."""
    visitor.page.evaluate("() => { Blob.prototype.arrayBuffer = () => Promise.reject(); }")
    visitor.drop("folder")
    visitor.reads("“folder” cannot be read.")
    visitor.sees("empty")


def test_an_upload_tells_its_bytes_and_can_be_cancelled(arrives: Arrives, served: Served) -> None:
    visitor = arrives(served.url)
    slow = visitor.page.context.new_cdp_session(visitor.page)
    slow.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 20_000}
    slow.send("Network.emulateNetworkConditions", limits)
    visitor.choose(csv(rows=200_000))
    visitor.sees("uploading")
    expect(visitor.page.locator("#bytes")).to_have_text(re.compile(r"^[\d.]+ kB of 2.5 MB$"))
    visitor.press("Cancel the upload")
    visitor.sees("empty")
    expect(visitor.heading()).to_be_focused()


def test_progress_is_shown_and_a_job_can_be_cancelled(visitor: Visitor, desk: Desk) -> None:
    desk.step.gate.clear()
    visitor.upload()
    visitor.press("Make the report")
    visitor.sees("running")
    visitor.reads("Reading the first rows")
    visitor.reads("Opened the files.")
    expect(visitor.page.get_by_role("progressbar", name="Progress")).to_have_attribute(
        "value", "22.5"
    )
    visitor.press("Cancel")
    visitor.sees("cancelled")
    expect(visitor.heading()).to_be_focused()
    desk.step.gate.set()
    visitor.press("Make the report")
    visitor.sees("done")


LOG = """() => {
    const { scrollTop, clientHeight, scrollHeight } = document.getElementById("log");
    return [scrollTop, scrollHeight - scrollTop - clientHeight < 8, String(getSelection())];
}"""
"""How far the log is scrolled, whether that is its end, and what is marked."""


def test_the_log_can_be_read_and_marked_while_it_grows(visitor: Visitor, desk: Desk) -> None:
    lines = [f"Line {n}." for n in range(100)]

    def tell(route: Route) -> None:
        route.fulfill(json={**route.fetch().json(), "logs": lines})

    def grow(last: str) -> None:
        lines[:] = [*lines[2:], last]
        expect(log).to_contain_text(last)

    desk.step.gate.clear()
    visitor.page.route("**/api/events", lambda route: route.fulfill(body=""))
    visitor.page.route("**/api/progress", tell)
    log = visitor.page.locator("#log")
    visitor.upload()
    visitor.press("Make the report")
    expect(log).to_contain_text("Line 99.")
    grow("At the end.")
    assert visitor.page.evaluate(LOG)[1:] == [True, ""]
    log.evaluate(
        "log => { log.scrollTop = 100; getSelection().selectAllChildren(log.parentElement);"
        "getSelection().setBaseAndExtent(log.childNodes[9], 0, log.childNodes[9], 5); }"
    )
    marked = visitor.page.evaluate(LOG)[2]
    grow("Above it.")
    scrolled, at_end, still_marked = visitor.page.evaluate(LOG)
    assert marked.startswith("Line")
    assert still_marked == marked
    assert not at_end
    assert scrolled <= 100
    expect(log).not_to_contain_text("Line 3.")
    assert log.inner_text().split("\n")[:2] == ["Line 4.", "Line 5."]


def test_nothing_of_a_job_is_left_to_be_told_when_it_has_ended(visitor: Visitor) -> None:
    visitor.make()
    expect(visitor.page.locator("#announce")).to_be_empty()


def test_starting_over_cancels_what_runs(visitor: Visitor, desk: Desk) -> None:
    desk.step.gate.clear()
    visitor.upload()
    visitor.press("Make the report")
    visitor.reads("Opened the files.")
    visitor.press("Start over")
    visitor.sees("empty")
    visitor.page.reload()
    visitor.sees("empty")
    visitor.upload(csv("second.csv"))
    visitor.reads("second.csv")


def test_a_report_shows_numbers_bars_and_what_is_left_out(visitor: Visitor) -> None:
    visitor.make()
    visitor.is_dressed()
    expect(visitor.heading()).to_have_text("Report on sales.csv")
    assert visitor.table("Amount by region") == [
        ["Region", "Amount", "Share", "Weight"],
        ["North", "1,234.50", "75%", "2.0\u00a0kg"],
        ["<b>South</b>", "411.50", "25%", "3.3\u00a0kg"],
        ["Returns", "-80.00", "", ""],
        ["Totals", "1,566.00", "", "2.6\u00a0kg"],
    ]
    assert visitor.table("Days")[1] == ["1", "Mar 1, 2024", "Yes"]
    visitor.reads("Showing 500 of 1,234 rows.")
    bars = visitor.page.get_by_role("figure", name="Amount").locator(".bar")
    widths = [bar.bounding_box() or {"width": 0} for bar in bars.all()]
    assert widths[0]["width"] == pytest.approx(3 * widths[1]["width"], rel=0.02)
    numbers = visitor.page.get_by_role("cell", name="1,234.50")
    expect(numbers).to_have_css("text-align", "end")


def test_a_report_begins_with_its_figures_and_warnings(visitor: Visitor) -> None:
    visitor.make()
    visitor.is_dressed()
    figures = visitor.page.locator("#figures > div").all_inner_texts()
    assert figures == ["Revenue\n1,566\u00a0EUR", "Best region\nNorth"]
    expect(visitor.page.get_by_role("list", name="Warnings")).to_have_text(
        "Three rows have no weight."
    )


def test_a_line_is_drawn_and_told_in_words(visitor: Visitor) -> None:
    visitor.make()
    visitor.is_dressed()
    figure = visitor.page.get_by_role("figure", name="Sold by month")
    expect(figure.get_by_role("listitem")).to_have_text(["Sold", "Sent back"])
    line = figure.get_by_role("img")
    expect(line).to_have_accessible_name(
        "Sold: from 12 (Jan) to 21 (Apr), lowest 12 (Jan), highest 30 (Feb). "
        "Sent back: from 3 (Jan) to -4 (Apr), lowest -4 (Apr), highest 5 (Mar)"
    )
    sold, alone = line.locator("path.tone-0").all()
    assert [(path.get_attribute("d") or "").count("M") for path in (sold, alone)] == [1, 1]
    box = sold.bounding_box() or {"width": 0, "height": 0}
    assert box["width"] > 100
    assert box["height"] > 20
    assert sold.evaluate("one => getComputedStyle(one).stroke") != "none"


def test_a_pie_has_its_slices_and_its_shares_as_text(visitor: Visitor) -> None:
    visitor.make()
    visitor.is_dressed()
    figure = visitor.page.get_by_role("figure", name="Pieces by kind")
    assert [text.split("\n") for text in figure.get_by_role("listitem").all_inner_texts()] == [
        ["Apples", "60", "60%"],
        ["Pears", "30", "30%"],
        ["<i>Plums</i>", "10", "10%"],
    ]
    slices = figure.locator("circle").evaluate_all(
        "all => all.map(e => [e.getAttribute('stroke-dasharray'), getComputedStyle(e).stroke])"
    )
    assert [dash for dash, _ in slices] == ["60 40", "30 70", "10 90"]
    assert len({stroke for _, stroke in slices}) == 3


DATES = [
    ("date", "2025-01-31", "Jan 31, 2025"),
    ("date", "2025-01-31T23:30:00", "Jan 31, 2025"),
    ("datetime", "2025-01-31", "Jan 31, 2025"),
    ("datetime", "2025-01-31T23:30:00", "Jan 31, 2025, 11:30 PM"),
    ("datetime", "2025-03-09T02:30:00.250000", "Mar 9, 2025, 2:30 AM"),
    ("datetime", "2025-01-31T23:30:00+01:00", "2025-01-31T23:30:00+01:00"),
    ("date", "Invoice 12", "Invoice 12"),
    ("date", "1", "1"),
    ("date", "2025", "2025"),
    ("date", "2025-02-30", "2025-02-30"),
    ("datetime", "2025-01", "2025-01"),
    ("text", "2025-01-31", "2025-01-31"),
]


def test_dates_are_shown_as_they_were_written(arrives: Arrives, desk: Desk) -> None:
    """The clocks of New York, which have no 2:30 on 9 March, change none of them."""
    page = arrives(desk.url, timezone_id="America/New_York").page
    shown = page.evaluate(
        """async (cells) => {
            const { format } = await import("/static/format.js");
            return cells.map(([kind, value]) => format(value, { kind, decimals: null, unit: "" }));
        }""",
        [[kind, value] for kind, value, _ in DATES],
    )
    assert [text.replace("\u202f", " ") for text in shown] == [text for _, _, text in DATES]


def test_an_axis_of_several_units_names_none(visitor: Visitor, desk: Desk) -> None:
    sold, paid = Column("Sold", "number", unit="kg"), Column("Paid", "number", unit="EUR")
    chart = Chart("Sold by month", "Month", ["Sold", "Paid"], "line")
    rows: list[list[Cell]] = [["Jan", 12, 30.5], ["Feb", 14, 28.0]]
    table = Table("Months", [Column("Month"), sold, paid], rows, chart)
    desk.step.report = Report("Units", [table])
    visitor.make()
    figure = visitor.page.get_by_role("figure", name="Sold by month")
    expect(figure.locator(".scale span")).to_have_text(["30.5", "12"])
    expect(figure.get_by_role("img")).to_have_accessible_name(re.compile(r"14\skg.*28\.00\sEUR"))


def test_options_can_be_changed_and_the_report_made_again(visitor: Visitor, desk: Desk) -> None:
    visitor.make()
    visitor.press("Change options")
    visitor.sees("ready")
    visitor.option("Largest").fill("7")
    visitor.press("Make the report")
    visitor.reads("Largest: 7.")
    assert [options.largest for options in desk.step.seen] == [10, 7]


def test_one_can_go_back_from_the_options_to_the_report(visitor: Visitor, desk: Desk) -> None:
    visitor.make()
    visitor.press("Change options")
    visitor.press("Back to the report")
    visitor.sees("done")
    expect(visitor.heading()).to_have_text("Report on sales.csv")
    expect(visitor.heading()).to_be_focused()
    assert len(desk.step.seen) == 1


def test_there_is_no_way_back_to_a_report_that_is_gone(visitor: Visitor, desk: Desk) -> None:
    visitor.make()
    visitor.press("Change options")
    desk.step.error = "These will not do."
    visitor.press("Make the report")
    visitor.sees("failed")
    expect(visitor.button("Back to the report")).to_have_count(0)
    visitor.upload(csv("newer.csv"))
    expect(visitor.button("Back to the report")).to_have_count(0)


def test_a_look_elsewhere_does_not_end_the_choosing_of_options(visitor: Visitor) -> None:
    visitor.make()
    visitor.press("Change options")
    with visitor.page.expect_response("**/api/status") as answered:
        visitor.page.evaluate("dispatchEvent(new Event('focus'))")
    answered.value.finished()
    visitor.page.evaluate("() => new Promise(requestAnimationFrame)")
    visitor.sees("ready")


def test_the_form_offers_what_the_options_say(visitor: Visitor, desk: Desk) -> None:
    visitor.upload()
    expect(visitor.option("Largest")).to_have_value("10")
    expect(visitor.option("Largest")).to_have_attribute("max", "50")
    expect(visitor.option("Label")).to_have_accessible_description(
        re.compile("Stands above the report.")
    )
    visitor.option("Label").fill("Spring")
    visitor.option("Limit").fill("2.5")
    visitor.option("Order").select_option("by name")
    visitor.option("Hidden sheets").uncheck()
    visitor.option("Since").fill("2024-02-29")
    visitor.option("Main Colour").select_option("blue")
    expect(visitor.option("Main Colour")).to_have_accessible_description("")
    sizes = visitor.page.get_by_role("group", name="Sizes")
    sizes.get_by_label("small").check()
    sizes.get_by_label("large").check()
    visitor.option("Column").fill("Region")
    visitor.press("Make the report")
    visitor.sees("done")
    [seen] = desk.step.seen
    assert (seen.label, seen.limit, seen.order) == ("Spring", 2.5, "by name")
    assert (seen.hidden, seen.since) == (False, date(2024, 2, 29))
    assert seen.main_colour is Colour.blue
    assert (seen.sizes, seen.column) == (["small", "large"], "Region")
    visitor.press("Change options")
    visitor.page.reload()
    visitor.sees("done")
    visitor.press("Change options")
    expect(sizes.get_by_role("checkbox", checked=True)).to_have_count(2)


def test_yes_no_or_no_answer(visitor: Visitor, desk: Desk) -> None:
    visitor.upload()
    expect(visitor.option("Certain").get_by_role("option")).to_have_text(["", "Yes", "No"])
    for answer in ("", "No", "Yes"):
        visitor.option("Certain").select_option(answer)
        visitor.press("Make the report")
        visitor.sees("done")
        visitor.press("Change options")
        visitor.sees("ready")
    assert [options.certain for options in desk.step.seen] == [None, False, True]


def test_columns_of_the_uploaded_tables_are_offered(visitor: Visitor) -> None:
    visitor.upload(csv("first.csv"))
    offered = visitor.page.locator("#option-column-list option")
    expect(offered).to_have_count(2)
    assert offered.evaluate_all("all => all.map(one => one.value)") == ["Region", "Amount"]
    visitor.press("Start over")
    visitor.sees("empty")
    visitor.upload({"name": "second.csv", "mimeType": "text/csv", "buffer": b"Town,Size\nA,1\n"})
    expect(offered.first).to_have_text("Town")


def test_files_that_are_chosen_while_it_starts_over_wait_until_it_has(visitor: Visitor) -> None:
    visitor.upload(csv("first.csv"))
    calls: list[str] = []
    visitor.page.on("request", lambda call: calls.append(urlsplit(call.url).path))
    visitor.page.on("response", lambda it: calls.append(f"answer: {urlsplit(it.url).path}"))
    reset = visitor.holds("**/api/reset")
    visitor.press("Start over")
    held = reset()
    visitor.choose(csv("second.csv"))
    visitor.page.wait_for_timeout(500)  # a page that does not wait has sent them by then
    held.continue_()
    expect(visitor.page.locator("#uploaded")).to_contain_text("second.csv")
    visitor.sees("ready")
    assert "/api/uploads" not in calls[: calls.index("answer: /api/reset")]


def test_too_many_ticks_are_told_at_their_group(visitor: Visitor, desk: Desk) -> None:
    visitor.upload()
    sizes = visitor.page.get_by_role("group", name="Sizes")
    for box in sizes.get_by_role("checkbox").all():
        box.check()
    visitor.press("Make the report")
    expect(sizes.get_by_role("checkbox").first).to_be_focused()
    expect(sizes).to_have_accessible_description(re.compile("No more than 2 can be chosen."))
    sizes.get_by_label("medium").uncheck()
    visitor.press("Make the report")
    visitor.sees("done")


def test_empty_fields_take_their_defaults(visitor: Visitor, desk: Desk) -> None:
    visitor.upload()
    visitor.option("Largest").fill("")
    visitor.press("Make the report")
    visitor.sees("done")
    assert desk.step.seen == [Options.model_validate({})]


class Asking(Options):
    """Options of which some must be given, and one has a default text."""

    unit: str = Field("kg", title="Unit")
    rows: int = Field(title="Rows")
    code: str = Field(min_length=1, title="Code")
    day: date = Field(title="Day")


def test_what_must_be_given_says_so_before_and_after(
    visitor: Visitor, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "Options", Asking)
    monkeypatch.setattr(jobs, "Options", Asking)
    visitor.upload()
    visitor.press("Make the report")
    for label, sentence in {
        "Rows (required)": "This must be given.",
        "Code (required)": "This must not be empty.",
        "Day (required)": "This must be given.",
    }.items():
        expect(visitor.option(label)).to_have_accessible_description(sentence)
    expect(visitor.option("Rows (required)")).to_be_focused()
    visitor.option("Rows (required)").fill("5")
    visitor.option("Code (required)").fill("A")
    visitor.option("Day (required)").fill("2025-01-31")
    visitor.press("Make the report")
    visitor.sees("done")


def test_a_placeholder_shows_what_an_empty_field_stands_for(
    visitor: Visitor, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plain(Options):
        unit: str = Field("kg", title="Unit")
        share: float | None = Field(0.5, title="Share")

    monkeypatch.setattr(views, "Options", Plain)
    monkeypatch.setattr(jobs, "Options", Plain)
    visitor.upload()
    expect(visitor.option("Largest")).to_have_attribute("placeholder", "10")
    for label in ("Unit", "Share"):  # empty, they are a text and no share at all
        expect(visitor.option(label)).to_have_attribute("placeholder", "")
        visitor.option(label).fill("")
    visitor.option("Largest").fill("")
    visitor.press("Make the report")
    visitor.sees("done")
    assert desk.step.seen == [Plain.model_validate({"unit": "", "share": None})]


def test_a_wrong_option_is_told_at_its_field(visitor: Visitor, desk: Desk) -> None:
    visitor.upload()
    visitor.option("Largest").fill("99")
    visitor.press("Make the report")
    field = visitor.option("Largest")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("50"))
    visitor.sees("ready")
    field.fill("9")
    visitor.press("Make the report")
    visitor.sees("done")
    assert [options.largest for options in desk.step.seen] == [9]


@pytest.mark.parametrize(
    ("name", "typed", "told"),
    [("Largest", "1e", "This is not a number."), ("Since", "02", "This is not a date.")],
)
def test_what_is_no_number_or_no_date_is_told_at_its_field(
    visitor: Visitor, desk: Desk, name: str, typed: str, told: str
) -> None:
    visitor.upload()
    field = visitor.option(name)
    field.fill("")
    field.press_sequentially(typed)
    visitor.press("Make the report")
    expect(field).to_be_focused()
    visitor.reads(told)
    assert desk.step.seen == []


def test_a_date_that_is_emptied_shows_its_default_again(visitor: Visitor, desk: Desk) -> None:
    visitor.upload()
    until = visitor.option("Until")
    for given, kept in (("2025-06-30", "2025-06-30"), ("", "2025-12-31")):
        until.fill(given)
        until.blur()
        expect(until).to_have_value(kept)
    visitor.press("Make the report")
    visitor.sees("done")
    assert [options.until for options in desk.step.seen] == [date(2025, 12, 31)]


def test_a_mistake_is_said_until_it_is_corrected_or_all_begins_anew(visitor: Visitor) -> None:
    visitor.upload()
    field = visitor.option("Largest")
    for begins_anew in (False, True):
        field.fill("99")
        visitor.press("Make the report")
        expect(field).to_have_attribute("aria-invalid", "true")
        if begins_anew:
            visitor.press("Start over")
            visitor.upload()
        else:
            field.fill("9")
        expect(field).not_to_have_attribute("aria-invalid", "true")
        expect(visitor.page.locator(".error").filter(has_text=re.compile("."))).to_have_count(0)


def test_two_browsers_see_nothing_of_each_other(arrives: Arrives, desk: Desk) -> None:
    one, other = arrives(desk.url), arrives(desk.url)
    one.upload(csv("one.csv"))
    other.upload(csv("other.csv"))
    one.press("Make the report")
    expect(one.heading()).to_have_text("Report on one.csv")
    other.page.reload()
    other.sees("ready")
    other.reads("other.csv")
    other.press("Start over")
    other.sees("empty")
    one.page.reload()
    expect(one.heading()).to_have_text("Report on one.csv")
