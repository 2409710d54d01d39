"""GET /api/report, /api/report.xlsx and POST /api/report/link: what people came for."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from flask import Flask
from support import Clock

from .conftest import MakeApp
from .person import Person, error


def test_s08_the_download_is_a_file_named_after_the_upload(person: Person) -> None:
    person.has_report()
    headers = person.get("/api/report.xlsx").headers
    assert headers["Content-Disposition"] == 'attachment; filename="sales report.xlsx"'
    assert headers["Cache-Control"] == "no-store"


def test_s08_a_part_of_the_download_can_be_asked_for(person: Person) -> None:
    person.has_report()
    whole = person.get("/api/report.xlsx").data
    part = person.get("/api/report.xlsx", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.data) == (206, whole[10:20])
    beyond = person.get("/api/report.xlsx", headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416


def test_head_says_what_get_would(person: Person) -> None:
    person.has_report()
    for path in ("/api/report", "/api/report.xlsx", "/api/progress", "/api/status", "/"):
        get, head = person.get(path), person.call("HEAD", path)
        assert (head.status_code, head.mimetype, head.data) == (200, get.mimetype, b"")


def test_a_report_that_is_not_ready(person: Person, held: Person) -> None:
    for each in (person, held):
        assert error(each.get("/api/report")) == (409, "not_ready")
        assert error(each.get("/api/report.xlsx")) == (409, "not_ready")
        assert error(each.post("/api/report/link")) == (409, "not_ready")


def test_a_report_whose_file_has_gone_is_asked_for_again(person: Person) -> None:
    person.has_report()
    silo = person.app.extensions["silo"]
    silo.file_store("files").cleanup(person.sid)
    assert error(person.get("/api/report")) == (409, "not_ready")
    assert error(person.get("/api/report.xlsx")) == (409, "not_ready")


# Links


@pytest.fixture
def link(person: Person) -> str:
    """A link to somebody's report."""
    person.has_report()
    answer = person.post("/api/report/link")
    assert answer.status_code == 201
    assert answer.json["expires_in"] == 60
    url: str = answer.json["url"]
    return url


def follow(app: Flask, url: str) -> tuple[int, str]:
    """What a browser gets that follows a link, which sends no header of ours."""
    came = app.test_client().get(url, buffered=True)
    return came.status_code, (came.get_json() or {})["error"] if came.is_json else ""


def test_s04_a_link_downloads_the_report_without_a_session(
    app: Flask, person: Person, link: str
) -> None:
    came = app.test_client().get(link, buffered=True)
    assert (came.status_code, came.data) == (200, person.get("/api/report.xlsx").data)
    assert "attachment" in came.headers["Content-Disposition"]
    assert "X-Session-ID" not in came.headers


def test_s04_a_link_holds_no_session(person: Person, link: str) -> None:
    assert urlsplit(link).path == "/api/report.xlsx"
    assert person.sid not in link
    assert person.sid.rpartition(".")[0] not in link


def test_s04_a_link_is_good_for_less_than_a_minute_and_never_longer(
    app: Flask, clock: Clock, link: str
) -> None:
    clock.advance(58.9)
    assert follow(app, link) == (200, "")
    clock.advance(1.2)
    assert follow(app, link) == (403, "forbidden_link")


def test_s04_a_link_dies_with_a_reset(app: Flask, person: Person, link: str) -> None:
    person.post("/api/reset")
    assert follow(app, link) == (403, "forbidden_link")


def test_s04_a_link_dies_with_the_next_job(app: Flask, person: Person, link: str) -> None:
    person.process()
    assert follow(app, link) == (403, "forbidden_link")
    person.end()
    assert follow(app, link) == (403, "forbidden_link")


def test_s04_a_link_dies_with_the_next_upload(app: Flask, person: Person, link: str) -> None:
    person.upload()
    assert follow(app, link) == (403, "forbidden_link")


def test_s04_a_link_dies_with_the_session(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(SILO_RUNNER="thread", SILO_TTL=20)
    person = Person(app)
    person.has_report()
    url = person.post("/api/report/link").json["url"]
    clock.advance(30)
    assert follow(app, url) == (410, "session_expired")


def test_s04_a_forged_link_is_refused(app: Flask, link: str) -> None:
    token = link.rpartition("=")[2]
    for forged in ("", "x", token[:-1], f"x{token}", token.upper(), "☃", "a.b.c", "." * 5000):
        url = f"/api/report.xlsx?token={forged}"
        assert follow(app, url) == (403, "forbidden_link"), forged


def test_s04_a_session_in_the_query_is_nobody(person: Person, link: str) -> None:
    stranger = Person(person.app)
    for name in ("_sid", "sid", "session", "X-Session-ID"):
        answer = stranger.get("/api/report.xlsx", query_string={name: person.sid})
        assert error(answer) == (409, "not_ready")
