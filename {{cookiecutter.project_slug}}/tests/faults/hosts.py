"""Machines: each a web server and perhaps a worker, in a folder, on a port and a clock of its own.

A cluster is two of them that share nothing but a Redis server and a bucket.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import obstore
from obstore.store import S3Store
from servers.swift import shared
from servers.valkey import Valkey
from stacks import SECRET, bucket
from support import eventually

from {{ cookiecutter.package_name }}.silo.files.objects import PIECE_BYTES

from .server import ANSWER_SECONDS, Program, Server, descendants_of, processes_of

READY = "works on jobs from"
LEASE_SECONDS = 3
AHEAD_SECONDS = 300


class Worker(Program):
    """`worker`, one job at a time."""

    def start(self) -> None:
        """Start, and wait until it hears messages."""
        self.begin()
        self.wait_ready()

    def begin(self) -> None:
        self._before = self.log.count(READY) if self.data.parent.exists() else 0
        self.launch("worker", "--concurrency", "1")

    def wait_ready(self) -> None:
        eventually(lambda: self.log.count(READY) > self._before or self._ended(), ANSWER_SECONDS)

    def job_processes(self) -> list[int]:
        """The fork server, and the child that works on a job."""
        return descendants_of(self.master)

    def everyone(self) -> list[int]:
        return [self.master, *self.job_processes()]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile it and its children do nothing."""
        everyone = self.everyone()
        for pid in everyone:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in everyone:
                os.kill(pid, signal.SIGCONT)

    def _ended(self) -> bool:
        assert self.runs, self.log
        return False


class Host:
    """A machine: a server, and a worker if there is one for its runner."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], workers: int = 1) -> None:
        self.folder = folder
        self.server = Server(folder / "data", workers, **settings)
        own = settings.get("SILO_RUNNER") == "celery"
        self.worker = Worker(folder / "data", settings) if own else None

    @property
    def programs(self) -> list[Server | Worker]:
        return [self.server, *([self.worker] if self.worker else [])]

    def start(self) -> None:
        """Start what does not run, at once, and wait until all is ready."""
        begun = [program for program in self.programs if not program.runs]
        for program in begun:
            program.begin()
        for program in begun:
            program.wait_ready()

    def kill(self) -> None:
        """As if the power had gone."""
        for program in self.programs:
            program.kill(*program.everyone())

    def stop(self) -> None:
        """SIGTERM; whatever ran ends in good order."""
        assert stopped(self.programs) == 0, self.server.log


def stopped(programs: Iterable[Program]) -> int:
    """End all of them at once that run; the worst exit code."""
    running = [program for program in programs if program.runs]
    with ThreadPoolExecutor() as pool:
        return max(pool.map(Program.stop, running), default=0, key=abs)


class Cluster:
    """Two hosts, of which the second one's clock is ahead, a Redis server and a bucket.

    It may stand where a `Server` stands: then its first host's is the one that is called.
    """

    piece_bytes = PIECE_BYTES

    def __init__(self, folder: Path, ahead: float = AHEAD_SECONDS, **settings: object) -> None:
        self.redis = Valkey(folder / "redis", durable=True)
        self.bucket = shared()
        self._name = f"cluster-{token_hex(4)}"
        told = {
            "SECRET_KEY": SECRET,
            "SILO_RUNNER": "celery",
            "SILO_STORE_URL": self.redis.url,
            **bucket(self.bucket, self._name),
            "SILO_LEASE": LEASE_SECONDS,
            "SILO_CLEANUP_INTERVAL": 1,
            **settings,
        }
        self.hosts = [
            Host(folder / "a", told),
            Host(folder / "b", {**told, "TESTS_CLOCK_AHEAD": ahead}),
        ]
        self.down: set[Host] = set()
        """Those that stay as they are until `settle`."""

    def start(self) -> None:
        begun = [program for host in self.hosts for program in host.programs]
        for program in begun:
            program.begin()
        for program in begun:
            program.wait_ready()

    @property
    def port(self) -> int:
        return self.hosts[0].server.port

    def ensure_up(self) -> None:
        """Start again what is dead; whatever lives answers."""
        if not self.redis.answers():
            self.redis.start()
        for host in self.hosts:
            if host not in self.down:
                host.start()
                host.server.wait_ready()

    def rest(self, host: Host) -> None:
        """Have a host work on no jobs until it is started again."""
        if host.worker and host.worker.runs:
            assert host.worker.stop() == 0

    def busy(self) -> Host | None:
        """The host on which a job is worked on."""
        for host in self.hosts:
            assert host.worker
            # Besides the child at work there is the fork server.
            if host.worker.runs and len(host.worker.job_processes()) > 1:
                return host
        return None

    def settle(self) -> None:
        """Have all run."""
        self.down.clear()
        self.ensure_up()

    def stop(self) -> int:
        """SIGTERM for all; the worst exit code."""
        code = stopped(program for host in self.hosts for program in host.programs)
        self.redis.stop()
        return code

    def part_bytes(self) -> int:
        """The bytes in the bucket: of a session that only uploads, what has arrived of it."""
        return sum(self.objects().values())

    def left_behind(self) -> list[str]:
        """Objects of sessions that the cleaners' second look has not removed, either."""
        deadline = time.monotonic() + LEASE_SECONDS + 60
        while (left := self.objects()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return [*left]

    def orphans(self) -> list[str]:
        """Processes that still run with the data directory of a host, after all were stopped."""
        return [pid for host in self.hosts for pid in processes_of(host.folder / "data")]

    def objects(self) -> dict[str, int]:
        """The size of each object in the bucket."""
        store = S3Store(
            self.bucket.bucket, endpoint=self.bucket.endpoint, client_options={"allow_http": True}
        )
        listed = obstore.list(store, self._name)
        return {each["path"]: each["size"] for batch in listed for each in batch}
