"""What a person asks for once happens once, however often the browser has to ask."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Route

from .conftest import Arrives
from .desk import Desk
from .visitor import Visitor


def lose_the_answer(route: Route) -> None:
    """Let the call reach the server, and the answer reach nobody."""
    route.fetch()
    route.abort()


def jobs(desk: Desk) -> int:
    """How many reports were begun; the columns that the form offers are read by a job, too."""
    return len(desk.step.seen)


def test_a_start_whose_answer_is_lost_starts_one_job(visitor: Visitor, desk: Desk) -> None:
    visitor.loses_server = True
    visitor.upload()
    visitor.page.route("**/api/process", lose_the_answer, times=1)
    desk.step.gate.clear()
    visitor.press("Make the report")
    visitor.sees("running")
    desk.step.gate.set()
    visitor.sees("done")
    assert jobs(desk) == 1
    tries = visitor.calls(["api/process"])
    assert len(tries) >= 2
    assert len({call.headers["idempotency-key"] for call in tries}) == 1


def test_each_press_is_a_call_of_its_own(visitor: Visitor, desk: Desk) -> None:
    visitor.make()
    visitor.press("Change options")
    visitor.press("Make the report")
    visitor.sees("done")
    first, second = visitor.calls(["api/process"])
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert len(desk.step.seen) == 2


def test_a_call_still_in_flight_is_waited_for(visitor: Visitor, desk: Desk) -> None:
    def in_flight(route: Route) -> None:
        body: dict[str, Any] = {"status": 409, "error": "in_flight", "detail": "Still at it."}
        route.fulfill(status=409, json=body, headers={"Retry-After": "1"})

    visitor.loses_server = True
    visitor.upload()
    visitor.page.route("**/api/process", in_flight, times=1)
    visitor.press("Make the report")
    visitor.sees("done")
    assert len(visitor.calls(["api/process"])) == 2


def test_two_tabs_that_start_at_once_get_one_job(
    visitor: Visitor, arrives: Arrives, desk: Desk
) -> None:
    """Both follow the same job to the same report."""
    visitor.upload()
    second = arrives(desk.url, visitor.page.context)
    second.sees("ready")
    desk.step.gate.clear()
    for tab in (visitor, second):  # no waiting in between, as a person with two hands would
        tab.page.evaluate("document.querySelector('#process').click()")
    for tab in (visitor, second):
        tab.sees("running")
    desk.step.gate.set()
    for tab in (visitor, second):
        tab.sees("done")
    assert jobs(desk) == 1
    started = [call.response() for tab in (visitor, second) for call in tab.calls(["api/process"])]
    assert sum(answer is not None and answer.status == 202 for answer in started) == 1
