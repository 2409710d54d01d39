"""Lost connections, reloads, second visits and second tabs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Route, expect
from support import Gate, eventually

from .conftest import Arrives, Served
from .desk import Desk
from .visitor import Visitor, csv

GONE = "The server does not answer; trying again…"


NOT_YET = "This page is not here in full yet."


@pytest.mark.parametrize("scripts", [True, False])
def test_a_page_that_stays_without_its_scripts_says_so(
    new_context: Callable[..., BrowserContext], desk: Desk, scripts: bool
) -> None:
    page = new_context(java_script_enabled=scripts).new_page()
    page.route("**/static/api.js", lambda route: route.abort())
    page.goto(desk.url)
    expect(page.locator("h1")).to_be_visible()
    said = page.get_by_text(NOT_YET)
    expect(said).to_have_css("animation-delay", "4s")
    expect(said).to_be_visible()


def test_a_page_that_has_come_says_nothing_of_the_kind(visitor: Visitor) -> None:
    visitor.sees("empty")
    expect(visitor.page.get_by_text(NOT_YET)).to_be_hidden()


def test_being_offline_is_said_and_passes(visitor: Visitor) -> None:
    visitor.loses_server = True
    visitor.upload()
    # An answer that is still on its way would tell that the server is there.
    expect(visitor.page.locator("datalist option").first).to_be_attached()
    visitor.page.context.set_offline(True)
    visitor.reads("You are offline.")
    visitor.press("Make the report")
    visitor.page.context.set_offline(False)
    visitor.sees("done")
    expect(visitor.page.locator("#connection")).to_be_empty()


def test_being_offline_passes_on_a_page_that_was_not_used_yet(visitor: Visitor) -> None:
    visitor.page.context.set_offline(True)
    visitor.reads("You are offline.")
    visitor.page.context.set_offline(False)
    expect(visitor.page.locator("#connection")).to_be_empty()


def test_an_upload_cancelled_while_the_server_is_away_leaves_no_complaint(
    visitor: Visitor, desk: Desk
) -> None:
    visitor.loses_server = True
    desk.close()
    visitor.choose(csv())
    visitor.reads(GONE)
    visitor.press("Cancel the upload")
    visitor.sees("empty")
    desk.open()
    expect(visitor.page.locator("#connection")).to_be_empty()


def test_a_server_that_is_away_is_waited_for(visitor: Visitor, desk: Desk) -> None:
    visitor.loses_server = True
    visitor.upload()
    desk.close()
    visitor.press("Make the report")
    visitor.reads(GONE)
    desk.open()
    visitor.sees("done")
    expect(visitor.page.locator("#connection")).to_be_empty()


def test_the_sample_waits_for_a_server_that_is_away(visitor: Visitor, desk: Desk) -> None:
    visitor.loses_server = True
    desk.close()
    visitor.press("Try it with a sample")
    visitor.reads(GONE)
    desk.open()
    visitor.sees("ready")
    visitor.reads("sample")


def test_an_upload_waits_for_a_server_that_is_away(visitor: Visitor, desk: Desk) -> None:
    visitor.loses_server = True
    desk.close()
    visitor.choose(csv())
    visitor.reads(GONE)
    visitor.sees("uploading")
    desk.open()
    visitor.sees("ready")


def test_an_upload_that_breaks_off_for_good_is_told(visitor: Visitor) -> None:
    visitor.loses_server = True

    def broken(route: Route) -> None:
        if route.request.method == "PATCH":
            route.abort()
        else:
            route.continue_()

    visitor.page.route("**/api/uploads/*", broken)
    visitor.choose(csv())
    visitor.reads("The upload broke off three times.")
    visitor.sees("empty")


def test_a_busy_server_is_asked_again_when_it_says(visitor: Visitor) -> None:
    def busy(route: Route) -> None:
        route.fulfill(status=503, headers={"Retry-After": "1"})

    visitor.loses_server = True
    visitor.upload()
    visitor.page.route("**/api/process", busy, times=1)
    visitor.press("Make the report")
    visitor.sees("done")


def refuse(visitor: Visitor, call: str, code: str, detail: str) -> None:
    """Answer the next such call with a problem, in the place of the server."""
    problem = {"status": 409, "error": code, "detail": detail}

    def answer(route: Route) -> None:
        route.fulfill(status=409, content_type="application/problem+json", json=problem)

    visitor.page.route(f"**/api/{call}", answer, times=1)


def test_a_start_over_that_is_refused_leaves_the_job_in_sight(visitor: Visitor, desk: Desk) -> None:
    visitor.upload()
    desk.step.gate.clear()
    visitor.press("Make the report")
    visitor.reads("Opened the files.")
    refuse(visitor, "reset", "busy", "The session is busy.")
    visitor.press("Start over")
    visitor.reads("The session is busy.")
    desk.step.gate.set()
    visitor.sees("done")


def test_an_error_of_the_server_is_shown_as_it_says(visitor: Visitor) -> None:
    visitor.upload()
    refuse(visitor, "process", "busy", "The <i>disk</i> is full.")
    visitor.press("Make the report")
    visitor.reads("The <i>disk</i> is full.")
    visitor.sees("ready")


def test_a_silent_stream_is_replaced_by_asking(visitor: Visitor, desk: Desk) -> None:
    desk.step.gate.clear()
    visitor.page.route("**/api/events", lambda route: route.fulfill(body=""))
    visitor.upload()
    visitor.press("Make the report")
    visitor.reads("Opened the files.")
    assert visitor.calls(["api/progress"])
    desk.step.gate.set()
    visitor.sees("done")


def test_a_broken_stream_goes_on_where_it_broke(visitor: Visitor, desk: Desk) -> None:
    told: list[str] = []

    def part(route: Route) -> None:
        """The first line of the job's log under its true id, and a hint to come back at once."""
        headers = {"X-Session-ID": route.request.headers["x-session-id"]}
        job = visitor.page.request.get(f"{desk.url}api/progress", headers=headers).json()
        told.append(f"{eventually(lambda: desk.lines(job['id']))[0][0]}.0")
        body = f"event: log\nid: {told[0]}\ndata: {json.dumps({'line': 'First.'})}\n\n"
        stale = json.dumps({**job, "message": "Not long ago"})
        body += f"event: progress\nid: {told[0]}\ndata: {stale}\n\nretry: 50\n\n"
        route.fulfill(body=body)

    desk.step.gate.clear()
    visitor.page.route("**/api/events", part, times=1)
    visitor.upload()
    visitor.press("Make the report")
    visitor.reads("First.")
    visitor.reads("Reading the first rows")
    expect(visitor.page.locator("#log")).to_have_text("First.")
    assert visitor.calls(["api/events"])[1].headers["last-event-id"] == told[0]
    desk.step.gate.set()
    visitor.sees("done")


@pytest.mark.parametrize("status", [429, 503])
def test_while_there_is_no_stream_to_spare_the_page_asks(
    visitor: Visitor, desk: Desk, status: int
) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=status, headers={"Retry-After": "2"}, json={"status": status})

    visitor.loses_server = True
    desk.step.gate.clear()
    visitor.page.route("**/api/events", refuse)
    visitor.upload()
    visitor.press("Make the report")
    visitor.reads("Opened the files.")
    assert visitor.calls(["api/progress"])
    expect(visitor.page.locator("#connection")).to_be_empty()
    desk.step.gate.set()
    visitor.sees("done")


def test_what_else_a_stream_carries_is_passed_to_the_page(visitor: Visitor, desk: Desk) -> None:
    desk.step.gate.clear()
    visitor.upload()
    visitor.page.evaluate(
        """() => document.addEventListener("silo:event", ({ detail }) =>
            (document.title = `${detail.event}: ${detail.data.text}`))"""
    )
    visitor.press("Make the report")
    visitor.reads("Opened the files.")
    desk.app.extensions["silo"].events.broadcast({"text": "Back at noon"}, "notice")
    expect(visitor.page).to_have_title("notice: Back at noon")
    visitor.sees("running")
    desk.step.gate.set()
    visitor.sees("done")


def test_a_reload_finds_the_running_job(visitor: Visitor, desk: Desk) -> None:
    desk.step.gate.clear()
    visitor.upload()
    visitor.press("Make the report")
    visitor.reads("Opened the files.")
    visitor.page.reload()
    visitor.sees("running")
    visitor.reads("Opened the files.")
    desk.step.gate.set()
    visitor.sees("done")


def test_a_reload_finds_the_running_job_of_a_served_app(
    arrives: Arrives, restarting: Served, gate: Gate
) -> None:
    gate.shut()
    visitor = arrives(restarting.url)
    visitor.upload()
    visitor.press("Make the report")
    visitor.sees("running")
    visitor.page.reload()
    visitor.reads("Waiting at the gate")
    visitor.press("Cancel")
    visitor.sees("cancelled")


def test_a_job_outlives_a_restart_of_its_server(
    arrives: Arrives, restarting: Served, gate: Gate
) -> None:
    gate.shut()
    visitor = arrives(restarting.url)
    visitor.loses_server = True
    visitor.upload()
    visitor.press("Make the report")
    visitor.reads("Waiting at the gate")
    restarting.stop()
    visitor.reads(GONE)
    restarting.start()
    gate.open()
    visitor.sees("done")


def test_a_reload_keeps_files_and_options(visitor: Visitor) -> None:
    visitor.upload()
    visitor.option("Largest").fill("7")
    visitor.option("Hidden sheets").uncheck()
    visitor.page.reload()
    visitor.sees("ready")
    visitor.reads("sales.csv")
    expect(visitor.option("Largest")).to_have_value("7")
    expect(visitor.option("Hidden sheets")).not_to_be_checked()


def test_a_browser_that_keeps_nothing_still_comes_to_a_report(visitor: Visitor) -> None:
    """Storage may be blocked: asking for it then raises an error."""
    blocked = "Object.defineProperty(window, 'localStorage', { get() { throw new Error() } })"
    visitor.page.add_init_script(blocked)
    visitor.page.reload()
    visitor.make()
    assert visitor.download().suggested_filename == "sales report.xlsx"


def test_a_report_that_is_gone_can_be_made_again(visitor: Visitor) -> None:
    visitor.upload()
    refuse(visitor, "report", "not_ready", "The report is gone.")
    visitor.press("Make the report")
    visitor.reads("The report is gone.")
    visitor.sees("ready")
    visitor.press("Make the report")
    visitor.sees("done")


def test_a_second_visit_finds_the_report(arrives: Arrives, desk: Desk) -> None:
    first = arrives(desk.url)
    first.make()
    context = first.page.context
    first.page.close()
    second = arrives(desk.url, context)
    second.sees("done")
    expect(second.heading()).to_have_text("Report on sales.csv")
    assert second.download().suggested_filename == "sales report.xlsx"


def test_two_tabs_stay_together(arrives: Arrives, desk: Desk) -> None:
    one = arrives(desk.url)
    other = arrives(desk.url, one.page.context)
    desk.step.gate.clear()
    one.upload()
    other.sees("ready")
    one.press("Make the report")
    other.sees("running")
    desk.step.gate.set()
    one.sees("done")
    other.sees("done")
    other.press("Start over")
    one.sees("empty")


def test_two_tabs_that_start_at_once_share_one_job(arrives: Arrives, desk: Desk) -> None:
    one = arrives(desk.url)
    one.upload()
    other = arrives(desk.url, one.page.context)
    other.sees("ready")
    told = one.page.request.get(f"{desk.url}api/status", headers={"X-Session-ID": one.session})

    def knows_nothing_yet(route: Route) -> None:
        """Whatever it hears of the other tab, until it has called itself."""
        if one.calls(["api/process"]):
            route.continue_()
        else:
            route.fulfill(body=told.body())

    one.page.route("**/api/status", knows_nothing_yet)
    desk.step.gate.clear()
    other.press("Make the report")
    other.reads("Opened the files.")
    one.press("Make the report")
    one.reads("Opened the files.")
    expect(one.page.locator("#problem")).to_be_hidden()
    desk.step.gate.set()
    one.sees("done")
    other.sees("done")
    assert len(desk.step.seen) == 1


def test_a_late_answer_does_not_turn_back_the_page(visitor: Visitor, desk: Desk) -> None:
    desk.step.gate.clear()
    visitor.upload()
    late = visitor.holds("**/api/status")
    visitor.page.evaluate("dispatchEvent(new Event('focus'))")
    visitor.press("Make the report")
    visitor.reads("Opened the files.")
    held = late()
    nothing: dict[str, Any] = {
        "session": "live",
        "files": [],
        "options": None,
        "job": None,
        "expires_in": None,
    }
    visitor.hears(held, json=nothing)
    visitor.sees("running")


@pytest.mark.parametrize("refused", [False, True])
def test_a_report_that_comes_after_starting_over_is_not_shown(
    visitor: Visitor, refused: bool
) -> None:
    late = visitor.holds("**/api/report")
    visitor.upload()
    visitor.press("Make the report")
    held = late()
    made = held.fetch()
    visitor.press("Start over")
    visitor.sees("empty")
    if refused:
        problem = {"status": 409, "error": "not_ready", "detail": "There is no report."}
        visitor.hears(held, status=409, json=problem)
    else:
        visitor.hears(held, response=made)
    visitor.sees("empty")
    expect(visitor.page.locator("#problem")).to_be_hidden()


@pytest.mark.parametrize("clicks", [2, 5])
def test_a_hasty_hand_starts_one_job(visitor: Visitor, desk: Desk, clicks: int) -> None:
    visitor.upload()
    visitor.button("Make the report").click(click_count=clicks)
    visitor.sees("done")
    assert len(desk.step.seen) == 1
    assert len(visitor.calls(["api/process"])) == 1
