"""`cache`, `lock` and `gen_keyfunc`: what the same request gets again, and what it waits for."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from support import Clock
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from {{ cookiecutter.package_name }}.silo import Idempotent, Silo, gen_keyfunc
from {{ cookiecutter.package_name }}.silo.idempotency import KeyFunc
from {{ cookiecutter.package_name }}.silo.records import Records
from {{ cookiecutter.package_name }}.silo.refusals import problem

from .conftest import OpenApp

CACHED, LOCKED = 15.0, 30.0


class World:
    """Counts what views do, and holds the first of them up, or the first two."""

    def __init__(self) -> None:
        self.calls = itertools.count(1)
        self.inside, self.second_inside = threading.Event(), threading.Event()
        self.go_on, self.second_go_on = threading.Event(), threading.Event()

    def act(self) -> int:
        number = next(self.calls)
        if number <= int(request.args.get("hold", 0)):
            inside, go_on = (
                (self.inside, self.go_on)
                if number == 1
                else (self.second_inside, self.second_go_on)
            )
            inside.set()
            assert go_on.wait(60)
        return number


@pytest.fixture
def world() -> World:
    return World()


MakeApp = Callable[[], Flask]


@pytest.fixture
def make_app(open_app: OpenApp, world: World) -> MakeApp:
    """Makes an app; called again, that of another process."""

    def make() -> Flask:
        app = open_app(lambda silo: silo.register("counter", lambda: {"value": 0}))
        add_views(app, app.extensions["silo"], world)
        return app

    return make


def add_views(app: Flask, silo: Silo, world: World) -> None:
    idempotent = Idempotent(silo)

    def add() -> dict[str, Any]:
        number, state = world.act(), silo.state("counter")
        state["value"] += 1
        return {"call": number, **state}

    def look() -> dict[str, Any]:
        return {"call": world.act(), **silo.state("counter")}

    def plain() -> dict[str, Any]:
        return {"call": world.act()}

    def refuse() -> Any:
        return problem(400, "Bad Request", "bad_request", f"Call {world.act()}.")

    for name, method, view in (
        ("add", "POST", add),
        ("look", "GET", look),
        ("plain", "POST", plain),
        ("refuse", "POST", refuse),
    ):
        app.add_url_rule(f"/api/{name}", name, view, methods=[method])
        for kind, decorated in (
            ("cached", idempotent.cache(CACHED)(view)),
            ("locked", idempotent.lock(LOCKED, 0)(view)),
            ("waiting", idempotent.lock(LOCKED, 20)(view)),
            ("both", idempotent.cache(CACHED)(idempotent.lock(LOCKED)(view))),
            ("shared", idempotent.cache(CACHED, gen_keyfunc(session=False))(view)),
            ("all", idempotent.keyed(idempotent.cache(CACHED)(idempotent.lock(LOCKED)(view)))),
        ):
            path = f"/api/{name}/{kind}"
            app.add_url_rule(path, f"{name} {kind}", decorated, methods=[method])


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def sid(client: FlaskClient, world: World) -> str:
    """A session whose counter stands at 1; its call is not counted."""
    sid = client.post("/api/add").headers["X-Session-ID"]
    world.calls = itertools.count(1)
    return sid


def call(client: FlaskClient, path: str, sid: str = "", **given: Any) -> TestResponse:
    headers = {**({"X-Session-ID": sid} if sid else {}), **given.pop("headers", {})}
    method = "GET" if "/look" in path else "POST"
    return client.open(path, method=method, headers=headers, **given)


def number(answer: TestResponse) -> int:
    assert answer.status_code == 200, answer.text
    return int(answer.get_json()["call"])


# Cache


@pytest.mark.parametrize("view", ["add", "look", "plain"])
@pytest.mark.parametrize("kind", ["cached", "both", "all"])
def test_the_same_request_gets_the_same_answer_for_a_while(
    client: FlaskClient, sid: str, clock: Clock, view: str, kind: str
) -> None:
    path = f"/api/{view}/{kind}"
    first = call(client, path, sid)
    clock.advance(CACHED - 0.1)
    again = call(client, path, sid)
    assert again.get_json() == first.get_json()
    assert (number(first), number(again)) == (1, 1)
    assert again.headers["Idempotency-Replayed"] == "true"
    clock.advance(0.2)
    assert number(call(client, path, sid)) == 2


@pytest.mark.parametrize("view", ["add", "look"])
@pytest.mark.parametrize("kind", ["cached", "both"])
def test_a_cached_answer_dies_when_another_request_changes_the_state(
    client: FlaskClient, make_app: MakeApp, sid: str, view: str, kind: str
) -> None:
    path = f"/api/{view}/{kind}"
    call(client, path, sid)
    assert number(call(client, path, sid)) == 1
    call(make_app().test_client(), "/api/add", sid)  # in another process, and the second call
    assert number(call(client, path, sid)) == 3
    assert number(call(client, path, sid)) == 3


def test_a_change_while_the_answer_was_made_makes_it_stale(
    client: FlaskClient, app: Flask, sid: str, world: World
) -> None:
    path = "/api/look/cached?hold=1"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(call, app.test_client(), path, sid)
        assert world.inside.wait(60)
        call(client, "/api/add", sid)
        world.go_on.set()
        assert number(first.result(60)) == 1
    assert number(call(client, path, sid)) == 3


def test_what_only_reads_or_touches_leaves_it_alive(
    client: FlaskClient, sid: str, clock: Clock
) -> None:
    assert number(call(client, "/api/add/cached", sid)) == 1
    clock.advance(5)
    assert number(call(client, "/api/look", sid)) == 2
    assert number(call(client, "/api/add/cached", sid)) == 1


def test_it_dies_with_its_session(client: FlaskClient, app: Flask, sid: str, clock: Clock) -> None:
    call(client, "/api/look/cached", sid)
    app.extensions["silo"].store.destroy(sid)
    assert number(call(client, "/api/look/cached", sid)) == 2


def test_errors_are_not_cached(client: FlaskClient, sid: str, records: Records) -> None:
    first, again = (call(client, "/api/refuse/cached", sid) for _ in range(2))
    assert (first.get_json()["detail"], again.get_json()["detail"]) == ("Call 1.", "Call 2.")
    assert records.count("cached") == 0


def test_an_answer_that_made_its_session_is_nobody_else_s(client: FlaskClient) -> None:
    first, other = call(client, "/api/add/cached"), call(client, "/api/add/cached")
    assert (number(first), number(other)) == (1, 2)
    assert first.headers["X-Session-ID"] != other.headers["X-Session-ID"]


def test_sessions_have_their_own_unless_told_otherwise(client: FlaskClient, sid: str) -> None:
    other = call(client, "/api/add").headers["X-Session-ID"]  # the first call
    assert number(call(client, "/api/plain/cached", sid)) == 2
    assert number(call(client, "/api/plain/cached", other)) == 3
    assert number(call(client, "/api/plain/shared", sid)) == 4
    answer = call(client, "/api/plain/shared", other)
    assert number(answer) == 4
    assert answer.headers["X-Session-ID"] == other
    assert "X-Session-ID" not in call(client, "/api/plain/shared").headers


def test_without_a_session_strangers_share_what_is_nobody_s(client: FlaskClient) -> None:
    assert number(call(client, "/api/plain/cached")) == 1
    answer = call(client, "/api/plain/cached")
    assert number(answer) == 1
    assert "X-Session-ID" not in answer.headers


def test_old_records_are_swept(
    client: FlaskClient, app: Flask, sid: str, clock: Clock, records: Records
) -> None:
    call(client, "/api/add/both", sid)
    clock.advance(CACHED)
    assert records.count("cached") == 1
    app.extensions["silo"].store.cleanup()
    assert (records.count("cached"), records.count("hold")) == (0, 0)


# Lock


def test_one_at_a_time_and_nobody_waits_if_told_so(
    client: FlaskClient, make_app: MakeApp, sid: str, world: World
) -> None:
    path = "/api/add/locked?hold=1"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(call, make_app().test_client(), path, sid)
        assert world.inside.wait(60)
        refused = call(client, path, sid)
        other = call(client, "/api/add/locked?hold=0", sid)
        world.go_on.set()
        assert number(first.result(60)) == 1
    assert (refused.status_code, refused.get_json()["error"]) == (409, "busy")
    assert int(refused.headers["Retry-After"]) > 0
    assert number(other) == 2
    assert number(call(client, path, sid)) == 3


def test_others_wait_for_their_turn(
    client: FlaskClient, app: Flask, sid: str, world: World
) -> None:
    path = "/api/plain/waiting?hold=1"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(call, app.test_client(), path, sid)
        assert world.inside.wait(60)
        second = pool.submit(call, app.test_client(), path, sid)
        assert not second.done()
        world.go_on.set()
        assert (number(first.result(60)), number(second.result(60))) == (1, 2)


def test_a_lock_runs_out(
    client: FlaskClient, app: Flask, sid: str, clock: Clock, world: World
) -> None:
    """Its late holder lets go of nothing: the lock is somebody else's by then."""
    path = "/api/plain/locked?hold=2"
    with ThreadPoolExecutor() as pool:
        late = pool.submit(call, app.test_client(), path, sid)
        assert world.inside.wait(60)
        clock.advance(LOCKED - 0.1)
        assert call(client, path, sid).status_code == 409
        clock.advance(0.2)
        second = pool.submit(call, app.test_client(), path, sid)
        assert world.second_inside.wait(60)
        world.go_on.set()
        assert number(late.result(60)) == 1
        assert call(client, path, sid).status_code == 409
        world.second_go_on.set()
        assert number(second.result(60)) == 2
    assert number(call(client, path, sid)) == 3


def test_a_lock_is_let_go_after_an_error(client: FlaskClient, sid: str, records: Records) -> None:
    for _ in range(2):
        assert call(client, "/api/refuse/locked", sid).status_code == 400
    assert records.count("hold") == 0


def test_of_two_first_calls_at_once_one_acts(
    client: FlaskClient, make_app: MakeApp, sid: str, world: World
) -> None:
    """The one that waited finds what the other has cached, and a third waits for neither."""
    path = "/api/add/both?hold=1"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(call, make_app().test_client(), path, sid)
        assert world.inside.wait(60)
        second = pool.submit(call, make_app().test_client(), path, sid)
        world.go_on.set()
        answers = [first.result(60), second.result(60)]
    assert [number(answer) for answer in answers] == [1, 1]
    assert number(call(client, path, sid)) == 1
    assert answers[0].get_json()["value"] == 2


def test_a_cached_answer_waits_for_no_lock(
    client: FlaskClient, app: Flask, sid: str, world: World, records: Records
) -> None:
    path = "/api/add/both"
    assert number(call(client, path, sid)) == 1
    apply = app.extensions["silo"].repeats.hold
    app.extensions["silo"].repeats.hold = lambda *_: pytest.fail("the lock was asked for")
    assert number(call(client, path, sid)) == 1
    app.extensions["silo"].repeats.hold = apply


# Nesting


def test_wrong_nesting_is_refused_where_it_is_written() -> None:
    idempotent = Idempotent()

    def view() -> str:
        return ""

    layers: dict[str, Callable[[Any], Any]] = {
        "keyed": idempotent.keyed,
        "cache": idempotent.cache(1),
        "lock": idempotent.lock(1),
    }
    right = {("keyed", "cache"), ("keyed", "lock"), ("cache", "lock")}
    for outer, inner in itertools.product(layers, layers):
        if (outer, inner) in right:
            layers[outer](layers[inner](view))
        else:
            with pytest.raises(TypeError, match=rf"^view: {outer} stands above {inner}\. Write"):
                layers[outer](layers[inner](view))
    with pytest.raises(TypeError, match=r"^view: lock stands above keyed\."):
        layers["lock"](layers["keyed"](layers["cache"](view)))


# What tells requests apart


ONE: dict[str, Any] = {
    "path": "/api/plain",
    "method": "POST",
    "query_string": "a=1",
    "data": b"body",
    "headers": {"Accept-Language": "en"},
}
DIMENSIONS: dict[str, dict[str, Any]] = {
    "path": {"path": "/api/add"},
    "methods": {"method": "PUT"},
    "query_string": {"query_string": "a=2"},
    "data": {"data": b"other"},
}


def told(app: Flask, keyfunc: KeyFunc, **request: Any) -> str:
    with app.test_request_context(**{**ONE, **request}):
        app.preprocess_request()
        return keyfunc()


@pytest.mark.parametrize("name", DIMENSIONS)
def test_each_dimension_tells_requests_apart_unless_it_is_left_out(app: Flask, name: str) -> None:
    other = DIMENSIONS[name]
    assert told(app, gen_keyfunc()) == told(app, gen_keyfunc())
    assert told(app, gen_keyfunc()) != told(app, gen_keyfunc(), **other)
    without = gen_keyfunc(**cast(Any, {name: False}))
    assert told(app, without) == told(app, without, **other)


def test_headers_and_sessions_are_dimensions_too(app: Flask, sid: str) -> None:
    def ask(keyfunc: KeyFunc, **headers: str) -> str:
        return told(
            app, keyfunc, headers={name.replace("_", "-"): headers[name] for name in headers}
        )

    for keyfunc, differs in (
        (gen_keyfunc(), False),
        (gen_keyfunc(headers=["Accept-Language"]), True),
    ):
        english, german = ask(keyfunc, Accept_Language="en"), ask(keyfunc, Accept_Language="de")
        assert (english != german) is differs
    for keyfunc, differs in ((gen_keyfunc(), True), (gen_keyfunc(session=False), False)):
        assert (ask(keyfunc) != ask(keyfunc, X_Session_ID=sid)) is differs


def test_no_part_passes_for_two(app: Flask) -> None:
    one = told(app, gen_keyfunc(), path="/api/plain", query_string="POST")
    assert one != told(app, gen_keyfunc(), path="/api/plainPOST", query_string="")


def test_a_form_is_told_by_its_content(app: Flask) -> None:
    def ask(data: bytes, boundary: str) -> str:
        _, body = encode_multipart({"file": FileStorage(io.BytesIO(data), "a")}, boundary)
        content_type = f"multipart/form-data; boundary={boundary}"
        return told(app, gen_keyfunc(), data=body, content_type=content_type)

    assert ask(b"1", "one") == ask(b"1", "another") != ask(b"2", "one")
