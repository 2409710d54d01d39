"""GET and POST /api/columns: what options that name a column may name."""

from __future__ import annotations

import pytest
from support import Clock, eventually

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
