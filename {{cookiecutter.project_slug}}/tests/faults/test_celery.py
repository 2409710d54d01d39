"""A server and a worker, each a process of its own: what people see of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.valkey import Valkey
from support import eventually

from {{ cookiecutter.package_name }} import __name__ as package

from .chaos import SMALL, Round
from .hosts import Worker
from .server import Caller, Server, alive

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes are found in /proc"
)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    broker = Valkey(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def settings(broker: Valkey) -> dict[str, Any]:
    """Those of the server and of its worker."""
    return {"SILO_RUNNER": "celery", "SILO_BROKER_URL": broker.url, "SILO_LEASE": "3"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]) -> Iterator[Server]:
    """One web process, which runs no jobs."""
    server = Server(tmp_path_factory.mktemp("celery") / "data", workers=1, **settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def worker(server: Server, settings: dict[str, Any]) -> Iterator[Worker]:
    """A worker with the server's settings, not started yet."""
    worker = Worker(server.data, settings)
    yield worker
    if worker.runs:
        worker.stop()


def waits(job: dict[str, object]) -> bool:
    return job["status"] == "queued"


def started(server: Server) -> Round:
    """A client that has uploaded and started a job."""
    client = Round(server, Caller(server.port))
    client.upload(SMALL)
    client.process()
    return client


def command(settings: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    """`worker` with these settings and options, once it has ended."""
    return subprocess.run(
        [sys.executable, "-m", f"{package}.cli", "worker", *options],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )


def figures(server: Server) -> str:
    return Caller(server.port).get("/metrics").body.decode()


def test_a_person_sees_nothing_of_who_works(
    server: Server, worker: Worker, settings: dict[str, Any], broker: Valkey
) -> None:
    """What the server was asked for the worker does, and ends in order when it is told to."""
    check = {**settings, "SILO_DATA_DIR": str(server.data)}
    client = started(server)
    client.until(waits)
    assert "silo_jobs_queued 1" in figures(server)
    assert "No worker of this machine" in command(check, "--check").stderr
    worker.start()
    assert f"works on jobs from {broker.url}, 1 at a time" in worker.log
    assert client.ended_well() == "complete, attempt 1"
    assert server.job_processes() == []
    assert "silo_jobs_queued 0" in figures(server)
    eventually(lambda: command(check, "--check").returncode == 0)
    children = worker.job_processes()
    assert children
    assert worker.stop() == 0
    eventually(lambda: not any(map(alive, children)))
    assert 'silo_jobs_total{end="complete"} 1' in figures(server)
    assert command(check, "--check").returncode == 1


def test_s31_a_job_that_was_started_while_the_broker_was_away_is_done(
    server: Server, worker: Worker, broker: Valkey
) -> None:
    broker.kill()
    client = started(server)
    client.until(waits)
    broker.start()
    worker.start()
    assert client.ended_well() == "complete, attempt 1"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"SILO_RUNNER": "process"}, "SILO_RUNNER is 'process'"),
        ({"SILO_BROKER_URL": ""}, "SILO_BROKER_URL is empty"),
        (
            {"SILO_BROKER_URL": "redis://:secret@127.0.0.1:1/0"},
            "SILO_BROKER_URL is 'redis://***@127.0.0.1:1/0': Error 111",
        ),
    ],
)
def test_a_worker_that_cannot_work_says_why(
    tmp_path: Path, wrong: dict[str, str], sentence: str
) -> None:
    given = {"SILO_DATA_DIR": str(tmp_path / "data"), "SILO_RUNNER": "celery", **wrong}
    ended = command(given)
    assert ended.returncode == 1
    said = [line for line in ended.stderr.splitlines() if " WARNING " not in line]
    assert len(said) == 1
    assert said[0].startswith(f"Error: {sentence}")
    assert "secret" not in ended.stderr
