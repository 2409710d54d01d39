"""Calls that are sent again: because many send them at once, or because an answer was lost."""

from __future__ import annotations

import random
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import Gate, eventually

from .chaos import SMALL, Round
from .server import Answer, Caller, Server, form, insist

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes are found in /proc"
)

CALLS, WORKERS = 50, 4
KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate") / "shut")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, gate: Gate) -> Iterator[Server]:
    """Four web workers, and one job at a time; a dead worker is noticed after three seconds."""
    data = tmp_path_factory.mktemp("retries") / "data"
    server = Server(data, WORKERS, SILO_WORKERS=1, SILO_LEASE=3, TESTS_GATE=gate.path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def caller(server: Server, gate: Gate) -> Iterator[Caller]:
    """A client whose files are uploaded and whose jobs must wait behind another client's."""
    gate.shut()
    first, mine = Caller(server.port), Caller(server.port)
    for caller in (first, mine):
        assert caller.upload("orders.csv", SMALL).status == 201
    assert first.post("/api/process").status == 202
    yield mine
    gate.open()
    first.post("/api/reset")
    mine.post("/api/reset")


def stored(server: Server, kind: str) -> int:
    """How many records of a kind the server's store holds."""
    connection = sqlite3.connect(server.data / "silo.db")
    try:
        query = "SELECT count(*) FROM records WHERE kind = ?"
        return int(connection.execute(query, (kind,)).fetchone()[0])
    finally:
        connection.close()


@pytest.mark.parametrize("keys", ["none", "one", "many"])
def test_s29_of_many_calls_at_once_one_starts_a_job(
    server: Server, caller: Caller, keys: str
) -> None:
    """Fifty over four workers: one job, and every answer is that job or a 409."""

    def start(number: int) -> Answer:
        key = {"none": "", "one": "the-one", "many": f"number-{number}"}[keys]
        headers = {"Idempotency-Key": f'"{key}"'} if key else {}
        return Caller(server.port, caller.sid).call("POST", "/api/process", b"", headers)

    before = stored(server, "job")
    with ThreadPoolExecutor(CALLS) as pool:
        answers = list(pool.map(start, range(CALLS)))
    assert stored(server, "job") == before + 1
    job = caller.get("/api/status").json["job"]["id"]
    started = [answer for answer in answers if answer.status == 202]
    assert {answer.json["id"] for answer in started} == {job}
    replays = sum("Idempotency-Replayed" in answer.headers for answer in started)
    assert len(started) - replays == 1
    told = {answer.json["error"] for answer in answers if answer.status != 202}
    assert told <= {"already_running", "in_flight"}
    assert {answer.status for answer in answers} <= {202, 409}


def test_s29_a_crowd_with_one_key_gets_one_job_though_workers_are_killed(
    server: Server, caller: Caller
) -> None:
    """Twenty send it until they are answered, while two of the four workers are killed."""
    before = stored(server, "job")
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(insist, start, server.port, caller.sid) for _ in range(20)]
        server.kill(*random.sample(server.workers(), 2))
        answers = [call.result(120) for call in calls]
    server.ensure_up()
    assert {answer.status for answer in answers} == {202}
    assert {answer.json["id"] for answer in answers} == {
        caller.get("/api/status").json["job"]["id"]
    }
    assert stored(server, "job") == before + 1


def start(port: int, sid: str | None) -> Answer:
    return retry(Caller(port, sid), "/api/process", b"{}", "application/json")


def send_and_hang_up(caller: Caller, path: str, body: bytes, kind: str) -> None:
    """Send a whole call with a key, and lose the connection before there is an answer."""
    own = {**caller.headers, **({"X-Session-ID": caller.sid} if caller.sid else {})}
    head = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f'Idempotency-Key: "{KEY}"',
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in own.items()),
    ]
    with socket.create_connection(("127.0.0.1", caller.port)) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)


def retry(caller: Caller, path: str, body: bytes, kind: str) -> Answer:
    headers = {"Idempotency-Key": f'"{KEY}"', "Content-Type": kind}
    return caller.call("POST", path, body, headers)


def test_s29_a_start_whose_answer_is_lost_is_not_repeated(server: Server, caller: Caller) -> None:
    call = ("/api/process", b'{"largest": 5}', "application/json")
    before = stored(server, "job")
    send_and_hang_up(caller, *call)
    job = eventually(lambda: caller.get("/api/status").json["job"]["id"])
    answer = insist(lambda port, sid: retry(Caller(port, sid), *call), server.port, caller.sid)
    assert (answer.status, answer.json["id"]) == (202, job)
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert stored(server, "job") == before + 1
    changed = retry(caller, call[0], b'{"largest": 6}', call[2])
    assert (changed.status, changed.json["error"]) == (422, "idempotency_mismatch")


def test_a_first_upload_whose_answer_is_lost_is_found_again(server: Server) -> None:
    """The client has no session yet: the answer that comes again brings it along."""
    caller = Caller(server.port)
    body, kind = form("orders.csv", SMALL)
    sessions, answers = stored(server, "session"), stored(server, "answers")
    send_and_hang_up(caller, "/api/upload", body, kind)
    eventually(lambda: stored(server, "answers") == answers + 1)
    answer = retry(caller, "/api/upload", body, kind)
    assert answer.status == 201
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert stored(server, "session") == sessions + 1
    assert caller.get("/api/status").json["files"] == answer.json["files"]
    round_ = Round(server, caller)
    round_.process()
    assert round_.ended_well().startswith("complete")
    round_.reset()


def test_s30_a_restarted_server_still_knows_the_answer(server: Server) -> None:
    caller = Caller(server.port)
    body, kind = form("orders.csv", SMALL)
    first = retry(caller, "/api/upload", body, kind)
    server.kill(server.master)
    server.ensure_up()
    again = retry(caller, "/api/upload", body, kind)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json == first.json
    assert caller.post("/api/reset").status == 204
