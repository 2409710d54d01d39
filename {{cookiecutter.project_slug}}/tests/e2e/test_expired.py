"""The session ends in the middle of everything, and the work goes on where it was."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect
from support import Gate

from .conftest import Arrives, Served
from .desk import HOUR, Desk
from .visitor import HIDDEN, Visitor, csv

EXPIRED = "Your session has expired"
AGAIN = "Send these files again"
State = Callable[[Visitor, Desk], None]


def files_lie_there(visitor: Visitor, desk: Desk) -> None:
    """The page notices when it is looked at again."""
    visitor.upload()
    visitor.option("Largest").fill("7")
    desk.turn(HOUR + 1)
    visitor.page.evaluate("dispatchEvent(new Event('focus'))")


def processing_begins(visitor: Visitor, desk: Desk) -> None:
    visitor.upload()
    visitor.option("Largest").fill("7")
    desk.turn(HOUR + 1)
    visitor.press("Make the report")


def processing_goes_on(visitor: Visitor, desk: Desk) -> None:
    """Time cannot end a session whose job runs; a server that forgets can."""
    desk.step.gate.clear()
    visitor.upload()
    visitor.option("Largest").fill("7")
    visitor.press("Make the report")
    visitor.reads("Opened the files.")
    desk.store.destroy(visitor.session)
    desk.step.gate.set()


def the_report_is_viewed(visitor: Visitor, desk: Desk) -> None:
    visitor.upload()
    visitor.option("Largest").fill("7")
    visitor.press("Make the report")
    visitor.sees("done")
    desk.turn(HOUR + 1)
    visitor.page.evaluate("dispatchEvent(new Event('focus'))")


def the_report_is_downloaded(visitor: Visitor, desk: Desk) -> None:
    visitor.upload()
    visitor.option("Largest").fill("7")
    visitor.press("Make the report")
    visitor.sees("done")
    desk.turn(HOUR + 1)
    visitor.press("Download the workbook")


WORKING = [processing_begins, processing_goes_on, the_report_is_viewed, the_report_is_downloaded]


@pytest.mark.parametrize("state", WORKING)
def test_held_files_are_sent_again_and_the_work_goes_on(
    visitor: Visitor, desk: Desk, state: State
) -> None:
    state(visitor, desk)
    visitor.sees("expired")
    expect(visitor.heading()).to_have_text(EXPIRED)
    expect(visitor.heading()).to_be_focused()
    visitor.press(AGAIN)
    visitor.sees("done")
    visitor.reads("Largest: 7.")
    assert visitor.download().suggested_filename == "sales report.xlsx"


@pytest.mark.parametrize("state", WORKING)
def test_after_a_reload_the_files_are_asked_for_and_the_work_goes_on(
    visitor: Visitor, desk: Desk, state: State
) -> None:
    state(visitor, desk)
    visitor.sees("expired")
    visitor.page.reload()
    visitor.sees("expired")
    expect(visitor.button(AGAIN)).to_be_hidden()
    expect(visitor.page.get_by_role("list", name="Files to send again")).to_contain_text(
        "sales.csv"
    )
    visitor.choose(csv())
    visitor.sees("done")
    visitor.reads("Largest: 7.")


def test_files_that_lay_there_are_sent_again_with_their_options(
    visitor: Visitor, desk: Desk
) -> None:
    files_lie_there(visitor, desk)
    visitor.sees("expired")
    visitor.press(AGAIN)
    visitor.sees("ready")
    expect(visitor.option("Largest")).to_have_value("7")
    visitor.press("Make the report")
    visitor.reads("Largest: 7.")


def test_files_that_lay_there_are_asked_for_after_a_reload(visitor: Visitor, desk: Desk) -> None:
    files_lie_there(visitor, desk)
    visitor.sees("expired")
    visitor.page.reload()
    visitor.sees("expired")
    visitor.choose(csv())
    visitor.sees("ready")
    expect(visitor.option("Largest")).to_have_value("7")


def test_a_session_that_ended_while_the_page_was_closed_is_told(
    arrives: Arrives, desk: Desk
) -> None:
    first = arrives(desk.url)
    first.make()
    context = first.page.context
    first.page.close()
    desk.turn(HOUR + 1)
    later = arrives(desk.url, context)
    later.sees("expired")
    expect(later.heading()).to_have_text(EXPIRED)
    later.choose(csv())
    later.sees("done")


def test_a_session_that_the_server_never_knew_counts_as_expired(visitor: Visitor) -> None:
    """As after a change of the server's secret."""
    visitor.make()
    visitor.page.evaluate(
        """() => {
            const kept = JSON.parse(localStorage.getItem("silo:/api"));
            localStorage.setItem("silo:/api", JSON.stringify({ ...kept, session: "unknown" }));
        }"""
    )
    visitor.page.reload()
    visitor.sees("expired")
    visitor.choose(csv())
    visitor.sees("done")
    assert visitor.session != "unknown"


def test_an_idle_page_finds_out_by_itself(visitor: Visitor, desk: Desk) -> None:
    visitor.page.clock.install()
    visitor.upload()
    an_hour_passes(visitor, desk)
    visitor.sees("expired")
    visitor.press(AGAIN)
    visitor.sees("ready")
    visitor.press("Make the report")
    visitor.sees("done")
    an_hour_passes(visitor, desk)
    visitor.sees("expired")
    visitor.press(AGAIN)
    visitor.sees("done")


def an_hour_passes(visitor: Visitor, desk: Desk) -> None:
    """For the server and for the browser, where nobody does anything."""
    desk.turn(HOUR + 1)
    visitor.page.clock.fast_forward(int(HOUR + 1) * 1000)


def time_passes(visitor: Visitor, desk: Desk, seconds: float) -> None:
    """For the server and for the browser; the page looks how things stand."""
    desk.wait(seconds)
    with visitor.page.expect_response("**/api/status") as answered:
        visitor.page.clock.fast_forward(int(seconds * 1000))
    answered.value.finished()


def test_before_the_session_ends_the_files_can_be_kept(visitor: Visitor, desk: Desk) -> None:
    visitor.page.clock.install()
    line, told = visitor.page.locator("#ending"), visitor.page.locator("#announce")
    visitor.upload()
    visitor.rests()
    visitor.option("Label").focus()
    for _ in range(2):
        time_passes(visitor, desk, HOUR - 100)
        expect(line).to_contain_text("Your files are removed in 2 minutes.")
        expect(told).to_have_text("Your files are removed in 2 minutes.")
        expect(visitor.option("Label")).to_be_focused()
        time_passes(visitor, desk, 60)
        expect(line).to_contain_text("in 30 seconds.")
        expect(told).to_have_text("Your files are removed in 2 minutes.")
        visitor.press("Keep them")
        expect(line).to_have_count(0)
        expect(told).to_have_text("Your files are kept.")
        expect(visitor.heading()).to_be_focused()
        visitor.option("Label").focus()
    time_passes(visitor, desk, HOUR - 100)
    expect(line).to_be_visible()
    desk.turn(HOUR)
    visitor.page.clock.fast_forward(60_000)
    visitor.sees("expired")
    expect(line).to_be_hidden()


def test_what_says_so_covers_nothing_that_has_the_focus(visitor: Visitor, desk: Desk) -> None:
    visitor.page.clock.install()
    visitor.page.set_viewport_size({"width": 360, "height": 900})
    visitor.upload()
    visitor.rests()
    visitor.option("Label").focus()
    box = visitor.option("Label").bounding_box()
    assert box
    visitor.page.set_viewport_size({"width": 360, "height": int(box["y"] + box["height"]) + 8})
    assert visitor.page.evaluate(HIDDEN) == []
    time_passes(visitor, desk, HOUR - 100)
    expect(visitor.page.locator("#ending")).to_be_visible()
    expect(visitor.option("Label")).to_be_focused()
    assert visitor.page.evaluate(HIDDEN) == []


def test_files_that_one_tab_keeps_are_kept_in_the_other(arrives: Arrives, desk: Desk) -> None:
    one = arrives(desk.url)
    one.page.clock.install()
    one.make()
    other = arrives(desk.url, one.page.context)
    other.sees("done")
    one.rests()
    other.rests()
    desk.wait(HOUR - 60)
    other.page.evaluate("dispatchEvent(new Event('focus'))")
    one.page.evaluate("dispatchEvent(new Event('focus'))")
    expect(one.page.locator("#ending")).to_be_visible()
    other.press("Keep them")
    expect(other.page.locator("#ending")).to_have_count(0)
    one.page.clock.fast_forward(11_000)
    expect(one.page.locator("#ending")).to_have_count(0)


def test_no_end_is_told_that_something_else_has_put_off(visitor: Visitor, desk: Desk) -> None:
    visitor.page.clock.install()
    visitor.make()
    visitor.rests()
    desk.wait(HOUR - 60)
    headers = {"X-Session-ID": visitor.session}
    assert visitor.page.request.get(f"{desk.url}api/progress", headers=headers).ok
    with visitor.page.expect_response("**/api/status") as answered:
        visitor.page.clock.fast_forward(int(HOUR - 60) * 1000)
    answered.value.finished()
    visitor.page.evaluate("() => fetch('healthz')")
    assert not visitor.calls(["static/ending.js"])
    expect(visitor.page.locator("#ending")).to_have_count(0)


def test_an_empty_page_has_nothing_to_lose(visitor: Visitor, desk: Desk) -> None:
    visitor.upload()
    visitor.press("Start over")
    visitor.sees("empty")
    desk.turn(HOUR + 1)
    visitor.page.reload()
    visitor.sees("empty")
    visitor.make()


def test_a_refused_upload_does_not_forget_what_was_being_done(visitor: Visitor, desk: Desk) -> None:
    visitor.make()
    visitor.choose({"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"})
    visitor.reads("a.pdf")
    desk.turn(HOUR + 1)
    visitor.press("Download the workbook")
    visitor.press(AGAIN)
    visitor.sees("done")


def test_new_files_begin_new_work(visitor: Visitor, desk: Desk) -> None:
    """What was being done with the files before is not done with these."""
    visitor.make()
    visitor.choose(csv("newer.csv"))
    visitor.sees("ready")
    desk.turn(HOUR + 1)
    visitor.page.evaluate("dispatchEvent(new Event('focus'))")
    visitor.press(AGAIN)
    visitor.sees("ready")
    assert len(desk.step.seen) == 1


def test_starting_over_is_another_way_on(visitor: Visitor, desk: Desk) -> None:
    the_report_is_viewed(visitor, desk)
    visitor.sees("expired")
    visitor.press("Start over")
    visitor.sees("empty")
    visitor.upload()
    expect(visitor.option("Largest")).to_have_value("7")


def test_other_files_may_be_sent_instead(visitor: Visitor, desk: Desk) -> None:
    the_report_is_viewed(visitor, desk)
    visitor.sees("expired")
    visitor.choose(csv("newer.csv"))
    visitor.sees("done")
    expect(visitor.heading()).to_have_text("Report on newer.csv")


def test_a_file_that_is_no_longer_there_is_asked_for(
    visitor: Visitor, desk: Desk, tmp_path: Path
) -> None:
    path = tmp_path / "moved.csv"
    path.write_text("A,B\n1,2\n")
    visitor.choose(path)
    visitor.sees("ready")
    desk.turn(HOUR + 1)
    path.unlink()
    visitor.press("Make the report")
    visitor.sees("expired")
    visitor.press(AGAIN)
    expect(visitor.page.locator("#problem")).to_have_text(re.compile("“moved.csv” cannot be read."))
    visitor.choose(csv())
    visitor.sees("done")


def test_a_server_that_forgot_everything_gets_the_files_again(
    arrives: Arrives, forgetful: Served, gate: Gate
) -> None:
    gate.shut()
    visitor = arrives(forgetful.url)
    visitor.loses_server = True
    visitor.upload()
    visitor.press("Make the report")
    visitor.reads("Waiting at the gate")
    forgetful.stop()
    gate.open()
    visitor.reads("The server does not answer; trying again…")
    forgetful.start()
    visitor.sees("expired")
    expect(visitor.page.locator("#connection")).to_be_empty()
    visitor.press(AGAIN)
    visitor.sees("done")
