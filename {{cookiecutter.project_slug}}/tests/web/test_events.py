"""GET /api/events: what is new, in order, then exactly one end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint
from support import Clock, eventually

from {{ cookiecutter.package_name }} import create_app, views
from {{ cookiecutter.package_name }}.silo.records import Delete
from {{ cookiecutter.package_name }}.silo.tasks.base import Reporter
from {{ cookiecutter.package_name }}.silo.watcher import PER_OWNER

from .conftest import MakeApp
from .person import Event, Person, error, parse
from .steps import Gate

EXTENDING = Path(__file__).parents[2] / "docs" / "extending.md"
ENDS = {"complete", "failed", "cancelled", "expired"}


def test_a_job_is_told_from_its_start_to_one_end(held: Person, gate: Gate) -> None:
    pieces = held.listen()
    first = read(pieces, 3)
    assert [event.name for event in first] == ["log", "log", "progress"]
    assert [event.data for event in first[:2]] == [{"line": "First line"}, {"line": "Second line"}]
    assert (first[2].data["status"], first[2].data["progress"]) == ("running", 50.0)
    assert "logs" not in first[2].data
    gate.open.set()
    rest = parse("".join(pieces))
    assert [event.data for event in rest if event.name == "log"] == [{"line": "Third line"}]
    assert [event.name for event in rest if event.name in ENDS] == ["complete"]
    assert rest[-1].name == "complete"
    assert rest[-1].data["logs"] == ["First line", "Second line", "Third line"]
    assert_rising(first + rest)
    pieces.close()


def read(pieces: Iterator[str], count: int) -> list[Event]:
    """The next events, of which there must come so many and no more at a time."""
    events: list[Event] = []
    while len(events) < count:
        events += parse(next(pieces))
    assert len(events) == count
    return events


def assert_rising(events: list[Event]) -> None:
    ids = [tuple(map(int, event.id.split("."))) for event in events]
    assert all(one < other for one, other in pairwise(ids)), ids


def test_s37_the_end_is_told_again_to_whoever_asks_later(held: Person, gate: Gate) -> None:
    gate.open.set()
    assert held.end().name == "complete"
    events = held.events()
    assert [event.name for event in events] == ["log", "log", "log", "complete"]


LINES = ["First line", "Second line", "Third line"]


@pytest.mark.parametrize("heard", [0, 1, 2, 3])
def test_s37_a_stream_goes_on_after_the_last_line_that_was_heard(
    held: Person, gate: Gate, heard: int
) -> None:
    gate.open.set()
    ids = ["", *(event.id for event in held.events() if event.name == "log")]
    events = held.events(**{"Last-Event-ID": ids[heard]})
    assert said(events) == LINES[heard:]
    assert [event.name for event in events if event.name in ENDS] == ["complete"]


@pytest.mark.parametrize(
    "last", ["0", "0.0", "-1", "two", "9" * 15, "9" * 5000, "²", "1.", "1.2.3"]
)
def test_an_id_that_was_never_given_passes_over_nothing(
    held: Person, gate: Gate, last: str
) -> None:
    gate.open.set()
    held.end()
    assert said(held.events(**{"Last-Event-ID": last})) == LINES


def said(events: list[Event]) -> list[str]:
    return [event.data["line"] for event in events if event.name == "log"]


def test_who_has_heard_the_end_is_told_to_stay_away(held: Person, gate: Gate) -> None:
    gate.open.set()
    answer = held.get("/api/events", headers={"Last-Event-ID": held.end().id})
    assert (answer.status_code, answer.text) == (204, "")


def test_a_new_job_does_not_go_on_where_the_last_one_ended(
    held: Person, gate: Gate, clock: Clock
) -> None:
    gate.open.set()
    last = held.end().id
    clock.advance(1)
    held.process()
    events = held.events(**{"Last-Event-ID": last})
    assert said(events) == LINES
    assert "missed" not in [event.name for event in events]


def test_lines_that_are_no_longer_kept_are_not_passed_over_in_silence(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def talk(task: Reporter, *_: Any) -> None:
        for number in range(250):
            task.log(str(number))

    monkeypatch.setattr(views, "run", talk)
    person = Person(make_app(SILO_RUNNER="thread"))
    person.upload()
    person.process()
    person.end()
    missed, *lines, end = person.events()
    assert (missed.name, missed.data["after"]) == ("missed", 0)
    assert said(lines) == [str(number) for number in range(50, 250)]
    assert end.name == "complete"
    assert said(person.events(**{"Last-Event-ID": missed.id})) == said(lines)


def test_a_stream_is_neither_kept_nor_held_back_on_its_way(person: Person) -> None:
    person.upload()
    answer = person.get("/api/events")
    assert answer.status_code == 200
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"


def test_without_a_job_the_stream_says_so_and_ends(person: Person) -> None:
    for _ in ("no session", "a session"):
        [event] = person.events()
        assert (event.name, event.data["status"], event.data["id"]) == ("progress", "idle", None)
        person.upload()


def test_a_failed_job_ends_with_its_sentence(person: Person) -> None:
    person.upload(("broken.xlsx", b"PK\x03\x04 and nothing else"))
    person.process()
    end = person.end()
    assert end.name == "failed"
    assert end.data["error"] == "broken.xlsx is damaged or was not uploaded whole."
    assert (end.data["complete"], end.data["running"]) == (False, False)


def test_a_stream_whose_job_vanishes_says_expired(held: Person) -> None:
    pieces = held.listen()
    read(pieces, 3)
    job = held.get("/api/progress").json["id"]
    held.app.extensions["silo"].store.records.apply(Delete("job", job))
    [end] = parse("".join(pieces))
    assert (end.name, end.data) == ("expired", {})
    pieces.close()


def test_s37_a_session_follows_so_many_streams_and_no_more(held: Person) -> None:
    streams = [held.listen() for _ in range(PER_OWNER)]
    for each in streams:
        next(each)
    refused = held.get("/api/events")
    assert error(refused) == (429, "too_many_streams")
    assert int(refused.headers["Retry-After"]) > 0
    streams[0].close()
    again = held.listen()
    next(again)
    for each in [again, *streams]:
        each.close()


def test_s37_a_full_server_says_when_there_may_be_room(held: Person) -> None:
    held.app.extensions["silo"].events.watcher.per_process = 0
    refused = held.get("/api/events")
    assert error(refused) == (503, "streams_full")
    assert int(refused.headers["Retry-After"]) > 0


def test_an_answer_that_nobody_reads_takes_no_place(held: Person) -> None:
    watcher = held.app.extensions["silo"].events.watcher
    held.call("HEAD", "/api/events")
    assert eventually(lambda: watcher.count == 0)


def test_a_broadcast_reaches_every_session_and_is_not_lost_between_two_streams(
    held: Person, gate: Gate
) -> None:
    events = held.app.extensions["silo"].events
    events.broadcast("too early")
    pieces = held.listen()
    first = read(pieces, 3)
    events.broadcast({"text": "Back at noon"}, "notice")
    [notice] = read(pieces, 1)
    assert (notice.name, notice.data) == ("notice", {"text": "Back at noon"})
    pieces.close()
    events.broadcast("meanwhile")
    gate.open.set()
    rest = held.events(**{"Last-Event-ID": notice.id})
    told: list[Any] = [event.data for event in rest if event.name == "message"]
    assert told == ["meanwhile"]
    assert [event.name for event in rest].count("complete") == 1
    assert_rising([*first, notice, *rest])


def test_when_the_app_stops_its_streams_say_when_to_come_back(held: Person) -> None:
    pieces = held.listen()
    read(pieces, 3)
    held.app.extensions["silo"].events.stop()
    *_, last = pieces
    assert re.fullmatch(r"retry: [0-9]{3,4}\n\n", last)
    pieces.close()


def test_the_examples_in_the_docs_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setenv("SILO_DATA_DIR", str(tmp_path))
    section = EXTENDING.read_text("utf-8").partition("## Your own events")[2].partition("\n## ")[0]
    view, script = re.findall(r"```python\n(.*?)```", section, re.S)
    app = create_app(clock=clock)
    blueprint = Blueprint("example", __name__)
    exec(view, {**vars(views), "blueprint": blueprint})
    app.register_blueprint(blueprint)
    person = Person(app)
    pieces = person.listen("/api/news")
    next(pieces)
    assert person.post("/api/news").status_code == 204
    [told] = read(pieces, 1)
    exec(script, {"__package__": views.__package__})
    [also] = read(pieces, 1)
    assert [told.name, told.data, also.data] == [
        "notice",
        {"text": "Back at noon"},
        {"text": "Half done"},
    ]
    pieces.close()
    app.extensions["silo"].stop()
