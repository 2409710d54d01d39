"""GET and POST /api/columns: what options that name a column may name."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support import Clock, eventually

from {{ cookiecutter.package_name }} import headings
from {{ cookiecutter.package_name }}.silo.tasks.base import Reporter
from {{ cookiecutter.package_name }}.silo.tasks.thread import ThreadRunner

from .conftest import MakeApp
from .person import Person, error, xlsx

BOOK = ("book.xlsx", xlsx(One=[["Region", "Amount"], ["a", 1]], Two=[["Amount", "Größe"], [1, 2]]))


def read(person: Person) -> list[str]:
    """The columns once they are read."""
    assert person.post("/api/columns").status_code == 202
    eventually(lambda: person.get("/api/columns").json["status"] == "complete")
    columns: list[str] = person.get("/api/columns").json["columns"]
    return columns


def test_each_column_of_every_table_is_told_once(person: Person) -> None:
    person.upload(BOOK, ("more.csv", b"Region;Town\nx;y\n"))
    assert read(person) == ["Region", "Amount", "Größe", "Town"]


def test_what_cannot_be_read_has_none(person: Person) -> None:
    person.upload(("bad.xlsx", b"PK\x03\x04nonsense"), ("good.csv", b"a,b\n1,2\n"))
    assert read(person) == ["a", "b"]


def test_what_others_replace_meanwhile_has_none(person: Person) -> None:
    files = person.upload(("gone.csv", b"a,b\n1,2\n"), ("good.csv", b"c,d\n1,2\n")).json["files"]
    person.app.extensions["silo"].file_store("files").remove(person.sid, files[0]["id"])
    assert read(person) == ["c", "d"]


def test_what_no_option_can_name_is_not_offered(person: Person) -> None:
    person.upload(("long.csv", b"a," + b"x" * 200 + b"," + b"y" * 201 + b"\n1,2,3\n"))
    assert read(person) == ["a", "x" * 200]


def test_it_is_read_once_for_the_same_files(person: Person) -> None:
    person.upload(BOOK)
    first = read(person)
    again = person.post("/api/columns")
    assert (again.status_code, again.json) == (202, {"status": "complete", "columns": first})


def test_other_files_have_other_columns(person: Person) -> None:
    person.upload(BOOK)
    read(person)
    person.upload(("more.csv", b"Region;Town\nx;y\n"))
    assert person.get("/api/columns").json == {"status": "idle", "columns": None}
    assert read(person) == ["Region", "Town"]


def test_of_files_that_were_replaced_nothing_more_is_read(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, told = threading.Event(), threading.Event()

    def heedless(task: Reporter, *_: Any) -> None:
        began.set()
        told.wait(60)
        task.update(50)  # raises Cancelled

    monkeypatch.setattr(headings, "read_headings", heedless)
    person = Person(make_app(SILO_RUNNER="thread"))
    person.upload(BOOK)
    person.post("/api/columns")
    assert began.wait(60)
    monkeypatch.undo()
    person.upload(("more.csv", b"Region;Town\nx;y\n"))
    refused = person.post("/api/columns")
    assert (error(refused), refused.headers["Retry-After"]) == ((409, "busy"), "1")
    told.set()
    eventually(lambda: person.post("/api/columns").status_code == 202)
    assert read(person) == ["Region", "Town"]


def test_files_that_were_replaced_before_they_were_read_hold_nobody_up(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(make_app(SILO_RUNNER="thread"))
    person.upload(BOOK)
    with monkeypatch.context() as nobody:
        nobody.setattr(ThreadRunner, "deliver", lambda *_: None)
        assert person.post("/api/columns").json["status"] == "queued"
    person.upload(("more.csv", b"Region;Town\nx;y\n"))
    assert read(person) == ["Region", "Town"]


def test_before_an_upload_there_is_nothing_to_read(person: Person) -> None:
    assert error(person.post("/api/columns")) == (409, "nothing_uploaded")
    assert person.get("/api/columns").json == {"status": "idle", "columns": None}
    assert person.sid == ""


def test_a_report_is_made_meanwhile(person: Person) -> None:
    person.upload(BOOK)
    person.post("/api/columns")
    assert person.process().status_code == 202
    assert person.end().name == "complete"


def test_after_expiry_it_is_gone(person: Person, clock: Clock) -> None:
    person.upload(BOOK)
    read(person)
    clock.advance(4000)
    assert error(person.get("/api/columns")) == (410, "session_expired")
    assert error(person.post("/api/columns")) == (410, "session_expired")


@pytest.mark.parametrize("runner", ["process", "thread"])
def test_every_runner_reads_them(make_app: MakeApp, runner: str) -> None:
    person = Person(make_app(SILO_RUNNER=runner))
    person.upload(BOOK)
    assert read(person) == ["Region", "Amount", "Größe"]
