"""GET /api/events: what is new, in order, then exactly one end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from {{ cookiecutter.package_name }} import stream
from {{ cookiecutter.package_name }}.silo.records import Delete
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Job

from .person import Event, Person, parse
from .steps import Gate

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
    ids = [int(event.id) for event in first + rest]
    assert ids == sorted(ids)
    pieces.close()


def read(pieces: Iterator[str], count: int) -> list[Event]:
    return [event for _ in range(count) for event in parse(next(pieces))]


def test_the_end_is_told_again_to_whoever_asks_later(held: Person, gate: Gate) -> None:
    gate.open.set()
    assert held.end().name == "complete"
    events = held.events()
    assert [event.name for event in events] == ["log", "log", "log", "complete"]


@pytest.mark.parametrize(
    ("last", "lines"),
    [
        ("0", ["First line", "Second line", "Third line"]),
        ("2", ["Third line"]),
        ("3", []),
        ("4000000", []),
        ("", ["First line", "Second line", "Third line"]),
        ("-1", ["First line", "Second line", "Third line"]),
        ("two", ["First line", "Second line", "Third line"]),
        ("9" * 5000, ["First line", "Second line", "Third line"]),
        ("²", ["First line", "Second line", "Third line"]),
    ],
)
def test_a_stream_goes_on_after_the_last_line_that_was_heard(
    held: Person, gate: Gate, last: str, lines: list[str]
) -> None:
    gate.open.set()
    held.end()
    events = held.events(**{"Last-Event-ID": last})
    assert [event.data["line"] for event in events if event.name == "log"] == lines
    assert events[-1].name == "complete"


def test_lines_that_are_no_longer_kept_are_passed_over() -> None:
    job = Job(id="1", name="report", logs=["8", "9", "10"], logged=10)
    assert stream.unheard(job, 0) == ["8", "9", "10"]
    assert stream.unheard(job, 8) == ["9", "10"]
    assert stream.unheard(job, 10) == []
    assert stream.unheard(job, 99) == []


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


def test_a_silent_job_is_heard_by_its_pings(
    held: Person, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PING_SECONDS", 0.0)
    pieces = held.listen()
    read(pieces, 3)
    assert next(pieces) == ": ping\n\n"
    gate.open.set()
    pieces.close()


def test_a_stream_whose_job_vanishes_says_expired(held: Person) -> None:
    pieces = held.listen()
    read(pieces, 3)
    job = held.get("/api/progress").json["id"]
    held.app.extensions["silo"].store.records.apply(Delete("job", job))
    [end] = parse("".join(pieces))
    assert (end.name, end.data) == ("expired", {})
    pieces.close()
