"""What a real server writes down and answers, from a first upload to a crash: never whose it is."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers import valkey
from support import Gate, eventually

from .chaos import SMALL
from .server import Answer, Caller, Server, alive, command

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists() or sys.platform == "win32",
    reason="processes are found in /proc",
)

PASSWORD = "geheim-und-lang"


@dataclass
class Heard(Caller):
    """A caller who keeps all that was answered, but for the header that is meant to hold it."""

    heard: bytes = b""

    def call(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        answer = super().call(method, path, body, headers)
        told = {name: value for name, value in answer.headers.items() if name != "X-Session-ID"}
        self.heard += f"{method} {path} {told}\n".encode() + answer.body
        return answer

    def job(self) -> dict[str, object]:
        job: dict[str, object] = self.get("/api/status").json["job"]
        return job


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


@pytest.fixture
def server(tmp_path: Path, gate: Gate) -> Iterator[Server]:
    """One web process, and one job at a time."""
    given = {"SILO_WORKERS": 1, "SILO_LEASE": 3, "TESTS_GATE": gate.path}
    server = Server(tmp_path / "data", 1, None, **given)
    server.start()
    yield server
    server.stop()


def fine(caller: Heard) -> None:
    """All goes well, from the page to the download."""
    for path in ("/", "/api/options", "/api/openapi.json", "/healthz", "/readyz"):
        assert caller.get(path).status == 200
    assert caller.upload("orders.csv", SMALL).status == 201
    data = caller.create("more.csv", len(SMALL))
    assert caller.append(data, 0, SMALL).status == 200
    assert caller.post("/api/process").status == 202
    eventually(lambda: caller.job()["status"] == "complete")
    list(caller.listen("/api/events"))
    url = caller.post("/api/report/link").json["url"]
    for path in ("/api/report", "/api/report.xlsx", url):
        assert caller.get(path).status == 200


def wrong(caller: Heard) -> None:
    """All that can be refused is."""
    assert caller.upload("a.pdf", b"%PDF").status == 415
    assert caller.post("/api/process", b"{").status == 400
    assert caller.get("/api/uploads/").status == 404
    assert caller.get("/api//status").status == 404
    assert caller.get("/api/report.xlsx?token=x").status == 403
    assert caller.call("DELETE", "/api/status").status == 405


def crash(server: Server, caller: Heard, gate: Gate) -> None:
    """Whoever works on the job is killed, as often as it is tried."""
    gate.shut()
    assert caller.upload("orders.csv", SMALL).status == 201
    assert caller.post("/api/process").status == 202
    for attempt in (1, 2):
        eventually(lambda n=attempt: works(caller.job(), n), 60)  # type: ignore[misc]  # a number
        server.kill(*(pid for pid in server.job_processes() if alive(pid)))
    eventually(lambda: caller.job()["status"] == "failed", 60)


def works(job: dict[str, object], attempt: int) -> bool:
    return job["attempt"] == attempt and job["running"] is True and job["progress"] != 0


def locked(server: Server, caller: Heard) -> None:
    """The store does not answer for a while."""
    other = sqlite3.connect(server.data / "silo.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert caller.post("/api/process").status == 503
    other.execute("ROLLBACK")
    other.close()


def test_s03_a_session_s_id_is_told_to_nobody_and_written_nowhere(
    server: Server, gate: Gate
) -> None:
    caller = Heard(server.port)
    fine(caller)
    wrong(caller)
    crash(server, caller, gate)
    locked(server, caller)
    processes = [command(pid) for pid in server.everyone()]
    assert caller.post("/api/reset").status == 204
    assert caller.sid
    bare, _, signature = caller.sid.rpartition(".")
    log = (server.data.parent / "server.log").read_bytes()
    for where, told in {
        "the answers": caller.heard,
        "the log": log,
        "the command lines": json.dumps(processes).encode(),
    }.items():
        assert bare.encode() not in told, where
        assert signature.encode() not in told, where
    assert b"Processing was killed" in caller.heard
    assert log.count(b"POST /api/process") == 4
    for file in server.data.rglob("*"):
        assert signature not in str(file)
        assert not file.is_file() or signature.encode() not in file.read_bytes(), file


def test_s03_the_password_of_a_server_that_goes_away_is_written_nowhere(tmp_path: Path) -> None:
    redis = valkey.Valkey(tmp_path / "valkey", requirepass=PASSWORD)
    settings = {"SECRET_KEY": "x1" * 16, "SILO_STORE_URL": redis.url, "SILO_RUNNER": "celery"}
    server = Server(tmp_path / "data", 1, None, **settings)
    try:
        server.start()
        caller = Heard(server.port)
        assert caller.upload("orders.csv", SMALL).status == 201
        redis.kill()
        assert caller.get("/api/status").status == 503
        assert caller.post("/api/process").status == 503
        server.kill(*server.workers())
        eventually(lambda: "its server cannot be used" in server.log)
        redis.start()
        eventually(server.answers)
    finally:
        server.stop()
        redis.stop()
    assert f"redis://***@127.0.0.1:{redis.port}/0" in server.log
    assert PASSWORD not in server.log
    assert PASSWORD.encode() not in caller.heard
