"""The log: an event a line that nobody else can form, and nothing in it that is not for it."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from support import Clock, eventually
from werkzeug.test import create_environ, run_wsgi_app

from {{ cookiecutter.package_name }} import logs, views
from {{ cookiecutter.package_name }}.keys import Keys
from {{ cookiecutter.package_name }}.silo.sessions.ids import session_key

from . import steps
from .conftest import MakeApp
from .person import Person, error
from .test_bad_input import NAMES, upload_raw

HOSTILE = (
    "x\r\n2026-01-01T00:00:00.000Z INFO fake 0: all is well\x1b[2J\x00\x85\u2028\u2029\u202e\u2066"
    '\u200b\ufeff\x9b31m\t%s{}"\\'
)
EVENT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+ ([A-Za-z0-9-]+): [ -~\xa0-\uffff]*"
)
UGLY = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Written:
    """What the log has written in one of its formats."""

    def __init__(self, form: logs.Format) -> None:
        self.form = form
        self.stream = io.StringIO(newline="")
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(logs.FORMATTERS[form]())

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def events(self) -> list[str]:
        """Each event's first line, every one of which is looked at."""
        lines = self.text.split("\n")[:-1]
        assert not UGLY.search(self.text)
        if self.form == "json":
            assert all(set(json.loads(line)) >= {"time", "level", "message"} for line in lines)
            assert self.text.isascii()
            return lines
        first = [line for line in lines if not line.startswith("    ")]
        assert all(EVENT.fullmatch(line) for line in first), first
        return first


@pytest.fixture(params=["text", "json"])
def written(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Written]:
    """The log of this test, in each format."""
    caplog.set_level(logging.INFO)
    written = Written(request.param)
    logging.getLogger().addHandler(written.handler)
    yield written
    logging.getLogger().removeHandler(written.handler)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The sentences of the log of requests, but for how long they took."""
    caplog.set_level(logging.INFO)

    def sentences() -> list[str]:
        every = [each.getMessage() for each in caplog.records if each.name == logs.log.name]
        return [re.sub(r" \d+ ms", " N ms", each) for each in every]

    return sentences


def test_s40_every_request_is_a_line(person: Person, said: Callable[[], list[str]]) -> None:
    person.get("/api/status?token=hidden")
    person.get("/no%20such%0A%1B[31mthing?secret=1")
    person.upload()
    person.get("/api/uploads/0123456789abcdef")
    person.get("/api/report")
    short = session_key(person.sid)[:8]
    assert said() == [
        "GET /api/status 200 N ms, session -, error -",
        "GET - 404 N ms, session -, error not_found",
        f"POST /api/upload 201 N ms, session {short}, error -",
        f"GET - 405 N ms, session {short}, error method_not_allowed",
        f"GET /api/report 409 N ms, session {short}, error not_ready",
    ]


def test_s40_a_refused_call_is_a_line_that_says_why(
    person: Person, said: Callable[[], list[str]], make_app: MakeApp
) -> None:
    person.post("/api/process", headers={"Sec-Fetch-Site": "cross-site"})
    Person(make_app(SILO_REQUIRE_KEY=True)).get("/api/status")
    person.get("/api/report.xlsx?token=forged")
    assert [line.rpartition(" ")[2] for line in said()] == [
        "cross_site",
        "no_key",
        "forbidden_link",
    ]


def test_s40_a_request_that_fails_is_a_line_too(
    person: Person, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "job_json", None)
    person.get("/api/progress")
    assert said() == ["GET /api/progress 500 N ms, session -, error internal"]


def test_s40_each_line_of_a_request_has_the_id_that_its_answer_has(
    person: Person, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "job_json", None)
    here = threading.get_ident()  # others may see to sessions and jobs meanwhile
    written.handler.addFilter(lambda record: record.thread == here)
    answer = person.get("/api/progress")
    given = answer.headers["X-Request-ID"]
    lines = written.events()
    assert len(lines) == 2
    for line in lines:
        found = json.loads(line)["request_id"] if written.form == "json" else line.split()[3][:-1]
        assert found == given == answer.json["request_id"]


def test_s40_what_a_request_was_is_in_fields_of_its_own(
    person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    person.get("/healthz")
    [record] = [each for each in caplog.records if each.name == logs.log.name]
    told = json.loads(logs.Json().format(record))
    assert (told["method"], told["route"], told["status"]) == ("GET", "/healthz", 200)
    assert (told["session"], told["error"]) == ("-", "-")
    assert isinstance(told["ms"], int)


HEADERS = [
    "Accept",
    "Authorization",
    "Content-Disposition",
    "Content-Type",
    "Host",
    "Idempotency-Key",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Origin",
    "Range",
    "Referer",
    "Sec-Fetch-Site",
    "Upload-Complete",
    "Upload-Length",
    "Upload-Offset",
    "User-Agent",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Request-ID",
    "X-Requested-With",
    "X-Session-ID",
]


@pytest.mark.parametrize("name", HEADERS)
def test_s40_no_header_forms_a_line(make_app: MakeApp, written: Written, name: str) -> None:
    """Put behind the server's back, as one that checked no header would hand them on."""
    app = make_app(SILO_TRUSTED_PROXIES=1, SILO_REQUIRE_KEY=name == "Authorization")
    variable = name.upper().replace("-", "_")
    if name != "Content-Type":
        variable = f"HTTP_{variable}"
    environ = {variable: HOSTILE.encode().decode("latin-1")}
    for method, path in (("GET", "/"), ("POST", "/api/process"), ("POST", "/api/uploads")):
        run_wsgi_app(app, {**create_environ(path, method=method), **environ}, buffered=True)
    assert "all is well" not in "".join(written.events())
    assert len(written.events()) >= 3


@pytest.mark.parametrize("part", ["PATH_INFO", "QUERY_STRING", "REQUEST_METHOD"])
def test_s40_no_address_and_no_method_forms_a_line(app: Flask, written: Written, part: str) -> None:
    text = HOSTILE.encode().decode("latin-1")
    given = f"/api/uploads/{text}" if part == "PATH_INFO" else text
    written.handler.addFilter(logging.Filter(logs.log.name))  # others' jobs may end meanwhile
    app.test_client().open("/api/status", environ_overrides={part: given})
    [line] = written.events()
    assert len(line) < 400


@pytest.mark.parametrize("name", [*NAMES, "evil\u2028\u202e\x1b[2J.csv", "evil.pdf"])
def test_s40_no_file_name_gets_into_the_log(person: Person, written: Written, name: str) -> None:
    upload_raw(person, name)
    person.post(
        "/api/uploads",
        headers={
            "Content-Disposition": "attachment; filename*=UTF-8''evil%0A%1B.pdf",
            "Upload-Complete": "?1",
        },
        data=b"x",
    )
    person.process()
    person.end()
    for line in written.events():
        assert not re.search(r"evil|\.csv|\.pdf|passwd|cmd|onerror", line), line


def test_s40_the_log_of_a_whole_visit_holds_no_secret(
    make_app: MakeApp, written: Written, clock: Clock
) -> None:
    app = make_app(SILO_RUNNER="thread", SILO_REQUIRE_KEY=True)
    silo = app.extensions["silo"]
    key = Keys(silo.store.records).create("a", ("upload", "process", "read"))
    person = Person(app)
    bearer = {"Authorization": f"Bearer {key}"}
    person.client.environ_base["HTTP_AUTHORIZATION"] = bearer["Authorization"]
    person.has_report(("salaries.csv", b"a,b\nsecret cell,2\n"))
    link = person.post("/api/report/link").json["url"]
    person.get(link)
    person.get(f"/api/nothing/{person.sid}")
    person.get(f"/api/status?_sid={person.sid}")
    clock.advance(4000)
    silo.store.cleanup()
    assert error(person.get("/api/progress")) == (410, "session_expired")
    bare, _, signature = person.sid.rpartition(".")
    token = link.rpartition("=")[2]
    for secret in (bare, signature, token, key.split("_", 2)[2], "salaries", "secret cell"):
        assert secret not in written.text
    short = session_key(person.sid)[:8]
    assert f"session {short} has expired" in written.text
    assert not re.search("[0-9a-f]{33}", written.text)


def test_s40_a_job_is_followed_from_its_start_to_its_end(
    person: Person, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.has_report()
    short = session_key(person.sid)[:8]
    eventually(lambda: f"{short} is complete" in written.text)
    monkeypatch.setattr(views, "run", steps.mistake)
    person.process()
    assert person.end().name == "failed"
    eventually(lambda: f"{short} is failed" in written.text)
    found = re.findall(rf"job [0-9a-f]+ of session {short} is (\w+), attempt 1", written.text)
    assert found == ["running", "complete", "running", "failed"]


def test_s40_a_step_that_crashes_is_one_event(
    person: Person, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        raise ValueError(HOSTILE)

    monkeypatch.setattr(views, "run", crash)
    person.upload()
    person.process()
    assert person.end().name == "failed"
    eventually(lambda: " is failed" in written.text)
    [event] = [line for line in written.events() if "task report" in line]
    if written.form == "json":
        assert "ValueError: x" in json.loads(event)["trace"]
    else:
        below = written.text.partition(event)[2].split("\n")[1:]
        assert any("ValueError: x\\r" in line for line in below)


@pytest.mark.parametrize("form", logs.FORMATTERS)
def test_s40_what_is_logged_cannot_pass_for_a_line_of_its_own(form: logs.Format) -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError as caught:
        failed = (type(caught), caught, caught.__traceback__)
    record = logging.LogRecord("app", logging.ERROR, "", 0, "%s", (HOSTILE,), failed)
    written = Written(form)
    written.handler.emit(record)
    assert len(written.events()) == 1
    assert "Traceback" in written.text


def test_s40_control_characters_are_shown() -> None:
    record = logging.LogRecord(
        "app", logging.INFO, "", 0, "a\nb\x1b[2J\r\x00\x85\u2028\u202e\t.", (), None
    )
    assert (
        logs.Text()
        .format(record)
        .endswith("INFO app -: a\\nb\\x1b[2J\\r\\x00\\x85\\u2028\\u202e\\t.")
    )
