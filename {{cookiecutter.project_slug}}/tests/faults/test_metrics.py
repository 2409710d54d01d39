"""The figures of a server of several processes, some of which are killed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support import eventually

from .chaos import SMALL
from .server import Caller, Server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn is for other systems")

LOOKS = 12
"""So many that every worker is asked."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data", workers=2)
    server.start()
    yield server
    assert server.stop() == 0


def figure(server: Server, name: str, *labels: str) -> float:
    told = Caller(server.port).get("/metrics").body.decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if sample.name == name and set(labels) <= set(sample.labels.values())
    )


def status_calls(server: Server) -> float:
    return figure(server, "silo_requests_total", "app.status")


def call(server: Server, times: int) -> None:
    for _ in range(times):
        assert Caller(server.port).get("/api/status").status == 200


def test_every_worker_tells_the_same_and_nothing_goes_back(server: Server) -> None:
    call(server, 40)
    eventually(lambda: status_calls(server) == 40)
    assert [status_calls(server) for _ in range(LOOKS)] == [40] * LOOKS

    for worker in server.workers():
        server.kill(worker)
        server.wait_ready()
        assert status_calls(server) == 40

    server.kill(server.master)
    server.start()
    assert status_calls(server) == 40
    call(server, 10)
    eventually(lambda: status_calls(server) == 50)
    assert server.stop() == 0
    server.start()
    assert status_calls(server) == 50


def test_what_a_worker_counted_last_is_kept_when_it_is_told_to_stop(server: Server) -> None:
    call(server, 20)
    assert server.stop() == 0
    server.start()
    assert status_calls(server) == 20


def test_a_job_is_counted_once_whichever_process_runs_it(server: Server) -> None:
    for _ in range(4):
        caller = Caller(server.port)
        assert caller.upload("small.csv", SMALL).status == 201
        assert caller.post("/api/process").status == 202
        assert [event.event for event in caller.listen("/api/events")][-1] == "complete"
    eventually(lambda: figure(server, "silo_jobs_total", "complete") == 4)
    assert figure(server, "silo_jobs_total") == 4
    assert figure(server, "silo_jobs_running") == 0
    assert figure(server, "silo_sessions") == 4
