"""S17: a disk that is nearly full, and a server that holds as much as it may."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from support import Clock

from {{ cookiecutter.package_name }}.silo.files.local import LocalPlace

from .conftest import MakeApp
from .person import Person, error

GB = 2**30
FILE = ("a.csv", b"a,b\n" + b"1,2\n" * 2**18)


@pytest.fixture
def full(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """For as long as it lasts, hardly anything is free on the disk."""
    with monkeypatch.context() as patch:
        patch.setattr(LocalPlace, "free", lambda _: 1000)
        yield patch


def create(person: Person, size: int) -> tuple[int, str]:
    named = {"Content-Disposition": "attachment; filename=a.csv", "Upload-Length": str(size)}
    return error(person.post("/api/uploads", headers={**named, "Upload-Complete": "?0"}))


def test_s17_a_floor_is_left_free(make_app: MakeApp) -> None:
    person = Person(make_app(SILO_MIN_FREE_MB=10**9))
    assert error(person.upload(FILE)) == (507, "no_space")
    assert "full" in person.upload(FILE).json["detail"]
    assert create(person, 10) == (507, "no_space")
    assert person.sid == ""


def test_s17_what_would_go_below_the_floor_is_refused_before_it_comes(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(make_app(SILO_MIN_FREE_MB=200))
    monkeypatch.setattr(LocalPlace, "free", lambda _: 200 * 2**20 + 1000)
    assert create(person, 1001) == (507, "no_space")
    assert error(person.upload(FILE)) == (507, "no_space")
    assert person.upload(("a.csv", b"a\n1\n")).status_code == 201


def test_s17_a_disk_that_fills_up_meanwhile_is_noticed(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.upload(("old.csv", b"a\n1\n"))
    free = iter([GB, GB])
    monkeypatch.setattr(LocalPlace, "free", lambda _: next(free, 0))
    assert error(person.upload(FILE)) == (507, "no_space")
    assert person.stored() == [b"a\n1\n"]


def test_s17_a_report_that_does_not_fit_fails_its_job_with_a_sentence(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.upload(FILE)
    monkeypatch.setattr(LocalPlace, "free", lambda _: 0)
    assert person.process().status_code == 202
    end = person.end()
    assert end.name == "failed"
    assert "disk is full" in end.data["error"]


def test_s17_all_sessions_together_have_a_limit(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(SILO_TOTAL_QUOTA_MB=2)
    one, other = Person(app), Person(app)
    assert one.upload(FILE).status_code == 201
    refused = other.upload(("b.csv", FILE[1] + b"3,4\n"))
    assert error(refused) == (507, "total_full")
    assert create(other, 2**20) == (507, "total_full")
    assert other.sid == ""
    assert one.post("/api/reset").status_code == 204
    clock.advance(6)
    assert other.upload(FILE).status_code == 201
