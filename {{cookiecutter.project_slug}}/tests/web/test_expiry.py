"""After a session has been idle for too long: 410 on its data, and a way back."""

from __future__ import annotations

import pytest
from flask import Flask
from support import Clock

from .conftest import MakeApp
from .person import Person, error
from .steps import Gate

TTL = 3600
DATA = [
    ("POST", "/api/process"),
    ("GET", "/api/progress"),
    ("GET", "/api/events"),
    ("POST", "/api/cancel"),
    ("GET", "/api/report"),
    ("HEAD", "/api/report"),
    ("GET", "/api/report.xlsx"),
    ("POST", "/api/report/link"),
]


@pytest.fixture(params=["cleaned up", "not cleaned up"])
def expired(request: pytest.FixtureRequest, person: Person, clock: Clock) -> Person:
    """Somebody whose session has expired, before and after a cleanup pass."""
    person.upload()
    clock.advance(TTL + 1)
    if request.param == "cleaned up":
        person.app.extensions["silo"].store.cleanup()
    return person


@pytest.mark.parametrize(("method", "path"), DATA)
def test_every_call_on_data_answers_gone(expired: Person, method: str, path: str) -> None:
    for _ in range(2):
        answer = expired.call(method, path)
        assert answer.status_code == 410
        if method != "HEAD":
            assert error(answer) == (410, "session_expired")
            assert "expired" in answer.json["detail"]
        assert "X-Session-ID" not in answer.headers


def test_gone_comes_before_any_other_complaint(expired: Person) -> None:
    answer = expired.post("/api/process", data=b"{", content_type="application/json")
    assert error(answer) == (410, "session_expired")


def test_calls_that_need_no_data_still_answer(expired: Person) -> None:
    for path in ("/", "/api/options", "/api/status", "/healthz", "/readyz"):
        assert expired.get(path).status_code == 200, path


def test_the_status_says_expired_and_does_not_bring_it_back(expired: Person) -> None:
    for _ in range(2):
        assert expired.status() == {
            "session": "expired",
            "files": [],
            "options": None,
            "job": None,
            "review": None,
            "expires_in": None,
        }


def test_an_upload_makes_the_session_live_again(expired: Person) -> None:
    sid = expired.sid
    answer = expired.upload(("again.csv", b"a,b\nx,1\n"))
    assert answer.status_code == 201
    assert answer.headers["X-Session-ID"] == sid
    assert expired.status()["session"] == "live"
    assert expired.stored() == [b"a,b\nx,1\n"]
    assert expired.process().status_code == 202
    assert expired.end().name == "complete"


def test_a_reset_of_an_expired_session_is_no_mistake(expired: Person) -> None:
    assert expired.post("/api/reset").status_code == 204
    assert expired.status()["session"] == "expired"


def test_others_go_on(person: Person, other: Person, clock: Clock) -> None:
    person.upload()
    clock.advance(TTL - 10)
    other.has_report()
    clock.advance(11)
    person.app.extensions["silo"].store.cleanup()
    assert error(person.get("/api/progress")) == (410, "session_expired")
    assert other.get("/api/report").status_code == 200
    assert len(other.stored()) == 3
    assert person.stored() == []


def test_a_call_keeps_the_session_alive_and_asking_for_its_status_does_not(
    person: Person, clock: Clock
) -> None:
    person.upload()
    for _ in range(3):
        clock.advance(TTL - 10)
        assert person.get("/api/progress").status_code == 200
    assert person.status()["expires_in"] == pytest.approx(TTL, abs=2)
    clock.advance(TTL - 10)
    assert person.status()["expires_in"] == pytest.approx(10, abs=2)
    clock.advance(11)
    assert person.status()["session"] == "expired"


def test_a_running_job_keeps_the_session_alive(held: Person, gate: Gate, clock: Clock) -> None:
    clock.advance(TTL + 1)
    held.app.extensions["silo"].store.cleanup()
    assert held.get("/api/progress").json["status"] == "running"
    gate.open.set()
    assert held.end().name == "complete"


def test_s01_expired_stays_expired_after_it_is_forgotten(make_app: MakeApp, clock: Clock) -> None:
    person = Person(make_app(SILO_TTL=10, SILO_EXPIRED_RETAIN=10))
    person.upload()
    store = person.app.extensions["silo"].store
    for _ in range(3):
        clock.advance(11)
        store.cleanup()
    assert store.expired_count == 0
    assert error(person.get("/api/progress")) == (410, "session_expired")


# Ids that the server has not given out


@pytest.mark.parametrize(
    "sid",
    [
        "x",
        "0123456789abcdef0123456789abcdef",
        "../../../../etc/passwd",
        "/tmp/instance/files",  # a path as it once did harm
        "a" * 5000,
        "kéy-with-letters-beyond-ascii.sig",
        "' OR 1=1 --",
    ],
)
def test_s01_an_id_that_was_not_given_out_is_nobodys(app: Flask, sid: str) -> None:
    stranger = Person(app, sid)
    assert stranger.status()["session"] == "none"
    assert stranger.get("/api/progress").json["status"] == "idle"
    assert error(stranger.process()) == (409, "nothing_uploaded")
    assert error(stranger.post("/api/cancel")) == (409, "not_running")
    assert error(stranger.get("/api/report")) == (409, "not_ready")
    assert error(stranger.get("/api/report.xlsx")) == (409, "not_ready")
    assert error(stranger.post("/api/report/link")) == (409, "not_ready")
    assert [event.name for event in stranger.events()] == ["progress"]
    assert stranger.post("/api/reset").status_code == 204
    assert stranger.sid == sid, "none of these calls begins a session"
    assert stranger.upload().status_code == 201
    assert stranger.sid != sid


def test_an_id_with_another_signature_is_nobodys(person: Person) -> None:
    person.upload()
    bare, dot, signature = person.sid.rpartition(".")
    for forged in (bare, f"{bare}{dot}", f"{bare}{dot}{signature[::-1]}", f"x{person.sid}"):
        assert Person(person.app, forged).status()["session"] == "none"


def test_an_id_of_another_server_is_nobodys(person: Person, make_app: MakeApp) -> None:
    person.upload()
    assert Person(make_app(), person.sid).status()["session"] == "none"


# Two people


def test_what_one_has_the_other_sees_nowhere(person: Person, other: Person) -> None:
    person.has_report(("mine.csv", b"Who,Amount\nme,1\nme,3\nyou,9\n"))
    other.upload(("other.csv", b"a\n1\n"))
    assert other.sid != person.sid
    status = other.status()
    assert [file["name"] for file in status["files"]] == ["other.csv"]
    assert (status["job"]["status"], status["options"]) == ("idle", None)
    assert other.get("/api/progress").json["id"] is None
    assert [event.name for event in other.events()] == ["progress"]
    assert error(other.post("/api/cancel")) == (409, "not_running")
    assert error(other.get("/api/report")) == (409, "not_ready")
    assert error(other.get("/api/report.xlsx")) == (409, "not_ready")
    assert error(other.post("/api/report/link")) == (409, "not_ready")
    assert other.post("/api/reset").status_code == 204
    assert person.get("/api/report").status_code == 200
    assert len(person.stored()) == 3


def test_one_cannot_stop_the_others_job(held: Person, gate: Gate) -> None:
    stranger = Person(held.app)
    stranger.upload()
    assert error(stranger.post("/api/cancel")) == (409, "not_running")
    stranger.post("/api/reset")
    gate.open.set()
    assert held.end().name == "complete"
