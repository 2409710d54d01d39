"""Streams of a real server: its processes are killed, it restarts, and a client comes back."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from support import eventually

from {{ cookiecutter.package_name }}.silo.clock import steady_clock
from {{ cookiecutter.package_name }}.silo.records import open_records
from {{ cookiecutter.package_name }}.silo.tasks.job import Job
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.slots import Slots

from .chaos import LARGE, SMALL
from .server import Caller, Event, Server

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes are found in /proc"
)

DAY = 86400
ENDS = {"complete", "failed", "cancelled", "expired"}


class Held:
    """A job of a real session on which the test works, as one more process of the same store."""

    def __init__(self, server: Server) -> None:
        self.caller = Caller(server.port)
        assert self.caller.upload("orders.csv", SMALL).status == 201
        job = self.caller.post("/api/process").json
        records = open_records(f"sqlite:///{server.data}/silo.db")
        self.jobs = Jobs(records, steady_clock(server.data), DAY)
        self.id = str(job["id"])
        self.attempt = 0
        self.said: list[str] = []
        self.begin()

    def begin(self) -> None:
        job = self.jobs.claim(self.id)
        assert job
        self.attempt = job.attempt

    def say(self, count: int = 5) -> None:
        for _ in range(count):
            self.said.append(f"Line {len(self.said)}")
            assert self.jobs.report(self.id, self.attempt, len(self.said), None, self.said[-1:])

    def end(self) -> Job:
        job = self.jobs.finish(self.id, "complete", "Done", self.attempt)
        assert job
        return job


class Client(threading.Thread):
    """Listens until the end, and comes back whenever the stream breaks off."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(daemon=True)
        self._caller = caller
        self.events: list[Event] = []
        self.hints: list[str] = []
        self.start()

    @property
    def lines(self) -> int:
        return sum(each.event == "log" for each in self.events)

    def run(self) -> None:
        while not self.ended:
            try:
                for event in self._caller.listen("/api/events", self.last):
                    self.events += [event] if event.event else []
                    self.hints += [event.retry] if event.retry else []
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)  # the server is away

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1].event in ENDS

    @property
    def last(self) -> str:
        return self.events[-1].id if self.events else ""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Two web workers whose one slot for jobs is taken, so that they leave jobs to the test."""
    server = Server(tmp_path / "data", SILO_LEASE=DAY, SILO_WORKERS=1)
    server.start()
    slots = Slots(1, server.data / "slots")
    slot = slots.take()
    assert slot
    yield server
    slots.free(slot)
    server.stop()


def kill_workers(server: Server, held: Held) -> None:
    server.kill(*server.workers())
    server.ensure_up()


def kill_all(server: Server, held: Held) -> None:
    server.kill(server.master)
    held.say()
    server.ensure_up()


def restart(server: Server, held: Held) -> None:
    assert server.stop() == 0
    held.say()
    server.start()


def lose_attempt(server: Server, held: Held) -> None:
    """The job's worker dies, and another one begins anew."""
    held.jobs.hand_back(held.id, held.attempt)
    held.begin()


@pytest.mark.parametrize("accident", [kill_workers, kill_all, restart, lose_attempt])
def test_whoever_comes_back_hears_every_line_once_and_one_end(
    server: Server, accident: Callable[[Server, Held], None]
) -> None:
    held = Held(server)
    client = Client(held.caller)
    held.say()
    eventually(lambda: client.lines == len(held.said))
    accident(server, held)
    held.say()
    held.end()
    client.join(120)
    logs = [each for each in client.events if each.event == "log"]
    assert [json.loads(each.data)["line"] for each in logs] == held.said
    assert [each.event for each in client.events if each.event in ENDS] == ["complete"]
    ids = [tuple(map(int, each.id.split("."))) for each in client.events]
    assert all(one < other for one, other in pairwise(ids)), ids
    assert "missed" not in {each.event for each in client.events}
    if accident is not kill_all:  # workers without a master end in order, if they come to it
        assert bool(client.hints) == (accident is restart)


def test_s35_a_stop_does_not_wait_for_streams(server: Server) -> None:
    held = Held(server)
    clients = [held.caller.listen("/api/events") for _ in range(5)]
    for client in clients:
        next(client)
    other = Caller(server.port)
    with other.append_in_part(other.create("large.csv", len(LARGE)), LARGE, len(LARGE) // 2):
        eventually(server.part_bytes)
        os.kill(server.master, signal.SIGTERM)
        for client in clients:
            assert [each.retry for each in client if each.retry]
        assert server.runs, "it waits for the upload: the streams have ended before all is cut off"
    eventually(lambda: not server.runs)
    assert server.stop() == 0
