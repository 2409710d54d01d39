"""A server and a worker, each a process of its own: what people see of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.valkey import Valkey
from support import eventually

from {{ cookiecutter.package_name }} import __name__ as package

from .chaos import SMALL, Round
from .server import Caller, Server, alive, children_of

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes are found in /proc"
)

COMMAND = (sys.executable, "-m", f"{package}.cli", "worker")


class Hands:
    """The command `worker`, with a server's settings."""

    def __init__(self, server: Server, *options: str) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, *options],
            env=server.environment,
            stdout=subprocess.PIPE,
            stderr=(server.data.parent / "worker.log").open("ab"),
        )
        assert self._process.stdout
        self.said = self._process.stdout.readline().decode()

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        self._process.send_signal(by)
        return self._process.wait(30)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    broker = Valkey(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, broker: Valkey) -> Iterator[Server]:
    """One web process, which runs no jobs."""
    server = Server(
        tmp_path_factory.mktemp("celery") / "data",
        workers=1,
        SILO_RUNNER="celery",
        SILO_BROKER_URL=broker.url,
        SILO_LEASE=3,
        SILO_WORKERS=1,
    )
    server.start()
    yield server
    server.stop()


def waits(job: dict[str, object]) -> bool:
    return job["status"] == "queued"


def started(server: Server) -> Round:
    """A client that has uploaded and started a job."""
    client = Round(server, Caller(server.port))
    client.upload(SMALL)
    client.process()
    return client


def checked(server: Server) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--check"], env=server.environment, capture_output=True, text=True
    )


def test_a_person_sees_nothing_of_who_works(server: Server, broker: Valkey) -> None:
    """Uploaded and asked of the server, done by the worker; it says where, and ends with 0."""
    client = started(server)
    client.until(waits)
    assert checked(server).returncode == 1
    assert server.job_processes() == []
    hands = Hands(server)
    assert f"works on jobs from {broker.url}, 1 at a time" in hands.said
    assert client.ended_well() == "complete, attempt 1"
    assert client.caller.get("/api/report.xlsx").body.startswith(b"PK")
    eventually(lambda: checked(server).returncode == 0)
    figures = Caller(server.port).get("/metrics").body.decode()
    assert "silo_jobs_queued 0" in figures
    children = children_of(hands.pid)
    assert children
    assert hands.end() == 0
    eventually(lambda: not any(map(alive, children)))
    assert 'silo_jobs_total{end="complete"} 1' in Caller(server.port).get("/metrics").body.decode()
    assert "No worker of this machine" in checked(server).stderr


def test_s31_a_job_that_was_started_while_the_broker_was_away_is_done(
    server: Server, broker: Valkey
) -> None:
    broker.kill()
    client = started(server)
    client.until(waits)
    broker.start()
    hands = Hands(server)
    assert client.ended_well() == "complete, attempt 1"
    hands.end()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"SILO_RUNNER": "process"}, "SILO_RUNNER is 'process'"),
        ({"SILO_BROKER_URL": ""}, "SILO_BROKER_URL is empty"),
        (
            {"SILO_BROKER_URL": "redis://:secret@127.0.0.1:1/0"},
            "SILO_BROKER_URL is 'redis://:**@127.0.0.1:1/0': Error 111",
        ),
    ],
)
def test_a_worker_that_cannot_work_says_why(
    tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    given = {"SILO_DATA_DIR": str(tmp_path / "data"), "SILO_RUNNER": "celery", **settings}
    ended = subprocess.run(COMMAND, env={**os.environ, **given}, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: {sentence}")
    assert ended.stderr.count("\n") == 1
    assert "secret" not in ended.stderr
