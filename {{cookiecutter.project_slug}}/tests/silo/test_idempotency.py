"""`Idempotency-Key`: the first answer again, one effect, and what becomes of both."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from flask.testing import FlaskClient
from support import Clock
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from {{ cookiecutter.package_name }}.silo import Idempotent, Silo
from {{ cookiecutter.package_name }}.silo.answers import ANSWER_SECONDS, KEPT
from {{ cookiecutter.package_name }}.silo.errors import StoreUnavailable
from {{ cookiecutter.package_name }}.silo.guests import ANSWER_BYTES
from {{ cookiecutter.package_name }}.silo.idempotency import BODY_BYTES
from {{ cookiecutter.package_name }}.silo.records import Records
from {{ cookiecutter.package_name }}.silo.refusals import problem

from .conftest import LEASE, TTL, OpenApp

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"


class World:
    """What views do besides changing state, and where they can be held up."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.held_up = False
        self.inside = threading.Event()
        self.go_on = threading.Event()

    def act(self, effect: str) -> bool:
        """Take note of an effect; the first waits if it is to be held up. Whether it was first."""
        self.effects.append(effect)
        first = len(self.effects) == 1
        if first and self.held_up:
            self.inside.set()
            self.go_on.wait(60)
        return first


MakeApp = Callable[[], Flask]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_app(open_app: OpenApp, world: World) -> MakeApp:
    """Makes an app; called again, that of another process."""

    def prepare(silo: Silo) -> None:
        silo.register("counter", lambda: {"value": 0})
        silo.add_data_endpoints("/api/data")

    def make() -> Flask:
        app = open_app(prepare)
        add_views(app, app.extensions["silo"], world)
        return app

    return make


def add_views(app: Flask, silo: Silo, world: World) -> None:
    idempotent = Idempotent(app)

    @app.post("/api/add")
    @app.post("/api/add/<name>")
    @app.put("/api/add", endpoint="put")
    @idempotent.keyed
    def add(name: str = "") -> Response:
        """Changes state."""
        state = silo.state("counter")
        state["value"] += 1
        answer = jsonify(state)
        answer.status_code = 201
        answer.headers["Location"] = f"/api/add/{state['value']}"
        answer.headers["X-Noise"] = "not kept"
        return answer

    @app.post("/api/data", endpoint="data")
    @idempotent.keyed
    def data() -> dict[str, Any]:
        return dict(silo.state("counter"))

    @app.post("/api/apart")
    @idempotent.keyed
    def apart() -> Response:
        """Changes state in a transaction of its own."""
        sid, answer = silo.sid, jsonify(done=True)
        world.act("stored")
        with silo.store.transaction(sid, silo.answered_by(answer)) as state:
            state["counter"]["value"] += 1
        return answer

    @app.post("/api/outside")
    @idempotent.keyed
    def outside() -> tuple[dict[str, Any], int]:
        """Has no state."""
        number = len(world.effects) + 1
        first = world.act("outside")
        return {"effects": number}, 500 if first and "fails" in request.args else 200

    @app.post("/api/status/<int:status>")
    @idempotent.keyed
    def status(status: int) -> Response:
        silo.state("counter")["value"] += 1
        world.effects.append(str(status))
        return problem(status, "Title", "code", "Said.")

    @app.post("/api/breaks")
    @idempotent.keyed
    def breaks() -> str:
        world.effects.append("broken")
        raise ZeroDivisionError

    @app.post("/api/large/<int:size>")
    @idempotent.keyed
    def large(size: int) -> str:
        world.effects.append("large")
        return "x" * size

    @app.post("/api/stream")
    @idempotent.keyed
    def stream() -> Response:
        world.effects.append("stream")
        return Response(iter(["a", "b"]))

    @app.post("/api/held")
    @idempotent.keyed
    def held() -> dict[str, Any]:
        """Waits inside until it may go on."""
        state: dict[str, Any] = silo.state("counter")
        world.effects.append("held")
        world.inside.set()
        world.go_on.wait(60)
        state["value"] += 1
        return state

    @app.get("/api/count")
    def count() -> dict[str, Any]:
        state: dict[str, Any] = silo.state("counter")
        return state

    @app.post("/api/reset")
    @idempotent.keyed
    def reset() -> str:
        silo.reset_current()
        return "reset"


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def send(
    client: FlaskClient, path: str = "/api/add", key: str | None = KEY, sid: str = "", **given: Any
) -> TestResponse:
    headers = {**({"X-Session-ID": sid} if sid else {})}
    headers |= {"Idempotency-Key": f'"{key}"'} if key else {}
    return client.open(path, method=given.pop("method", "POST"), headers=headers, **given)


def session(client: FlaskClient) -> str:
    """The id of a new session, whose counter stands at 1."""
    return send(client, key=None).headers["X-Session-ID"]


def value(client: FlaskClient, sid: str) -> int:
    return int(client.get("/api/count", headers={"X-Session-ID": sid}).get_json()["value"])


def code(answer: TestResponse) -> tuple[int, str]:
    assert answer.mimetype == "application/problem+json"
    return answer.status_code, answer.get_json()["error"]


def is_replay(answer: TestResponse) -> bool:
    return answer.headers.get("Idempotency-Replayed") == "true"


# The answer


def test_s30_the_same_key_gets_the_same_answer_and_has_one_effect(client: FlaskClient) -> None:
    sid = session(client)
    first, again = send(client, sid=sid), send(client, sid=sid)
    assert (first.status_code, first.get_json()) == (201, {"value": 2})
    assert not is_replay(first)
    assert is_replay(again)
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert again.mimetype == "application/json"
    assert again.headers["Location"] == first.headers["Location"]
    assert "X-Noise" not in again.headers
    assert value(client, sid) == 2


def test_another_process_knows_the_answer(make_app: MakeApp) -> None:
    one, other = make_app().test_client(), make_app().test_client()
    sid = session(one)
    assert send(one, sid=sid).get_json() == send(other, sid=sid).get_json()
    assert value(one, sid) == 2


def test_without_a_key_nothing_changes(client: FlaskClient) -> None:
    sid = session(client)
    assert not is_replay(send(client, key=None, sid=sid))
    assert value(client, sid) == 2


@pytest.mark.parametrize("path", ["/api/apart", "/api/outside"])
def test_a_view_with_a_transaction_of_its_own_or_none_acts_once(
    client: FlaskClient, world: World, path: str
) -> None:
    sid = session(client)
    first, again = send(client, path, sid=sid), send(client, path, sid=sid)
    assert is_replay(again)
    assert again.data == first.data
    assert len(world.effects) == 1


def test_s30_a_key_is_a_session_and_endpoint_s_own(client: FlaskClient) -> None:
    mine, yours = session(client), session(client)
    assert not is_replay(send(client, sid=mine))
    assert not is_replay(send(client, sid=yours))
    assert not is_replay(send(client, "/api/outside", sid=mine))
    assert (value(client, mine), value(client, yours)) == (2, 2)


def test_an_answer_that_is_too_large_or_a_stream_is_given_once(
    client: FlaskClient, world: World
) -> None:
    sid = session(client)
    for path in (f"/api/large/{ANSWER_BYTES + 1}", "/api/stream"):
        assert not is_replay(send(client, path, sid=sid))
        assert not is_replay(send(client, path, sid=sid))
    send(client, f"/api/large/{ANSWER_BYTES}", "another", sid=sid)
    assert is_replay(send(client, f"/api/large/{ANSWER_BYTES}", "another", sid=sid))
    assert world.effects == ["large", "large", "stream", "stream", "large"]


# The key


@pytest.mark.parametrize(
    "header",
    [
        "",
        '""',
        '"',
        '"abc',
        'abc"',
        '"a" "b"',
        '"a", "b"',
        "a,b",
        "a;b=c",
        '"a";b=c',
        '"a b"',
        "a b",
        '"a\\b"',
        "a\\b",
        '"ä"',
        f'"{"x" * 256}"',
        "x" * 256,
    ],
)
def test_a_malformed_key_is_refused(client: FlaskClient, header: str) -> None:
    sid = session(client)
    answer = client.post("/api/add", headers={"X-Session-ID": sid, "Idempotency-Key": header})
    assert code(answer) == (400, "invalid_idempotency_key")
    assert value(client, sid) == 1


@pytest.mark.parametrize(
    "header", ['"a"', "a", '"a\\"b"', '"a\\\\b"', '"a,b;c"', "x" * 255, f'"{"x" * 255}"', KEY]
)
def test_a_good_key_is_taken_quoted_or_bare(client: FlaskClient, header: str) -> None:
    headers = {"X-Session-ID": session(client), "Idempotency-Key": header}
    assert client.post("/api/add", headers=headers).status_code == 201
    assert is_replay(client.post("/api/add", headers=headers))


def test_quoted_and_bare_are_one_key(client: FlaskClient) -> None:
    sid = session(client)
    send(client, sid=sid)
    assert is_replay(client.post("/api/add", headers={"X-Session-ID": sid, "Idempotency-Key": KEY}))


# The payload


def form(boundary: str, files: list[tuple[str, str, bytes]]) -> dict[str, Any]:
    """A multipart body of a note and files: field, name and content."""
    parts: dict[str, Any] = {"note": "n"}
    for field, name, data in files:
        parts.setdefault(field, []).append(FileStorage(io.BytesIO(data), name))
    _, body = encode_multipart(parts, boundary=boundary)
    return {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}


SENT = [("file", "a.csv", b"x" * 100_000), ("file", "b.csv", b"y")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"data": b"one"}, {"data": b"two"}),
        ({"path": "/api/add/a"}, {"path": "/api/add/b"}),
        ({"query_string": "a=1"}, {"query_string": "a=2"}),
        (
            {"data": b"{}", "content_type": "application/json"},
            {"data": b"{}", "content_type": "text/plain"},
        ),
        (form("b1", SENT), form("b1", [("file", "a.csv", b"x" * 99_999 + b"z"), SENT[1]])),
        (form("b1", SENT), form("b1", [("file", "c.csv", SENT[0][2]), SENT[1]])),
        (form("b1", SENT), form("b1", [("other", *SENT[0][1:]), SENT[1]])),
        (form("b1", SENT), form("b1", SENT[:1])),
        (form("b1", SENT), form("b1", SENT[::-1])),
    ],
)
def test_s30_another_payload_under_the_same_key_is_refused(
    client: FlaskClient, first: dict[str, Any], second: dict[str, Any]
) -> None:
    sid = session(client)
    assert send(client, sid=sid, **first).status_code == 201
    assert code(send(client, sid=sid, **second)) == (422, "idempotency_mismatch")
    assert is_replay(send(client, sid=sid, **first))
    assert value(client, sid) == 2


def test_a_form_is_known_by_its_content_whatever_its_boundary(client: FlaskClient) -> None:
    sid = session(client)
    assert send(client, sid=sid, **form("one-boundary", SENT)).status_code == 201
    assert is_replay(send(client, sid=sid, **form("another-boundary", SENT)))


def test_a_body_that_would_not_fit_is_refused(client: FlaskClient) -> None:
    sid = session(client)
    assert send(client, sid=sid, data=b"x" * (BODY_BYTES + 1)).status_code == 413
    assert send(client, sid=sid, data=b"x" * BODY_BYTES).status_code == 201


# Errors


@pytest.mark.parametrize("status", [400, 409, 410, 413, 415, 422, 429, 500, 503, 507])
def test_an_error_is_not_kept_so_a_retry_tries(
    client: FlaskClient, world: World, records: Records, status: int
) -> None:
    sid = session(client)
    for _ in range(2):
        answer = send(client, f"/api/status/{status}", sid=sid)
        assert answer.status_code == status
        assert not is_replay(answer)
    assert len(world.effects) == 2
    assert records.count("answer") == 0
    assert value(client, sid) == 1


def test_a_view_that_breaks_lets_the_key_go(client: FlaskClient, app: Flask, world: World) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = True  # so no response comes about
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            send(client, "/api/breaks")
    assert len(world.effects) == 2


def test_a_state_that_cannot_be_kept_lets_the_key_go(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid = session(client)
    store = app.extensions["silo"].store
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise StoreUnavailable

        patch.setattr(store, "writing", full)
        assert code(send(client, sid=sid)) == (503, "unavailable")
    assert send(client, sid=sid).get_json() == {"value": 2}


# At the same time


def test_s30_a_second_request_is_told_to_wait_while_the_first_is_in_flight(
    client: FlaskClient, app: Flask, world: World
) -> None:
    sid = session(client)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(send, app.test_client(), "/api/held", sid=sid)
        assert world.inside.wait(60)
        second = send(client, "/api/held", sid=sid)
        other = send(client, "/api/held", sid=sid, data=b"other")
        world.go_on.set()
        answer = first.result(60)
    assert code(second) == (409, "in_flight")
    assert int(second.headers["Retry-After"]) > 0
    assert code(other) == (422, "idempotency_mismatch")
    assert answer.get_json() == {"value": 2}
    assert is_replay(send(client, "/api/held", sid=sid))
    assert world.effects == ["held"]


def test_of_many_at_once_one_acts(client: FlaskClient, make_app: MakeApp) -> None:
    sid = session(client)
    clients = [make_app().test_client() for _ in range(2)] * 10
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda each: send(each, sid=sid), clients))
    assert sum(each.status_code == 201 and not is_replay(each) for each in answers) == 1
    for answer in answers:
        if answer.status_code == 201:
            assert answer.get_json() == {"value": 2}
        else:
            assert code(answer) == (409, "in_flight")
    assert value(client, sid) == 2


def test_different_keys_of_a_session_do_not_hinder_each_other(
    client: FlaskClient, app: Flask
) -> None:
    sid = session(client)
    keys = [f"key-{n}" for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        calls = [
            pool.submit(send, app.test_client(), path, key, sid)
            for key in keys
            for path in ("/api/add", "/api/outside")
        ]
        assert {call.result().status_code for call in calls} == {200, 201}
    for key in keys:
        assert is_replay(send(client, "/api/add", key, sid))
        assert is_replay(send(client, "/api/outside", key, sid))
    assert value(client, sid) == 21


# A holder that died, or is late


def test_after_its_lease_a_claim_is_taken_over_and_the_late_holder_keeps_nothing(
    client: FlaskClient, app: Flask, clock: Clock, world: World
) -> None:
    """The second acts and is answered; what the first wanted to keep is refused as a whole."""
    sid = session(client)
    world.held_up = True
    with ThreadPoolExecutor() as pool:
        late = pool.submit(send, app.test_client(), "/api/apart", sid=sid)
        assert world.inside.wait(60)
        clock.advance(LEASE - 0.1)
        assert code(send(client, "/api/apart", sid=sid)) == (409, "in_flight")
        clock.advance(0.2)
        second = send(client, "/api/apart", sid=sid)
        world.go_on.set()
        first = late.result(60)
    assert second.status_code == 200
    assert not is_replay(second)
    assert code(first) == (409, "busy")
    assert is_replay(send(client, "/api/apart", sid=sid))
    assert value(client, sid) == 2


def test_a_late_holder_without_state_does_not_overwrite_the_answer(
    client: FlaskClient, app: Flask, clock: Clock, world: World
) -> None:
    world.held_up = True
    with ThreadPoolExecutor() as pool:
        late = pool.submit(send, app.test_client(), "/api/outside")
        assert world.inside.wait(60)
        clock.advance(LEASE + 1)
        second = send(client, "/api/outside")
        world.go_on.set()
        first = late.result(60)
    assert first.get_json() != second.get_json()
    assert send(client, "/api/outside").get_json() == second.get_json()


def test_a_late_holder_that_fails_does_not_let_the_key_go(
    client: FlaskClient, app: Flask, clock: Clock, world: World
) -> None:
    world.held_up = True
    with ThreadPoolExecutor() as pool:
        late = pool.submit(send, app.test_client(), "/api/outside?fails=first")
        assert world.inside.wait(60)
        clock.advance(LEASE + 1)
        second = send(client, "/api/outside?fails=first")
        world.go_on.set()
        assert late.result(60).status_code == 500
    assert send(client, "/api/outside?fails=first").get_json() == second.get_json()


def test_a_dead_holder_s_claim_is_not_for_another_payload(
    client: FlaskClient, clock: Clock, app: Flask
) -> None:
    app.extensions["silo"].answers.release = lambda _: None  # as if killed
    sid = session(client)
    assert send(client, "/api/status/500", sid=sid).status_code == 500
    clock.advance(LEASE + 1)
    refused = send(client, "/api/status/500", sid=sid, data=b"other")
    assert code(refused) == (422, "idempotency_mismatch")
    assert code(send(client, "/api/status/500", sid=sid)) == (500, "code")


# Without a session


def test_the_first_call_s_lost_answer_comes_again_with_its_session(client: FlaskClient) -> None:
    first, again = send(client), send(client)
    assert is_replay(again)
    assert again.headers["X-Session-ID"] == first.headers["X-Session-ID"]
    assert again.data == first.data
    assert value(client, first.headers["X-Session-ID"]) == 1


def test_it_holds_for_a_view_with_a_transaction_of_its_own(
    client: FlaskClient, world: World
) -> None:
    first, again = send(client, "/api/apart"), send(client, "/api/apart")
    assert is_replay(again)
    assert again.headers["X-Session-ID"] == first.headers["X-Session-ID"]
    assert world.effects == ["stored"]


@pytest.mark.parametrize("path", ["/api/add", "/api/apart"])
def test_a_client_that_learnt_its_session_meanwhile_gets_the_answer_too(
    client: FlaskClient, path: str
) -> None:
    first = send(client, path)
    again = send(client, path, sid=first.headers["X-Session-ID"])
    assert is_replay(again)
    assert again.data == first.data


@pytest.mark.parametrize("key", ["a", "x" * 15])
def test_a_key_that_can_be_guessed_is_refused_without_a_session(
    client: FlaskClient, key: str
) -> None:
    assert code(send(client, key=key)) == (400, "invalid_idempotency_key")
    assert send(client, key="x" * 16).status_code == 201


def test_another_payload_gets_nobody_s_session(client: FlaskClient) -> None:
    send(client, data=b"mine")
    answer = send(client, data=b"yours")
    assert code(answer) == (422, "idempotency_mismatch")
    assert "X-Session-ID" not in answer.headers


def test_no_session_id_is_stored(client: FlaskClient, records: Records, clock: Clock) -> None:
    sid = send(client).headers["X-Session-ID"]
    stored = [*records.due("answer", 2e9), *records.due("answers", 2e9)]
    assert len(stored) == 3
    for name, record in stored:
        assert sid.rpartition(".")[0] not in name + record.value.decode()


# How long


@pytest.mark.parametrize("swept", [True, False])
def test_s30_an_answer_is_forgotten_after_a_day(
    client: FlaskClient, app: Flask, clock: Clock, records: Records, swept: bool
) -> None:
    sid = session(client)
    send(client, sid=sid)
    for _ in range(int(ANSWER_SECONDS // (TTL - 1))):
        clock.advance(TTL - 1)
        value(client, sid)
    assert is_replay(send(client, sid=sid))
    clock.advance(TTL - 1)
    if swept:
        app.extensions["silo"].store.cleanup()
        assert (records.count("answer"), records.count("answers")) == (0, 0)
    assert not is_replay(send(client, sid=sid))
    assert is_replay(send(client, sid=sid))


def test_a_replay_keeps_the_session_alive(client: FlaskClient, clock: Clock) -> None:
    sid = session(client)
    for _ in range(4):
        send(client, sid=sid)
        clock.advance(TTL - 10)
    assert value(client, sid) == 2


@pytest.mark.parametrize("swept", [True, False])
def test_an_expired_session_s_answers_are_gone(
    client: FlaskClient, app: Flask, clock: Clock, records: Records, swept: bool
) -> None:
    sid = session(client)
    for path in ("/api/add", "/api/data"):
        assert send(client, path, sid=sid).status_code < 300
    clock.advance(TTL + 1)
    if swept:
        app.extensions["silo"].store.cleanup()
        assert (records.count("answer"), records.count("answers")) == (0, 0)
    assert code(send(client, "/api/data", sid=sid)) == (410, "session_expired")
    anew = send(client, sid=sid)
    assert not is_replay(anew)
    assert anew.get_json() == {"value": 1}
    assert is_replay(send(client, sid=sid))


def test_an_expired_session_is_not_handed_out(client: FlaskClient, clock: Clock) -> None:
    first = send(client)
    clock.advance(TTL + 1)
    second = send(client)
    assert not is_replay(second)
    assert second.headers["X-Session-ID"] != first.headers["X-Session-ID"]


@pytest.mark.parametrize("key", [None, "reset"])
def test_a_reset_forgets_the_answers(
    client: FlaskClient, records: Records, key: str | None
) -> None:
    sid = session(client)
    send(client, sid=sid)
    assert send(client, "/api/reset", key, sid=sid).status_code == 200
    again = send(client, sid=sid)
    assert not is_replay(again)
    assert again.get_json() == {"value": 1}
    assert records.count("answer") == (2 if key else 1)


@pytest.mark.parametrize("kept", [1, KEPT - 1, KEPT])
def test_a_reset_that_comes_again_leaves_what_was_done_since(
    client: FlaskClient, records: Records, kept: int
) -> None:
    sid = session(client)
    for n in range(kept):
        send(client, key=f"key-{n}", sid=sid)
    assert send(client, "/api/reset", "reset", sid=sid).status_code == 200
    assert records.count("answer") == 1
    assert send(client, sid=sid).get_json() == {"value": 1}
    assert is_replay(send(client, "/api/reset", "reset", sid=sid))
    assert value(client, sid) == 1


def test_a_destroyed_session_leaves_no_answers(
    client: FlaskClient, app: Flask, records: Records
) -> None:
    sid = session(client)
    send(client, sid=sid)
    app.extensions["silo"].store.destroy(sid)
    assert (records.count("answer"), records.count("answers")) == (0, 0)


def test_s30_the_oldest_of_too_many_answers_is_forgotten(
    client: FlaskClient, records: Records
) -> None:
    sid = session(client)
    for n in range(KEPT + 1):
        send(client, key=f"key-{n}", sid=sid)
    assert records.count("answer") == KEPT
    assert is_replay(send(client, key="key-1", sid=sid))
    assert is_replay(send(client, key=f"key-{KEPT}", sid=sid))
    assert not is_replay(send(client, key="key-0", sid=sid))


@pytest.mark.parametrize("path", ["/api/add", "/api/apart"])
def test_the_effect_and_the_answer_are_one_step(
    client: FlaskClient,
    app: Flask,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    """Whichever step the store dies after: a retry finds the effect done, or does it, once."""
    sid = session(client)
    records = app.extensions["silo"].store.records
    apply, deaths = records.apply, 0
    while True:
        before, left = value(client, sid), deaths

        def dying(*steps: Any) -> int:
            nonlocal left
            left -= 1
            if left < 0:
                raise StoreUnavailable
            return int(apply(*steps))

        with monkeypatch.context() as patch:
            patch.setattr(records, "apply", dying)
            send(client, path, f"key-{deaths}", sid)
        clock.advance(LEASE + 1)
        assert send(client, path, f"key-{deaths}", sid).status_code < 300
        assert value(client, sid) == before + 1
        if left > 0:
            return
        deaths += 1
