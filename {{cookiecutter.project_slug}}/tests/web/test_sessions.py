"""Whose a session is: nobody's but its owner's, whatever others send."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from flask import Flask
from support import Clock

from {{ cookiecutter.package_name }}.calls import CALLS
from {{ cookiecutter.package_name }}.openapi import Operation
from {{ cookiecutter.package_name }}.silo.sessions.ids import SessionIds, session_key

from .conftest import MakeApp
from .person import Answer, Person, csv_text, error

SECRET_CELL = "Ownerville"
DATA = csv_text([["Region", "Amount"], [SECRET_CELL, 1234.5]])
NAME = "owners-own.csv"
NAMED = {"Content-Disposition": "attachment; filename=a.csv"}


# S1: ids are given out by the server alone


def hostile_ids(folder: Path, app: Flask) -> Iterator[str]:
    yield from ("../../x", "../" * 20 + "etc/passwd", "/etc", f"{folder}", f"{folder}/canary")
    yield from ("a" * 10_000, "a" * 43 + "." + "b" * 43, "." * 50, "%2e%2e%2f" * 5, "x" * 15)
    yield from ("é" * 40, "a\u202eb" * 20, "null", "undefined", "' OR 1=1 --", "${jndi:ldap://x}")
    yield SessionIds("another secret of sixteen characters").issue()
    yield SessionIds(app.config["SECRET_KEY"]).issue()[:-1]
    yield app.config["SECRET_KEY"]


def test_s01_an_id_of_ones_own_making_is_neither_kept_nor_a_path(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(SILO_RUNNER="thread")
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "file").write_text("alive")
    before = sorted(tmp_path.rglob("*"))
    for sid in hostile_ids(tmp_path, app):
        for header in (sid, sid.encode().decode("latin-1")):
            stranger = Person(app, header)
            for path in ("/api/reset", "/api/cancel", "/api/process", "/api/report/link"):
                assert stranger.post(path).status_code in (204, 409)
            assert stranger.status()["session"] == "none"
            assert stranger.sid == header, "none was given"
    assert (canary / "file").read_text() == "alive"
    assert sorted(tmp_path.rglob("*")) == before
    stranger = Person(app, str(canary))
    assert stranger.upload((NAME, DATA)).status_code == 201
    assert re.fullmatch(r"[\w-]{43}\.[\w-]{43}", stranger.sid), "it was given one of ours"
    assert stranger.post("/api/reset").status_code == 204
    assert (canary / "file").read_text() == "alive"


@pytest.mark.parametrize("sid", ["a\0b" * 20, "a\nb" * 20, "a\r\nX-Other: b" * 5, "\ud800" * 40])
def test_s01_what_no_header_can_hold_is_no_id(app: Flask, sid: str) -> None:
    """As a server would hand it on that lets everything through."""
    overrides = {"HTTP_X_SESSION_ID": sid, "HTTP_X_REQUESTED_WITH": "test"}
    client = app.test_client()
    for path in ("/api/reset", "/api/process"):
        came = client.post(path, environ_overrides=overrides)
        assert came.status_code in (204, 409)
        assert "X-Session-ID" not in came.headers


def kinds(folder: Path) -> dict[str, int]:
    """How many records of each kind there are."""
    connection = sqlite3.connect(folder / "silo.db")
    found = connection.execute("SELECT kind, count(*) FROM records GROUP BY kind").fetchall()
    connection.close()
    return dict(found)


FREE = [
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/static/app.js"),
    ("GET", "/api/options"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/status"),
    ("GET", "/api/progress"),
    ("GET", "/api/events"),
    ("GET", "/api/report"),
    ("GET", "/api/report.xlsx?token=x"),
    ("GET", "/api/nothing"),
    ("GET", "/nothing"),
    ("HEAD", "/api/status"),
    ("HEAD", "/api/uploads/unknown"),
    ("OPTIONS", "/api/uploads"),
    ("PATCH", "/api/uploads/unknown"),
    ("DELETE", "/api/uploads/unknown"),
    ("POST", "/api/nothing"),
    ("POST", "/api/upload"),
    ("POST", "/api/uploads"),
    ("POST", "/api/process"),
    ("POST", "/api/cancel"),
    ("POST", "/api/reset"),
    ("POST", "/api/report/link"),
]
"""Calls that need no session, because they bring nothing that would have to be kept."""


def test_s01_a_thousand_calls_that_need_no_session_make_none(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(SILO_RUNNER="thread")
    files = sorted((tmp_path / "instance").rglob("*"))
    assert kinds(tmp_path / "instance") == {"secret": 1}  # its mark
    for number in range(1000):
        method, path = FREE[number % len(FREE)]
        came = app.test_client().open(
            path, method=method, headers={"X-Requested-With": "test"}, buffered=True
        )
        assert "X-Session-ID" not in came.headers, path
        assert "Set-Cookie" not in came.headers, path
        assert came.status_code < 500, path
    assert app.extensions["silo"].store.active_count == 0
    # For the address that they all come from, and for the figures.
    left = {("secret", 1), ("limit", 1), ("counts", 1), ("total", 1)}
    assert set(kinds(tmp_path / "instance").items()) <= left
    assert sorted((tmp_path / "instance").rglob("*")) == files


@pytest.mark.parametrize("path", ["/api/upload", "/api/uploads"])
def test_s01_a_session_begins_with_the_first_call_that_needs_one(
    make_app: MakeApp, path: str
) -> None:
    app = make_app(SILO_RUNNER="thread")
    person, store = Person(app), app.extensions["silo"].store
    answer = (
        person.upload((NAME, DATA))
        if path == "/api/upload"
        else person.post(path, data=DATA, headers=NAMED)
    )
    assert answer.status_code == 201
    assert answer.headers["X-Session-ID"]
    assert store.active_count == 1


# S2: what lies on the disk cannot be sent as an id


def test_s02_nothing_that_lies_on_the_disk_is_an_id(
    make_app: MakeApp, tmp_path: Path, clock: Clock
) -> None:
    app = make_app()
    people = [Person(app), Person(app)]
    for person in people:
        headers = {"Idempotency-Key": '"5c1f7f0e-2f5e-4f7e-8f43-0f6d9d1f8a11"'}
        assert person.post("/api/uploads", data=DATA, headers={**NAMED, **headers})
        person.has_report((NAME, DATA))
        person.post("/api/report/link")
    clock.advance(4000)
    people[0].upload((NAME, DATA))
    app.extensions["silo"].store.cleanup()
    app.extensions["silo"].stop()  # what its jobs had for themselves is gone
    told = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(b"session" in data for data in told.values()), "the store is looked at"
    for person in people:
        _, _, signature = person.sid.rpartition(".")
        for path, data in told.items():
            assert signature.encode() not in data, path
            assert signature not in str(path)
    for word in set(re.findall(rb"[\w.-]{16,200}", b" ".join(told.values()))):
        assert Person(app, word.decode()).status()["session"] == "none", word


# S4: a link is for one report of one session, and for nothing else


def test_s04_a_link_is_no_session_and_a_session_is_no_link(person: Person) -> None:
    person.has_report((NAME, DATA))
    link = person.post("/api/report/link").json["url"]
    [token] = parse_qs(urlsplit(link).query)["token"]
    for endpoint, path, method, _ in operations(person.app):
        if endpoint == "downloads.workbook":
            continue
        told = re.sub(r"<\w+>", "unknown", path)
        for given in ({"query_string": {"token": token}}, {"headers": {"X-Session-ID": token}}):
            answer = Person(person.app).call(method, told, **given)
            assert answer.status_code != 200 or not reveals(answer), (method, told)
    for other in (person.sid, person.sid.rpartition(".")[0], token.partition(".")[0]):
        answer = Person(person.app).get("/api/report.xlsx", query_string={"token": other})
        assert error(answer) == (403, "forbidden_link")


def test_s04_a_link_gives_the_report_that_it_is_for_whoever_opens_it(
    person: Person, other: Person
) -> None:
    person.has_report((NAME, DATA))
    other.has_report(("others.csv", b"a,b\n1,2\n"))
    link = person.post("/api/report/link").json["url"]
    assert other.get(link).headers["Content-Disposition"].count("owners-own")
    other.post("/api/reset")
    assert other.get(link).status_code == 200
    person.post("/api/reset")
    assert error(person.get(link)) == error(other.get(link)) == (403, "forbidden_link")


# S5: whoever asks for something of another session hears what they hear of nothing


def reveals(answer: Answer) -> bool:
    """Whether an answer holds something of the owner's."""
    text = f"{answer.data!r} {answer.headers}"
    return any(secret in text for secret in (SECRET_CELL, NAME, "1234.5"))


def operations(app: Flask) -> list[tuple[str, str, str, Operation]]:
    """Each call of the API: its endpoint, route, method, and what it takes."""
    return [
        (rule.endpoint, rule.rule, method, CALLS[rule.endpoint])
        for rule in app.url_map.iter_rules()
        if rule.endpoint in CALLS
        for method in sorted(rule.methods or ())
    ]


@dataclass
class Owner:
    """Somebody who has all that a session can have, and the ids of it."""

    person: Person
    ids: dict[str, str]

    def belongings(self) -> tuple[Any, list[bytes], str]:
        """All that another could have changed."""
        status = {**self.person.status(), "expires_in": None}
        offset = self.person.call("HEAD", f"/api/uploads/{self.ids['upload']}")
        return status, self.person.stored(), offset.headers["Upload-Offset"]


@pytest.fixture
def owner(app: Flask) -> Owner:
    person = Person(app)
    key = f'"{uuid4()}"'
    person.has_report((NAME, DATA))
    job = person.get("/api/progress").json["id"]
    begun = {"Upload-Complete": "?0", "Upload-Length": str(len(DATA)), "Idempotency-Key": key}
    headers = {**NAMED, **begun}
    upload = person.post("/api/uploads", data=DATA[:10], headers=headers).json["id"]
    [file] = person.status()["files"]
    ids = {"upload": upload, "file": file["id"], "job": job, "key": key}
    ids |= {"session": person.sid.rpartition(".")[0], "owner": session_key(person.sid)}
    return Owner(person, ids)


def unknown(found: str) -> str:
    """Something of the same look that there is not."""
    return re.sub(r"\w(?=\W*$)", lambda last: "1" if last[0] != "1" else "2", found)


def attempt(person: Person, path: str, method: str, operation: Operation, named: str) -> Answer:
    """Make a call that names something wherever it can name anything."""
    given: dict[str, Any] = {"headers": {}, "query_string": {}}
    for parameter in operation.parameters:
        if parameter.place == "query":
            given["query_string"][parameter.name] = named
        elif parameter.name in ("Idempotency-Key", "Last-Event-ID"):
            given["headers"][parameter.name] = named
    given["headers"] |= {"Upload-Offset": "10", "Upload-Complete": "?1", **NAMED}
    media = next(iter(reversed(list(operation.bodies))), "")
    if media == "application/json":
        given["json"] = {"uploads": [named]} if "upload" in path else {}
    elif media:
        given |= {"data": DATA[10:], "content_type": media}
    return person.call(method, re.sub(r"<\w+>", lambda _: named.strip('"'), path), **given)


def said(answer: Answer, named: str) -> tuple[int, str, str]:
    """What an answer says, without what differs from one to the next."""
    text = answer.text.replace(named.strip('"'), "NAMED").replace(named, "NAMED")
    if answer.mimetype == "text/plain":
        text = ""  # the figures of all, which each call changes
    for name in ("request_id", "id", "expires_in", "url"):
        text = re.sub(rf'"{name}": ?("[^"]*"|[\d.]+)', name, text)
    text = re.sub(r"^id: .*", "id", text, flags=re.MULTILINE)  # of an event: how far it is
    kept = "|".join(sorted(name for name, _ in answer.headers))
    return answer.status_code, text, kept


@pytest.fixture
def strangers(app: Flask) -> dict[str, Callable[[], Person]]:
    def somebody() -> Person:
        person = Person(app)
        person.post("/api/uploads", data=b"a,b\n1,2\n", headers=NAMED)
        return person

    return {"somebody": somebody, "nobody": lambda: Person(app)}


@pytest.mark.parametrize("endpoint", CALLS)
def test_s05_what_is_another_s_is_as_what_there_is_not(
    app: Flask, owner: Owner, strangers: dict[str, Callable[[], Person]], endpoint: str
) -> None:
    before, asked = owner.belongings(), 0
    for _, path, method, operation in (each for each in operations(app) if each[0] == endpoint):
        for what, named in owner.ids.items():
            for who, arrive in strangers.items():
                theirs = attempt(arrive(), path, method, operation, named)
                nothing = unknown(named)
                nobodys = attempt(arrive(), path, method, operation, nothing)
                place = (method, path, what, who)
                assert said(theirs, named) == said(nobodys, nothing), place
                assert theirs.status_code < 500, place
                assert not reveals(theirs), place
                asked += 1
    assert asked
    assert owner.belongings() == before


def test_s05_the_way_of_asking_would_have_got_it(app: Flask, owner: Owner) -> None:
    """The owner, who asks just so, is answered: the test above asks in earnest."""
    calls = {(each[0], each[2]): each for each in operations(app)}
    _, path, method, operation = calls["resumable.append", "PATCH"]
    assert attempt(owner.person, path, method, operation, owner.ids["upload"]).status_code == 200
    _, path, method, operation = calls["arrival.upload", "POST"]
    taken = attempt(owner.person, path, method, operation, owner.ids["upload"])
    assert (taken.status_code, json.loads(taken.data)["files"][0]["name"]) == (201, "a.csv")
