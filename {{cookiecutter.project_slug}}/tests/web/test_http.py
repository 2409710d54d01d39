"""What holds for every call, whatever it is: guards, one form of errors, the right code."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote, unquote

import pytest
from flask import Flask, Response, redirect
from support import Clock
from werkzeug.exceptions import BadRequestKeyError, ServiceUnavailable, TooManyRequests

from {{ cookiecutter.package_name }}.calls import CALLS
from {{ cookiecutter.package_name }}.openapi import SAFE
from {{ cookiecutter.package_name }}.problems import STATUS_OF_CODE, TITLES
from {{ cookiecutter.package_name }}.silo.errors import (
    KeyInvalid,
    SiloError,
    TaskRunning,
    TooManyStreams,
)
from {{ cookiecutter.package_name }}.silo.refusals import STATUS_OF

from .conftest import MakeApp
from .person import Answer, Person, error
from .test_bad_input import upload_raw
from .test_security import check_headers

ID = "0" * 32


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Every method and path of the API."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint in CALLS:
            for method in sorted(rule.methods or ()):
                yield method, re.sub("<.*?>", ID, rule.rule)


def changes(app: Flask) -> list[tuple[str, str]]:
    return [(method, path) for method, path in routes(app) if method not in SAFE]


# S7


def test_s07_every_call_of_the_api_is_guarded(app: Flask) -> None:
    person = Person(app)
    person.upload()
    every = list(routes(app))
    assert len(every) > 30
    for method, path in every:
        for caller in (person, Person(app), Person(app, "forged" * 10)):
            answer = caller.call(method, path)
            check_headers(answer)
            assert answer.headers["Cache-Control"] == "no-store", (method, path)


@pytest.mark.parametrize("path", ["/away", "/folder", "/broken", "/teapot", "//", "/static/", "/%"])
def test_s07_what_is_no_call_is_guarded_too(make_app: MakeApp, path: str) -> None:
    app = make_app()
    app.add_url_rule("/away", view_func=lambda: redirect("/"))
    app.add_url_rule("/folder/", "folder", lambda: "")
    app.add_url_rule("/broken", "broken", lambda: str(1 / 0))
    app.add_url_rule("/teapot", "teapot", lambda: ("", 418))
    answer = Person(app).get(path)
    assert answer.status_code >= 300
    check_headers(answer)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "GARBAGE"])
def test_s07_an_unknown_method_is_guarded_too(person: Person, method: str) -> None:
    for path in ("/", "/api/status", "/static/app.js", "/nothing"):
        answer = person.call(method, path)
        assert error(answer)[0] in (404, 405)
        check_headers(answer)


# S8

NAMED = [
    'quo"ted.csv',
    "semi;colon=1.csv",
    "back\\\\slash.csv",
    "it's.csv",
    "naïve 表 😀.csv",
    "...csv",
    "..%2f..%2fetc.csv",
    "a%0d%0aX-Evil: 1.csv",
    "=cmd.csv",
    "<b>.csv",
    "-.csv",
]


def name_of(answer: Answer) -> str:
    """The name under which a browser saves an answer, by RFC 6266."""
    [header] = answer.headers.getlist("Content-Disposition")
    assert header.startswith("attachment; ")
    assert header.isascii()
    assert header.isprintable()
    extended = re.findall(r"filename\*=UTF-8''([!#$&+.^_`|~A-Za-z0-9%-]+)", header)
    if extended:
        return unquote(extended[0])
    [(quoted, bare)] = re.findall(r'filename=(?:"((?:[^"\\]|\\.)*)"|([^";]+))$', header)
    return re.sub(r"\\(.)", r"\1", quoted or bare)


@pytest.mark.parametrize("name", NAMED)
def test_s08_a_download_has_the_upload_s_name_and_nothing_else(person: Person, name: str) -> None:
    [file] = upload_raw(person, name).json["files"]
    person.process()
    assert person.end().name == "complete"
    answer = person.get("/api/report.xlsx")
    assert answer.status_code == 200
    assert name_of(answer) == f"{file['name'].removesuffix('.csv')} report.xlsx"
    assert "/" not in name_of(answer)
    assert "X-Evil" not in answer.headers


def test_s08_a_line_break_in_a_coded_name_ends_no_header(person: Person) -> None:
    name = quote("../../a\r\nX-Evil: 1\r\n\r\n.csv", safe="")
    begun = person.post(
        "/api/uploads",
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Upload-Complete": "?1",
        },
        data=b"a,b\n1,2\n",
    )
    assert begun.status_code == 201
    taken = person.post("/api/upload", json={"uploads": [begun.json["id"]]})
    assert taken.status_code == 201, taken.text
    person.process()
    assert person.end().name == "complete"
    answer = person.get("/api/report.xlsx")
    assert name_of(answer) == "aX-Evil: 1 report.xlsx"
    assert "X-Evil" not in answer.headers


MANY = ",".join(f"{n}-{n}" for n in range(10_000))
RANGES: dict[str, int | None] = {
    "bytes=0-0": 1,
    "bytes=10-19": 10,
    "bytes=-5": 5,
    "bytes=0-99999999999999999999": -1,
    "bytes=-99999999999999999999": None,
    "bytes=0-": -1,
    "bytes=99999999-": None,
    "bytes=-0": None,
    "bytes=0-0,5-9": None,
    "bytes=0-100,50-150": None,
    "bytes=0-,0-,0-,0-": None,
    f"bytes={MANY}": None,
    "bytes=9-1": None,
    "bytes=a-b": None,
    "bytes=": None,
    "bytes=--1": None,
    "bytes=1": None,
    "lines=0-9": None,
    "=": None,
    "bytes=\u0661-\u0662": None,
    f"bytes={'9' * 5000}-": None,
    f"bytes=0-{'9' * 5000}": None,
}


@pytest.fixture(scope="module")
def reported(app: Flask) -> Person:
    """Somebody with a report."""
    person = Person(app)
    person.has_report()
    return person


@pytest.mark.parametrize("asked", RANGES, ids=range(len(RANGES)))
@pytest.mark.parametrize("path", ["/api/report.xlsx", "/api/report"])
def test_s08_a_part_is_one_part_and_never_more_than_the_whole(
    reported: Person, path: str, asked: str
) -> None:
    session = {"X-Session-ID": reported.sid}
    whole = reported.client.get(path, headers=session, buffered=True).data
    headers = {**session, "Range": asked}
    answer = reported.client.get(path, headers=headers, buffered=True)
    size = RANGES[asked]
    if size is None:
        # Several parts, or none that makes sense: all of it, or nothing, as RFC 9110 leaves open.
        assert answer.status_code in (200, 206, 416)
        assert answer.status_code == 416 or answer.data == whole
    else:
        assert answer.status_code == 206
        assert len(answer.data) == (len(whole) if size == -1 else size)
        assert answer.data in whole
    assert answer.headers["Content-Security-Policy"]


def test_s08_a_part_of_something_else_is_all_of_it(reported: Person) -> None:
    headers = {"Range": "bytes=0-0", "If-Range": '"another"'}
    answer = reported.get("/api/report.xlsx", headers=headers)
    assert (answer.status_code, answer.data[:2]) == (200, b"PK")


# S10


def test_s10_no_call_that_changes_something_is_left_out(app: Flask) -> None:
    every = changes(app)
    assert {path for _, path in every} >= {"/api/upload", "/api/uploads", f"/api/uploads/{ID}"}
    for method, path in every:
        person = Person(app)
        person.upload()
        for origin in ("https://evil.example", "null", "", "http://localhost.evil.example"):
            headers = {"Sec-Fetch-Site": "cross-site", "Origin": origin}
            refused = person.call(method, path, headers=headers)
            assert error(refused) == (403, "cross_site"), (method, path, origin)
        assert [file["name"] for file in person.status()["files"]] == ["sales.xlsx"]


def test_s10_no_form_of_another_site_reaches_a_call(app: Flask) -> None:
    for method, path in changes(app):
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""):
            came = app.test_client().open(path, method=method, data=b"a=b", content_type=kind)
            assert came.status_code == 403, (method, path, kind)
            assert came.get_json()["error"] == "cross_site"
            assert "X-Session-ID" not in came.headers


def test_s10_a_method_cannot_be_smuggled_in(app: Flask) -> None:
    client = app.test_client()
    for given in (
        {"headers": {"X-HTTP-Method-Override": "POST"}},
        {"query_string": {"_method": "POST"}},
    ):
        assert client.get("/api/reset", **given).status_code == 405


# S11

INSIDE = re.compile(
    r"Traceback|[a-z_]+\.py|line \d+|[a-z]Error\b|Exception|SELECT|INSERT|sqlite|werkzeug|flask|"
    r"gunicorn|pydantic|python|/(?:usr|home|var|tmp|opt|etc)/|<class|object at|"
    r"\b{{ cookiecutter.package_name }}\.[a-z]"
)


def check_tells_nothing(answer: Answer, asked: str = "") -> None:
    error(answer)
    told = json.dumps(answer.json).replace(asked, "") if asked else answer.text
    assert not INSIDE.search(told), told
    assert not any("Server" in name or "Powered" in name for name, _ in answer.headers)


def made(kind: type[SiloError]) -> SiloError:
    """An error of silo, with whatever it wants to be told."""
    told: dict[type[SiloError], str | int] = {
        KeyInvalid: "A key has 1 to 255 characters.",
        TaskRunning: "report",
        TooManyStreams: 8,
    }
    return kind(told[kind]) if kind in told else kind()


BREAKS: list[Callable[[], Exception]] = [
    lambda: RuntimeError("SELECT secret FROM sessions"),
    lambda: sqlite3.OperationalError("no such table: sessions"),
    lambda: FileNotFoundError(2, "No such file", "/var/lib/app/secret"),
    lambda: PermissionError(13, "Permission denied", "/var/lib/app/secret"),
    lambda: UnicodeDecodeError("utf-8", b"secret", 0, 1, "at /home/me"),
    lambda: RecursionError("in views.py"),
    lambda: MemoryError(),
    lambda: KeyError("<class 'Secret'>"),
    lambda: AssertionError(),
    lambda: StopIteration(),
    lambda: BadRequestKeyError("secret.py"),
    lambda: SiloError("NamespaceError in /home/me/views.py"),
    *(partial(made, kind) for kind in STATUS_OF),
]


@pytest.mark.parametrize("number", range(len(BREAKS)))
@pytest.mark.parametrize("when", ["before the view", "in the view", "after the view"])
def test_s11_an_error_says_nothing_of_the_inside(make_app: MakeApp, number: int, when: str) -> None:
    def broken(*_: object) -> Response:
        if not broke:
            broke.append(True)
            raise BREAKS[number]()
        return Response()

    broke: list[bool] = []
    app = make_app()
    app.add_url_rule("/broken", view_func=broken if when == "in the view" else lambda: "")
    if when == "before the view":
        app.before_request(broken)
    if when == "after the view":
        app.after_request(lambda response: broken() if not broke else response)
    answer = Person(app).get("/broken")
    assert answer.status_code >= 400
    assert answer.json["error"] in STATUS_OF_CODE
    check_tells_nothing(answer)
    check_headers(answer)


def test_s11_every_refusal_has_the_one_form(app: Flask) -> None:
    person = Person(app)
    person.upload()
    strange = "/..%5c/%00/'\"<x>/views.py"
    refused = [
        (person.get(strange), "/..\\\\/\\u0000/'\\\"<x>/views.py"),
        (person.post("/api/process", data=b"{", content_type="application/json"), ""),
        (person.post("/api/process", json={"x.py": "SELECT"}), "x.py"),
        (person.get("/api/report.xlsx?token=../../etc/passwd"), ""),
        (person.get("/api/report"), ""),
        (person.call("PUT", "/api/upload"), ""),
        (person.upload(("scan.pdf", b"%PDF")), ""),
        (person.post("/api/upload", headers={"Idempotency-Key": "\\"}), ""),
        (person.call("PATCH", f"/api/uploads/{ID}"), ""),
        (person.call("DELETE", "/api/uploads/../../etc"), "/api/etc"),
    ]
    for answer, asked in refused:
        assert answer.status_code >= 400
        check_tells_nothing(answer, asked)


# S12


def code(answer: Answer) -> int:
    """The code of a refusal that has the form, and says when to come back where that is useful."""
    status, _ = error(answer)
    assert answer.json["title"] == TITLES[status]
    waits = answer.headers.get("Retry-After")
    assert waits is None or int(waits) > 0
    if status in (429, 503):
        assert waits
    return status


def test_s12_each_refusal_has_its_code(person: Person, clock: Clock) -> None:
    process = {"data": b"{", "content_type": "application/json"}
    partial = {"Upload-Offset": "0", "Content-Type": "text/plain"}
    assert code(person.post("/api/process", **process)) == 400
    assert code(person.get("/api/nothing")) == 404
    refused = person.get("/api/reset")
    assert code(refused) == 405
    assert "POST" in refused.headers["Allow"]
    assert code(person.process()) == 409
    assert code(person.post("/api/process", data=b"x" * (2**20 + 1))) == 413
    assert code(person.upload(("scan.pdf", b"%PDF"))) == 415
    assert code(person.call("PATCH", f"/api/uploads/{ID}", headers=partial)) in (404, 415)
    assert code(person.upload(("a.csv", b""))) == 422
    assert code(person.process(largest=0)) == 422
    person.has_report()
    assert code(person.get("/api/report.xlsx", headers={"Range": "bytes=99999999-"})) == 416
    assert code(person.get("/api/report.xlsx?token=x")) == 403
    clock.advance(4000)
    assert code(person.get("/api/progress")) == 410
    assert code(person.process()) == 410


@pytest.mark.parametrize("kind", STATUS_OF)
def test_s12_each_error_of_silo_has_its_code(make_app: MakeApp, kind: type[SiloError]) -> None:
    def fail() -> Response:
        raise made(kind)

    app = make_app()
    app.add_url_rule("/fails", view_func=fail)
    answer = Person(app).get("/fails")
    assert error(answer) == (STATUS_OF[kind][0], STATUS_OF[kind][2])
    assert code(answer) == STATUS_OF[kind][0]


@pytest.mark.parametrize("kind", [TooManyRequests, ServiceUnavailable])
def test_s12_what_others_raise_says_when_to_come_back(
    make_app: MakeApp, kind: type[Exception]
) -> None:
    def fail() -> Response:
        raise kind

    app = make_app()
    app.add_url_rule("/full", view_func=fail)
    assert int(Person(app).get("/full").headers["Retry-After"]) > 0
