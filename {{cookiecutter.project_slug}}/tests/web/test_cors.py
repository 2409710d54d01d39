"""Pages of other origins: shut out, but for those that the settings name."""

from __future__ import annotations

import pytest
from flask import Flask
from support import Clock

from .conftest import MakeApp
from .person import Answer, Person, error

FRIEND = "https://app.example.com"
STRANGERS = [
    "https://evil.example",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://appxexample.com",
    "http://app.example.com",
    "https://app.example.com:8443",
    "null",
]


@pytest.fixture
def friendly(make_app: MakeApp) -> Flask:
    """An app that pages of two other origins may call."""
    return make_app(SILO_RUNNER="thread", SILO_CORS_ORIGINS=f"{FRIEND}, http://localhost:5173")


HEADERS = "x-session-id, x-requested-with, content-type, idempotency-key"


def preflight(app: Flask, origin: str, headers: str = HEADERS) -> Answer:
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": headers,
    }
    return Person(app).call("OPTIONS", "/api/upload", headers=asks)


def cors(answer: Answer) -> dict[str, str]:
    return {k: v for k, v in answer.headers if k.startswith("Access-Control")}


@pytest.mark.parametrize("origin", [FRIEND, *STRANGERS])
def test_s09_it_is_closed_by_default(app: Flask, origin: str) -> None:
    assert cors(preflight(app, origin)) == {}
    person = Person(app)
    person.upload()
    assert cors(person.get("/api/status", headers={"Origin": origin})) == {}


@pytest.mark.parametrize("origin", STRANGERS)
def test_s09_an_origin_that_is_not_named_stays_outside(friendly: Flask, origin: str) -> None:
    assert cors(preflight(friendly, origin)) == {}
    assert cors(Person(friendly).get("/api/status", headers={"Origin": origin})) == {}


@pytest.mark.parametrize("origin", [FRIEND, "http://localhost:5173"])
def test_s09_a_named_origin_may_call_and_sees_the_session(friendly: Flask, origin: str) -> None:
    asked = preflight(friendly, origin)
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == origin
    allowed = asked.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"x-session-id", "x-requested-with", "content-type", "idempotency-key"} <= set(allowed)
    methods = asked.headers["Access-Control-Allow-Methods"].split(", ")
    assert {"GET", "POST", "PATCH", "DELETE"} <= set(methods)
    assert "Access-Control-Allow-Credentials" not in asked.headers
    person = Person(friendly)
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    answer = person.post("/api/reset", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Session-ID", "Location", "Upload-Offset", "Upload-Complete"} <= set(exposed)
    assert {"Idempotency-Replayed", "Retry-After"} <= set(exposed)
    assert "Origin" in answer.headers["Vary"]


def test_s09_a_named_origin_may_show_a_key_where_one_is_asked_for(make_app: MakeApp) -> None:
    for required in (True, False):
        app = make_app(SILO_CORS_ORIGINS=FRIEND, SILO_REQUIRE_KEY=required)
        asked = preflight(app, FRIEND, headers="authorization, x-session-id")
        assert asked.status_code == 200
        allowed = asked.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert "x-session-id" in allowed
        assert ("authorization" in allowed) == required


def test_s09_a_refusal_can_be_read_from_there_too(friendly: Flask, clock: Clock) -> None:
    person = Person(friendly)
    person.upload()
    clock.advance(4000)
    headers = {"Origin": FRIEND}
    for answer, expected in (
        (person.get("/api/progress", headers=headers), (410, "session_expired")),
        (Person(friendly).post("/api/process", headers=headers), (409, "nothing_uploaded")),
        (person.get("/api/nothing", headers=headers), (404, "not_found")),
    ):
        assert error(answer) == expected
        assert answer.headers["Access-Control-Allow-Origin"] == FRIEND


def test_s09_the_page_itself_is_for_nobody_elses_scripts(friendly: Flask) -> None:
    for path in ("/", "/static/app.js", "/healthz"):
        assert cors(Person(friendly).get(path, headers={"Origin": FRIEND})) == {}
