"""Silo in a Flask app: the session in a header, state kept with the answer, 410 after expiry."""

from __future__ import annotations

import http.client
import io
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, abort, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from support import Clock, eventually
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from {{ cookiecutter.package_name }}.silo import BackgroundTask, SessionBusy, Silo, SiloError
from {{ cookiecutter.package_name }}.silo.refusals import problem
from {{ cookiecutter.package_name }}.silo.sessions.ids import SessionIds, session_key
from {{ cookiecutter.package_name }}.silo.tasks.base import Reporter

from .conftest import RETAIN, SECRET, TTL, OpenApp

MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(open_app: OpenApp, tmp_path: Path) -> MakeApp:
    """Makes an app with a counter, files, and a view for each thing that may happen.

    Called again, it is the app of another process. Keywords are those of `open_app`.
    """

    def prepare(silo: Silo) -> None:
        silo.register("counter", lambda: {"value": 0, "task": BackgroundTask("work")})
        silo.add_file_store("uploads", tmp_path / "uploads")
        silo.add_data_endpoints("/api/data", "/api/data/<name>")

    def make(secret: str | None = SECRET, **options: Any) -> Flask:
        app = open_app(prepare, secret, **options)
        add_views(app, app.extensions["silo"])
        return app

    return make


def add_views(app: Flask, silo: Silo) -> None:
    @app.post("/api/add")
    def add() -> Any:
        state = silo.state("counter")
        state["value"] += 1
        return {"value": state["value"], "sid": silo.sid}

    @app.get("/api/value")
    @app.get("/api/data")
    @app.get("/api/data/<name>")
    @app.get("/elsewhere/value")
    def value(name: str = "") -> Any:
        return {"value": silo.state("counter")["value"]}

    @app.get("/api/status")
    def status() -> Any:
        return {"status": silo.status, "value": silo.snapshot("counter")["value"]}

    @app.post("/api/upload")
    def upload() -> Any:
        file = request.files["file"]
        silo.file_store("uploads").save(silo.sid, file.filename or "", file.read())
        return {"files": silo.file_store("uploads").list_files(silo.sid)}

    @app.post("/api/reset")
    def reset() -> Any:
        silo.reset_current()
        return "", 204

    @app.route("/api/misbehave/<how>", methods=["GET", "POST"])
    def misbehave(how: str) -> Any:
        state = silo.state("counter")
        state["value"] += 100
        return MISDEEDS[how](state)


def raise_it(error: BaseException) -> Any:
    raise error


MISDEEDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "returns": lambda state: {},
    "breaks": lambda state: raise_it(ZeroDivisionError("a secret detail")),
    "answers 503": lambda state: ("later", 503),
    "answers 422": lambda state: ("not so", 422),
    "aborts 404": lambda state: abort(404),
    "aborts 500": lambda state: abort(500),
    "stores an object": lambda state: state.update(value=object()) or {},
    "starts a task": lambda state: state["task"].start(print) or {},
    "is busy": lambda state: raise_it(SessionBusy()),
}


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def silo(app: Flask) -> Silo:
    silo = app.extensions["silo"]
    assert isinstance(silo, Silo)
    return silo


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def begin(client: FlaskClient) -> dict[str, str]:
    """A new session with the value 1, as the headers that name it."""
    answer = client.post("/api/add")
    assert answer.json == {"value": 1, "sid": answer.headers["X-Session-ID"]}
    return {"X-Session-ID": answer.headers["X-Session-ID"]}


def value_of(client: FlaskClient, session: dict[str, str]) -> Any:
    return client.get("/api/value", headers=session).get_json()["value"]


def assert_gone(answer: TestResponse) -> None:
    assert answer.status_code == 410
    assert answer.mimetype == "application/problem+json"
    assert answer.json == {
        "type": "about:blank",
        "title": "Gone",
        "status": 410,
        "detail": "Your session has expired. Upload your files again to go on.",
        "error": "session_expired",
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda silo: silo.state("counter"),
        lambda silo: silo.snapshot("counter"),
        lambda silo: {"sid": silo.sid},
    ],
    ids=["state", "snapshot", "sid"],
)
def test_a_session_that_ends_in_the_middle_of_a_request_is_gone_and_not_made_anew(
    app: Flask, silo: Silo, clock: Clock, method: str, ask: Callable[[Silo], Any]
) -> None:
    """After the request was let in, and before the view has looked."""
    silo.add_data_endpoints("/api/late")

    @app.route("/api/late", methods=["GET", "POST"])
    def late() -> Any:
        clock.advance(TTL)
        silo.store.cleanup()
        return {key: str(value) for key, value in ask(silo).items()}

    client = app.test_client()
    session = begin(client)
    assert_gone(client.open("/api/late", method=method, headers=session))
    assert (silo.store.active_count, silo.store.expired_count) == (0, 1)


# Whose session


def test_the_session_goes_both_ways_in_the_header(client: FlaskClient) -> None:
    session = begin(client)
    for value in (2, 3):
        answer = client.post("/api/add", headers=session)
        assert answer.json == {"value": value, "sid": session["X-Session-ID"]}
        assert answer.headers["X-Session-ID"] == session["X-Session-ID"]
    assert client.get("/api/value", headers=session).headers["X-Session-ID"]
    assert value_of(client, session) == 3


def test_s05_each_client_has_its_own_state(client: FlaskClient) -> None:
    one, two = begin(client), begin(client)
    client.post("/api/add", headers=one)
    assert one != two
    assert (value_of(client, one), value_of(client, two)) == (2, 1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_s01_safe_requests_make_no_session(client: FlaskClient, silo: Silo, method: str) -> None:
    answer = client.open("/api/value", method=method)
    assert answer.status_code == 200
    assert "X-Session-ID" not in answer.headers
    assert silo.store.active_count == 0
    assert client.get("/api/value").json == {"value": 0}


@pytest.mark.parametrize(
    "sid",
    [
        "",
        "x",
        "my-own-session-id-of-some-length",
        "../../../../etc/passwd",
        "/some/dir/that/is/long/enough",
        pytest.param(SessionIds("another secret").issue(), id="of another server"),
        pytest.param(SessionIds(SECRET).issue()[:-1], id="cut short"),
        "é" * 40,
    ],
)
def test_s01_an_id_that_this_server_did_not_sign_is_as_good_as_none(
    client: FlaskClient, silo: Silo, sid: str
) -> None:
    session = {"X-Session-ID": sid}
    assert client.get("/api/data", headers=session).status_code == 200
    answer = client.post("/api/add", headers=session)
    assert answer.get_json()["value"] == 1
    assert answer.headers["X-Session-ID"] != sid
    assert silo.store.active_count == 1
    assert not silo.store.exists(sid)


def test_an_id_is_good_in_every_process_with_the_secret(make_app: MakeApp) -> None:
    session = begin(make_app().test_client())
    assert value_of(make_app().test_client(), session) == 1
    assert value_of(make_app("another").test_client(), session) == 0


def test_without_a_secret_the_developer_is_warned(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = make_app(None).test_client(), make_app(None).test_client()
    assert "no SECRET_KEY is set" in caplog.text
    session = begin(one)
    assert (value_of(one, session), value_of(two, session)) == (1, 0)


def test_the_generator_of_ids_and_their_least_length_may_be_given(make_app: MakeApp) -> None:
    client = make_app(sid_generator=lambda: "clerk-17").test_client()
    session = begin(client)
    assert session["X-Session-ID"].startswith("clerk-17.")
    length = len(session["X-Session-ID"])
    for least, value in ((length, 2), (length + 1, 1)):
        strict = make_app(min_sid_length=least, sid_generator=lambda: "clerk-18").test_client()
        assert strict.post("/api/add", headers=session).get_json()["value"] == value


def test_the_header_may_have_another_name(make_app: MakeApp) -> None:
    client = make_app(header="X-Desk").test_client()
    answer = client.post("/api/add")
    assert "X-Session-ID" not in answer.headers
    desk = answer.headers["X-Desk"]
    assert client.get("/api/value", headers={"X-Desk": desk}).json == {"value": 1}
    assert client.get("/api/value", headers={"X-Session-ID": desk}).json == {"value": 0}


@pytest.mark.parametrize(
    ("parameter", "asked", "value"),
    [("_sid", "_sid", 1), ("", "_sid", 0), ("", "", 0), ("desk", "desk", 1), ("desk", "_sid", 0)],
)
def test_a_link_may_carry_the_session_where_that_is_turned_on(
    make_app: MakeApp, parameter: str, asked: str, value: int
) -> None:
    client = make_app(query_param=parameter).test_client()
    sid = begin(client)["X-Session-ID"]
    assert client.get("/api/value", query_string={asked: sid}).json == {"value": value}


def test_the_header_goes_before_the_link(client: FlaskClient) -> None:
    one, two = begin(client), begin(client)
    client.post("/api/add", headers=two)
    query = {"_sid": one["X-Session-ID"]}
    assert client.get("/api/value", query_string=query, headers=two).json == {"value": 2}
    unsigned = {"X-Session-ID": "not signed by this server"}
    assert client.get("/api/value", query_string=query, headers=unsigned).json == {"value": 1}


def test_only_paths_under_the_prefix_have_sessions(make_app: MakeApp) -> None:
    client = make_app().test_client()
    session = begin(client)
    answer = client.get("/elsewhere/value", headers=session)
    assert answer.json == {"value": 0}
    assert "X-Session-ID" not in answer.headers
    everywhere = make_app(api_prefix="/").test_client()
    assert everywhere.get("/elsewhere/value", headers=session).json == {"value": 1}


# What is kept


def test_a_change_in_a_safe_request_is_refused_and_logged(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    session = begin(client)
    for headers in (session, {}):
        answer = client.get("/api/misbehave/returns", headers=headers)
        assert answer.status_code == 500
        assert answer.mimetype == "application/problem+json"
        assert answer.get_json()["error"] == "internal"
        assert "POST" not in answer.text
    assert "change state in POST, PUT, PATCH or DELETE" in caplog.text
    assert session["X-Session-ID"] not in caplog.text
    assert value_of(client, session) == 1


@pytest.mark.parametrize(
    ("how", "status", "logged"),
    [
        ("breaks", 500, "a secret detail"),
        ("answers 422", 422, ""),
        ("answers 503", 503, ""),
        ("aborts 404", 404, ""),
        ("aborts 500", 500, ""),
        ("stores an object", 500, "counter.value holds a object"),
        ("is busy", 409, ""),
    ],
)
def test_a_request_that_fails_keeps_nothing_and_frees_the_session(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, how: str, status: int, logged: str
) -> None:
    session = begin(client)
    answer = client.post(f"/api/misbehave/{how}", headers=session)
    assert answer.status_code == status
    assert "secret" not in answer.text
    assert "counter.value" not in answer.text
    assert logged in caplog.text
    assert session["X-Session-ID"] not in caplog.text
    assert value_of(client, session) == 1
    assert client.post("/api/add", headers=session).get_json()["value"] == 2


def test_an_error_that_no_answer_came_of_frees_the_session_too(app: Flask) -> None:
    client = app.test_client()
    session = begin(client)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ZeroDivisionError):
        client.post("/api/misbehave/breaks", headers=session)
    assert client.post("/api/add", headers=session).get_json()["value"] == 2


def test_a_busy_session_is_a_409(make_app: MakeApp) -> None:
    app = make_app(lease=0.02)
    client, silo = app.test_client(), app.extensions["silo"]
    session = begin(client)
    held = silo.store.begin(session["X-Session-ID"])
    answer = client.post("/api/add", headers=session)
    held.rollback()
    assert answer.status_code == 409
    assert answer.get_json()["error"] == "busy"
    assert answer.get_json()["detail"] == "This session is busy. Try again in a moment."
    assert client.post("/api/add", headers=session).get_json()["value"] == 2


def test_a_request_that_lost_its_lock_is_a_409_and_keeps_nothing(
    make_app: MakeApp, clock: Clock
) -> None:
    app, other = make_app(lease=1), make_app(lease=1)

    @app.post("/api/slow")
    def slow() -> Any:
        app.extensions["silo"].state("counter")["value"] += 100
        clock.advance(1)
        other.test_client().post("/api/add", headers=session)
        return {}

    session = begin(app.test_client())
    answer = app.test_client().post("/api/slow", headers=session)
    assert (answer.status_code, answer.get_json()["error"]) == (409, "busy")
    assert value_of(app.test_client(), session) == 2


def test_parallel_requests_of_one_session_lose_nothing(app: Flask) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    session = begin(app.test_client())

    def work(_: int) -> None:
        for _ in range(10):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
            connection.request("POST", "/api/add", headers=session)
            assert connection.getresponse().status == 200
            connection.close()

    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
    assert value_of(app.test_client(), session) == 81


def test_a_task_started_by_a_request_runs_when_it_has_answered(app: Flask) -> None:
    client, silo = app.test_client(), app.extensions["silo"]

    @app.post("/api/start")
    def start() -> Any:
        def work(task: Reporter) -> str:
            task.log("working")
            return "result"

        silo.state("counter")["task"].start(work)
        return silo.state("counter")["task"].state.to_dict()

    @app.get("/api/progress")
    def progress() -> Any:
        return silo.state("counter")["task"].state.to_dict()

    session = begin(client)
    assert client.post("/api/start", headers=session).get_json()["status"] == "queued"
    eventually(lambda: client.get("/api/progress", headers=session).get_json()["complete"])
    assert client.get("/api/progress", headers=session).get_json()["logs"] == ["working"]


def test_a_task_that_runs_is_a_409_and_a_misused_one_a_500(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    client, silo, gate = app.test_client(), app.extensions["silo"], threading.Event()

    @app.post("/api/start")
    def start() -> Any:
        silo.state("counter")["task"].start(lambda task: gate.wait(60) and None)
        return {}

    session = begin(client)
    assert client.post("/api/start", headers=session).status_code == 200
    again = client.post("/api/start", headers=session)
    assert (again.status_code, again.get_json()["error"]) == (409, "already_running")
    gate.set()
    answer = client.get("/api/misbehave/starts a task", headers=begin(client))
    assert answer.status_code == 500
    assert "snapshot" not in answer.text
    assert "cannot start from a snapshot" in caplog.text


def test_what_is_to_be_done_afterwards_is_done_if_the_state_is_kept(app: Flask) -> None:
    silo, done = app.extensions["silo"], list[str]()

    @app.post("/api/after/<int:status>")
    def after(status: int) -> Any:
        silo.after_commit(lambda: done.append(str(status)))
        silo.state("counter")["value"] = status
        assert done == []
        return {}, status

    session = begin(app.test_client())
    app.test_client().post("/api/after/503", headers=session)
    assert done == []
    app.test_client().post("/api/after/201", headers=session)
    assert done == ["201"]


def test_an_unknown_namespace_is_the_developers_to_read(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    silo = app.extensions["silo"]
    app.add_url_rule("/api/typo", view_func=lambda: silo.state("cuonter"), methods=["POST"])
    app.add_url_rule("/api/typo", "look", view_func=lambda: silo.snapshot("cuonter"))
    for answer in (app.test_client().post("/api/typo"), app.test_client().get("/api/typo")):
        assert answer.status_code == 500
        assert "cuonter" not in answer.text
    assert caplog.text.count("NamespaceError: Namespace 'cuonter' is not registered.") == 2
    assert silo.store.active_count == 0


# Expiry


@pytest.mark.parametrize("path", ["/api/data", "/api/data/one", "/api/data?x=1"])
@pytest.mark.parametrize("cleaned", [True, False])
def test_data_of_an_expired_session_is_gone(
    client: FlaskClient, silo: Silo, clock: Clock, path: str, cleaned: bool
) -> None:
    session = begin(client)
    assert client.get(path, headers=session).json == {"value": 1}
    clock.advance(TTL)
    if cleaned:
        assert silo.store.cleanup() == [session["X-Session-ID"]]
    answer = client.get(path, headers=session)
    assert_gone(answer)
    assert "X-Session-ID" not in answer.headers


def test_s01_gone_is_for_ever(client: FlaskClient, silo: Silo, clock: Clock) -> None:
    session = begin(client)
    clock.advance(TTL)
    silo.store.cleanup()
    clock.advance(RETAIN)
    silo.store.cleanup()
    assert silo.store.expired_count == 0
    assert_gone(client.get("/api/data", headers=session))


def test_gone_is_only_who_has_been_here(client: FlaskClient, clock: Clock) -> None:
    clock.advance(10 * TTL)
    assert client.get("/api/data").status_code == 200
    unsigned = {"X-Session-ID": "not-signed-but-long-enough"}
    assert client.get("/api/data", headers=unsigned).status_code == 200


def test_only_data_endpoints_say_gone(make_app: MakeApp, clock: Clock) -> None:
    client = make_app(data_endpoints=["/api/status"]).test_client()
    session = begin(client)
    clock.advance(TTL)
    assert client.get("/api/value", headers=session).json == {"value": 0}
    assert_gone(client.get("/api/status", headers=session))


def test_a_new_upload_makes_the_session_live_again(
    client: FlaskClient, silo: Silo, clock: Clock
) -> None:
    session = begin(client)
    clock.advance(TTL)
    silo.store.cleanup()
    file = {"file": (io.BytesIO(b"1"), "a.csv")}
    answer = client.post("/api/upload", headers=session, data=file)
    assert answer.json == {"files": ["a.csv"]}
    assert answer.headers["X-Session-ID"] == session["X-Session-ID"]
    assert client.get("/api/data", headers=session).json == {"value": 0}
    assert silo.store.expired_count == 0


def test_a_destroyed_session_is_gone_too(client: FlaskClient, silo: Silo) -> None:
    session = begin(client)
    silo.store.destroy(session["X-Session-ID"])
    assert_gone(client.get("/api/data", headers=session))


def test_every_request_prolongs_the_session_but_a_look_does_not(
    client: FlaskClient, clock: Clock
) -> None:
    session = begin(client)
    for _ in range(3):
        clock.advance(TTL - 1)
        assert value_of(client, session) == 1
    for seconds, status in ((TTL - 1, "live"), (1, "expired")):
        clock.advance(seconds)
        answer = client.get("/api/status", headers=session)
        assert answer.json == {"status": status, "value": 1 if status == "live" else 0}
    assert client.get("/api/status").json == {"status": "none", "value": 0}
    assert_gone(client.get("/api/data", headers=session))


def test_the_daemon_expires_sessions_without_any_request(make_app: MakeApp, clock: Clock) -> None:
    before = set(threading.enumerate())
    app = make_app(auto_cleanup=True, cleanup_interval=0.005)
    silo, ended = app.extensions["silo"], list[str]()
    silo.store.on_expire(ended.append)
    session = begin(app.test_client())
    uploads = silo.file_store("uploads")
    uploads.save(session["X-Session-ID"], "a", b"1")
    clock.advance(TTL)
    eventually(lambda: ended)
    assert ended == [session["X-Session-ID"]]
    assert uploads.total_size_bytes == 0
    silo.stop()
    assert "silo-cleanup" not in {thread.name for thread in {*threading.enumerate()} - before}


def test_at_its_start_it_removes_files_of_no_session(make_app: MakeApp) -> None:
    before = make_app()
    session = begin(before.test_client())["X-Session-ID"]
    uploads = before.extensions["silo"].file_store("uploads")
    for sid in (session, "nobody"):
        uploads.save(sid, "a", b"1")
    make_app(auto_cleanup=True)
    eventually(lambda: uploads.list_files("nobody") == [])
    assert uploads.list_files(session) == ["a"]


# Beginning anew


def test_reset_keeps_the_id_and_nothing_else(app: Flask, silo: Silo) -> None:
    client = app.test_client()
    session = begin(client)
    file = {"file": (io.BytesIO(b"1"), "a.csv")}
    client.post("/api/upload", headers=session, data=file)
    answer = client.post("/api/reset", headers=session)
    assert (answer.status_code, answer.headers["X-Session-ID"]) == (204, session["X-Session-ID"])
    assert client.get("/api/data", headers=session).json == {"value": 0}
    assert silo.file_store("uploads").total_size_bytes == 0


def test_reset_cancels_what_runs(app: Flask, silo: Silo) -> None:
    def endless(task: Reporter) -> None:
        while True:
            task.update(message="still at it")

    client = app.test_client()
    session = begin(client)
    with silo.store.transaction(session["X-Session-ID"]) as state:
        state["counter"]["task"].start(endless)
    task = silo.store.get(session["X-Session-ID"])["counter"]["task"]
    eventually(lambda: task.state.message == "still at it")
    client.post("/api/reset", headers=session)
    eventually(lambda: task.state.status == "cancelled")


def test_reset_of_a_session_that_the_app_calls_busy_is_refused(app: Flask, silo: Silo) -> None:
    client = app.test_client()
    session = begin(client)
    silo.store.set_busy_check(lambda sid, state: True)
    answer = client.post("/api/reset", headers=session)
    assert (answer.status_code, answer.get_json()["error"]) == (409, "busy")
    assert value_of(client, session) == 1


# In an app


def test_silo_serves_the_app_that_it_is_given_later() -> None:
    silo = Silo(auto_cleanup=False)
    app = Flask("later")
    app.config["SECRET_KEY"] = SECRET
    silo.register("counter", lambda: {"value": 0})
    silo.add_data_endpoints("/api/data")
    add_views(app, silo)
    silo.init_app(app)
    assert app.extensions["silo"] is silo
    client = app.test_client()
    session = begin(client)
    assert value_of(client, session) == 1
    silo.store.destroy(session["X-Session-ID"])
    assert_gone(client.get("/api/data", headers=session))
    silo.stop()


def test_two_apps_know_nothing_of_each_other(tmp_path: Path) -> None:
    clients, silos = [], []
    for name in ("one", "two"):
        app = Flask(name)
        app.config["SECRET_KEY"] = SECRET
        silo = Silo(auto_cleanup=False)
        silo.register("counter", lambda: {"value": 0})
        silo.add_file_store("uploads", tmp_path / name)
        silo.init_app(app)
        add_views(app, silo)
        clients.append(app.test_client())
        silos.append(silo)
    session = begin(clients[0])
    assert value_of(clients[1], session) == 0
    begin(clients[1])
    assert value_of(clients[0], session) == 1
    assert [silo.store.active_count for silo in silos] == [1, 1]
    for silo in silos:
        silo.stop()


def test_a_file_store_is_had_by_its_name(silo: Silo) -> None:
    assert silo.file_store("uploads") is silo.file_store("uploads")
    with pytest.raises(KeyError):
        silo.file_store("downloads")


def test_s02_files_and_records_know_the_session_by_its_key_alone(
    client: FlaskClient, silo: Silo, tmp_path: Path
) -> None:
    session = begin(client)["X-Session-ID"]
    silo.file_store("uploads").save(session, "a", b"1")
    assert {path.name for path in (tmp_path / "uploads").iterdir()} == {session_key(session)}


def test_a_problem_names_the_request_that_had_it(app: Flask) -> None:
    with app.test_request_context():
        g.request_id = "0123"
        answer = problem(422, "Unprocessable Content", "invalid", "No.", errors=[1])
    assert isinstance(answer, Response)
    assert json.loads(answer.get_data()) == {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "No.",
        "error": "invalid",
        "errors": [1],
        "request_id": "0123",
    }


def test_an_error_of_silo_that_nobody_expected_is_ours(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.add_url_rule(
        "/api/odd", view_func=lambda: raise_it(SiloError("a secret detail")), methods=["POST"]
    )
    answer = app.test_client().post("/api/odd")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "a secret detail" in caplog.text


def test_an_app_may_have_sessions_in_cookies_too(make_app: MakeApp) -> None:
    app = make_app()

    @app.post("/seen")
    def seen() -> dict[str, int]:
        session["times"] = session.get("times", 0) + 1
        return {"times": session["times"]}

    client, stranger = app.test_client(), app.test_client()
    assert [client.post("/seen").json, client.post("/seen").json] == [{"times": 1}, {"times": 2}]
    stranger.set_cookie("session", "forged")
    assert stranger.post("/seen").json == {"times": 1}


def test_an_app_s_own_kind_of_cookies_is_left_alone() -> None:
    app = Flask("example")
    app.config["SECRET_KEY"] = SECRET
    own = app.session_interface = type("Own", (SecureCookieSessionInterface,), {})()
    Silo(app, auto_cleanup=False)
    assert app.session_interface is own
