"""Upload, process, cancel and reset with an `Idempotency-Key`: sent again, they act once."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from flask import Flask
from support import Clock

from {{ cookiecutter.package_name }} import views

from . import steps
from .conftest import MakeApp
from .person import Answer, Person, error

FILE = ("sales.csv", b"Region,Amount\nNorth,1\n")


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


def upload(person: Person, key: str, *files: tuple[str, bytes]) -> Answer:
    """An upload with a key; its form has another boundary each time, as a browser's has."""
    return person.upload(*(files or [FILE]), headers=named(key))


def process(person: Person, key: str, **options: Any) -> Answer:
    return person.post("/api/process", json=options, headers=named(key))


def cancel(person: Person, key: str) -> Answer:
    return person.post("/api/cancel", headers=named(key))


def reset(person: Person, key: str) -> Answer:
    return person.post("/api/reset", headers=named(key))


def named(key: str) -> dict[str, str]:
    return {"Idempotency-Key": f'"{key}"'}


def is_replay(answer: Answer) -> bool:
    return answer.headers.get("Idempotency-Replayed") == "true"


def test_an_upload_that_comes_again_is_stored_once(key: str, person: Person) -> None:
    first, again = upload(person, key), upload(person, key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert again.json == first.json
    assert person.stored() == [FILE[1]]
    assert again.headers["Cache-Control"] == "no-store"
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]


def test_a_first_upload_whose_answer_was_lost_brings_its_session(key: str, app: Flask) -> None:
    lost, person = Person(app), Person(app)
    upload(lost, key)
    answer = upload(person, key)
    assert is_replay(answer)
    assert person.sid == lost.sid
    assert person.status()["files"] == answer.json["files"]


def test_another_file_under_the_same_key_is_refused(key: str, person: Person) -> None:
    upload(person, key)
    for files in ([("sales.csv", b"a\n2\n")], [("other.csv", FILE[1])], [FILE, FILE]):
        assert error(upload(person, key, *files)) == (422, "idempotency_mismatch")
    assert person.stored() == [FILE[1]]


def test_a_refused_upload_lets_its_key_go(key: str, person: Person) -> None:
    assert error(upload(person, key, ("empty.csv", b""))) == (422, "empty_file")
    assert upload(person, key).status_code == 201


def test_a_malformed_key_is_told(key: str, person: Person) -> None:
    for call in (upload, process):
        assert error(call(person, "a b")) == (400, "invalid_idempotency_key")
    assert error(upload(person, "short")) == (400, "invalid_idempotency_key")
    assert person.status()["session"] == "none"


def test_a_start_that_comes_again_is_the_same_job(key: str, person: Person) -> None:
    upload(person, key)
    first = process(person, key, largest=3)
    again = process(person, key, largest=3)
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert again.json == first.json
    assert person.end().name == "complete"
    late = process(person, key, largest=3)
    assert is_replay(late)
    assert person.status()["job"]["id"] == first.json["id"]
    assert error(process(person, key, largest=4)) == (422, "idempotency_mismatch")
    assert process(person, "a-new-key", largest=3).json["id"] != first.json["id"]
    assert person.end().name == "complete"


def test_a_cancel_that_comes_again_leaves_the_next_job_alone(
    key: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "run", steps.endless)
    person.upload()
    person.process()
    first = cancel(person, key)
    person.end()
    person.process()
    again = cancel(person, key)
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert again.json == first.json
    assert person.get("/api/progress").json["running"]
    assert person.post("/api/cancel").status_code == 202
    assert person.end().name == "cancelled"


def test_what_was_done_and_its_answer_are_one(
    key: str, person: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the server died as soon as it had done it."""
    for name in ("keep", "release"):
        monkeypatch.setattr(app.extensions["silo"].answers, name, lambda *_: None)
    for call in (upload, process):
        first, again = call(person, key), call(person, key)
        assert is_replay(again)
        assert again.json == first.json
    assert person.end().name == "complete"


def test_one_key_may_serve_both(key: str, person: Person) -> None:
    assert upload(person, key).status_code == 201
    assert process(person, key).status_code == 202


def test_after_starting_over_nothing_that_is_gone_is_shown(key: str, person: Person) -> None:
    upload(person, key)
    process(person, key)
    person.end()
    assert person.post("/api/reset").status_code == 204
    assert error(process(person, key)) == (409, "nothing_uploaded")
    again = upload(person, key)
    assert not is_replay(again)
    assert person.status()["files"] == again.json["files"]
    assert process(person, key).status_code == 202
    assert person.end().name == "complete"


def test_starting_over_that_comes_again_leaves_what_came_since(key: str, person: Person) -> None:
    person.upload()
    first = reset(person, key)
    assert person.status()["files"] == []
    since = person.upload()
    again = reset(person, key)
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert (first.status_code, again.status_code) == (204, 204)
    assert person.status()["files"] == since.json["files"]
    assert person.post("/api/reset").status_code == 204
    assert person.status()["files"] == []


def test_an_expired_session_s_start_is_gone(key: str, person: Person, clock: Clock) -> None:
    upload(person, key)
    process(person, key)
    person.end()
    clock.advance(4000)
    assert error(process(person, key)) == (410, "session_expired")
    assert not is_replay(upload(person, key))


def test_options_that_are_too_long_are_refused_with_a_key_too(key: str, person: Person) -> None:
    upload(person, key)
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    answer = person.post("/api/process", data=b" " * (2**20 + 1), headers=headers)
    assert error(answer) == (413, "too_large")


@pytest.mark.parametrize("store", ["memory://", ""])
def test_every_store_backs_it(key: str, make_app: MakeApp, store: str) -> None:
    person = Person(make_app(SILO_STORE_URL=store, SILO_RUNNER="thread"))
    upload(person, key)
    first, again = process(person, key), process(person, key)
    assert is_replay(again)
    assert again.json == first.json
    assert person.end().name == "complete"


@pytest.mark.parametrize(
    "part",
    [
        b"name=\"x\"; filename*=UTF-8''%ED%A0%80.csv",
        b"filename=",
        b"name*=x''%ff",
        b'name="\xed\xa0\x80"',
        b'name="\xff"; filename="\xff.csv"',
        b"",
    ],
)
def test_a_form_whose_parts_have_odd_names_or_none_is_refused(
    key: str, person: Person, part: bytes
) -> None:
    person.upload()
    body = b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n\r\ntext\r\n--b--\r\n"
    answer = person.post(
        "/api/upload",
        data=body,
        headers={"Idempotency-Key": key},
        content_type="multipart/form-data; boundary=b",
    )
    assert answer.status_code in (400, 415, 422), answer.text
    error(answer)
