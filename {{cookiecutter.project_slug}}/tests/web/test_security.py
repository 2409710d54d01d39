"""What every answer carries, what every call must show, and what is never told."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from flask import Flask, request
from support import Clock

from {{ cookiecutter.package_name }} import views

from . import steps
from .conftest import MakeApp
from .person import Answer, Person, error

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}


def check_headers(answer: Answer) -> None:
    headers = answer.headers
    assert set(headers["Content-Security-Policy"].split("; ")) == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert re.fullmatch("[0-9a-f]{16}", headers["X-Request-ID"])
    assert "Access-Control-Allow-Origin" not in headers
    assert "Set-Cookie" not in headers


def test_s07_every_answer_is_guarded(
    person: Person, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        200: [person.get(path) for path in ("/", "/api/status", "/api/options", "/healthz")],
        201: [person.upload()],
        202: [person.process()],
        204: [person.post("/api/reset")],
        403: [person.post("/api/upload", headers={"Sec-Fetch-Site": "cross-site"})],
        404: [person.get("/nothing"), person.get("/static/nothing"), person.get("/api/")],
        405: [person.call("DELETE", "/api/upload"), person.post("/static/app.js")],
        409: [person.process()],
        413: [person.post("/api/process", data=b"x" * (2**20 + 1))],
        415: [person.upload(("a.pdf", b"%PDF"))],
        422: [person.process(largest=0)],
    }
    answers[200] += [person.get("/api/events"), person.call("OPTIONS", "/api/upload")]
    clock.advance(4000)
    answers[410] = [person.get(path) for path in ("/api/progress", "/api/events")]
    monkeypatch.setattr(views, "job_json", None)
    answers[500] = [Person(person.app).get("/api/progress")]
    for status, given in answers.items():
        for answer in given:
            assert answer.status_code == status
            check_headers(answer)
            assert answer.headers["Cache-Control"] == "no-store"


def test_s07_the_page_s_own_files_are_guarded_and_may_be_kept(person: Person) -> None:
    paths = re.findall(r'(?:src|href)="(/static/[^"]+)"', person.get("/").text)
    assert paths
    for path in paths:
        answer = person.get(path)
        assert answer.status_code == 200
        check_headers(answer)
        assert "no-store" not in answer.headers["Cache-Control"]
        assert answer.headers["ETag"]


def test_s07_a_download_is_guarded(person: Person) -> None:
    person.has_report()
    for path in ("/api/report", "/api/report.xlsx"):
        answer = person.get(path)
        check_headers(answer)
        assert answer.headers["Cache-Control"] == "no-store"


# Calls that change something

CHANGES = ["/api/upload", "/api/process", "/api/cancel", "/api/report/link", "/api/reset"]


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
)
def test_s10_what_a_form_can_send_is_refused(app: Flask, path: str, kind: str) -> None:
    came = app.test_client().post(path, data=b"a=b", content_type=kind)
    assert came.status_code == 403
    assert came.get_json()["error"] == "cross_site"
    assert "X-Session-ID" in came.get_json()["detail"]


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://sub.example.com"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_s10_the_browser_is_believed_about_where_a_call_comes_from(
    person: Person, headers: dict[str, str], allowed: bool
) -> None:
    for path in CHANGES:
        refused = person.post(path, headers=headers).status_code == 403
        assert refused != allowed, path


def test_s10_a_session_is_enough_to_change_something(person: Person) -> None:
    person.upload()
    came = person.app.test_client().post("/api/reset", headers={"X-Session-ID": person.sid})
    assert came.status_code == 204


# Request ids and proxies


@pytest.mark.parametrize("given", ["0af76519-16cd-43dd-8448", "a" * 64])
def test_s40_a_request_keeps_the_id_that_a_proxy_gave_it(person: Person, given: str) -> None:
    answer = person.get("/nothing", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == answer.json["request_id"] == given


@pytest.mark.parametrize(
    "given",
    ["", "short", "a" * 65, "a b c d e f", "<script>alert", "é" * 9, "abcdefgh\n", "12345678\x1b"],
)
def test_s40_an_odd_request_id_is_replaced(person: Person, given: str) -> None:
    answer = person.get("/nothing", environ_overrides={"HTTP_X_REQUEST_ID": given})
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-ID"])


FORWARDED = {
    "X-Forwarded-For": "6.6.6.6, 203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "reports.example.com",
}


@pytest.mark.parametrize(
    ("hops", "seen"),
    [
        (0, "127.0.0.1 http localhost"),
        (1, "203.0.113.7 https reports.example.com"),
        (2, "6.6.6.6 http localhost"),
    ],
)
def test_s13_proxies_are_believed_for_as_many_as_there_are(
    make_app: MakeApp, hops: int, seen: str
) -> None:
    app = make_app(SILO_TRUSTED_PROXIES=hops)
    app.add_url_rule(
        "/seen", view_func=lambda: f"{request.remote_addr} {request.scheme} {request.host}"
    )
    assert Person(app).get("/seen", headers=FORWARDED).text == seen


# What is never told


def test_s03_no_session_id_is_told_to_anybody_but_its_owner(
    person: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    caplog.set_level(logging.DEBUG)
    person.has_report()
    link = person.post("/api/report/link").json["url"]
    monkeypatch.setattr(views, "run", steps.mistake)
    answers = [
        person.get(link),
        person.get("/api/nothing"),
        person.call("PUT", "/api/upload"),
        person.upload(("a.pdf", b"%PDF")),
        person.process(largest=0),
        person.get("/api/report"),
        person.get("/"),
        person.get("/api/status"),
        person.process(),
        person.get("/api/events"),
    ]
    monkeypatch.setattr(views, "job_json", None)
    answers.append(person.get("/api/progress"))
    assert answers[-1].status_code == 500
    clock.advance(4000)
    answers.append(person.get("/api/progress"))
    assert answers[-1].status_code == 410
    bare = person.sid.rpartition(".")[0]
    for answer in answers:
        assert bare.encode() not in answer.data
        headers = {name: value for name, value in answer.headers if name != "X-Session-ID"}
        assert bare not in str(headers)
    assert "secret detail" in caplog.text, "the log is looked at"
    assert bare not in caplog.text
    assert link.rpartition("=")[2] not in caplog.text


def test_s11_an_error_of_ours_tells_nothing_of_the_inside(
    person: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("SELECT secret FROM /var/lib/app")

    monkeypatch.setattr(views, "job_json", broken)
    answer = person.get("/api/progress")
    assert error(answer) == (500, "internal")
    assert "SELECT" not in answer.text
    assert "RuntimeError" not in answer.text
    assert "SELECT secret" in caplog.text
