"""Live streams of one web process: how many watchers have news, how late, and at whose expense.

Run by `make bench-streams`, in an environment that has a baked app. The app is served as its own
command serves it; four processes take part: the server, one that publishes straight into the
store, one that asks for /healthz all the while, and this one, which holds all streams.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import multiprocessing
import os
import resource
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from acme_reports import create_app, server
from acme_reports.silo.events import Events
from acme_reports.silo.records import open_records
from flask import Flask, Response
from report import HERE, about, keep, percentiles

EVERY = 2.0
"""Seconds between two events of a stream."""
FRESH = 3.0
"""Seconds within which a watcher should have heard something."""
ASK_EVERY = 0.02
WARM = 4.0
"""Seconds that are not counted: all streams are open, and everybody has heard something."""


def app() -> Flask:
    """The app with one route more, which streams whatever is asked for."""
    made = create_app()

    @made.get("/watch/<name>")
    def watch(name: str) -> Response:
        answer: Response = made.extensions["silo"].stream(name)
        return answer

    return made


def serve(port: int) -> None:
    server.create_app = app
    server.serve("127.0.0.1", port, 1, lambda: None)


def publish(store: str, count: int, seconds: float) -> None:
    """Tell each stream the time every two seconds, the streams evenly spread over that."""
    events = Events(open_records(store))
    began, turn = time.time(), 0
    while (now := time.time()) < began + seconds:
        while turn / count * EVERY <= now - began:
            events.publish(str(turn % count), time.time())
            turn += 1
        time.sleep(0.001)


def ask(port: int, seconds: float, answers: Connection) -> None:
    """The seconds that each call of a light endpoint takes, each over a new connection."""
    taken, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        connection.close()
        taken.append(time.perf_counter() - began)
        time.sleep(ASK_EVERY)
    answers.send(sorted(taken))


class Watcher:
    """One stream: when it last had news, and how late each was."""

    def __init__(self) -> None:
        self.last = 0.0
        self.lags: list[float] = []

    async def open(self, port: int, name: str) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        self._writer.write(f"GET /watch/{name} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head:
            raise SystemExit(head.decode())
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while line := await self._reader.readline():
            if line.startswith(b"data: "):
                self.last = time.time()
                self.lags.append(self.last - float(line[6:]))


async def watched(port: int, pid: int, count: int, seconds: float, store: str) -> dict[str, Any]:
    before = memory(pid)
    watchers = [Watcher() for _ in range(count)]
    for number in range(0, count, 50):
        opening = enumerate(watchers[number : number + 50], number)
        await asyncio.gather(*(each.open(port, str(name)) for name, each in opening))
    spawn = multiprocessing.get_context("spawn")
    publisher = spawn.Process(target=publish, args=(store, count, WARM + seconds))
    publisher.start()
    await asyncio.sleep(WARM)
    for each in watchers:
        each.lags.clear()
    answers, theirs = spawn.Pipe()
    asker = spawn.Process(target=ask, args=(port, seconds - 2, theirs))
    asker.start()
    await asyncio.sleep(seconds - 1)
    now, grown = time.time(), memory(pid) - before
    light = await asyncio.to_thread(answers.recv)
    asker.join()
    publisher.join()
    lags = sorted(lag for each in watchers for lag in each.lags)
    return {
        "with news in the last 3 s (%)": round(
            100 * sum(now - each.last < FRESH for each in watchers) / count, 1
        ),
        "news": len(lags),
        "lag (ms)": percentiles(lags, 1e-3),
        "light call (ms)": percentiles(light, 1e-3),
        "memory a stream (KB)": round(grown / count / 1024, 1),
    }


def memory(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


@contextmanager
def served(folder: str, store: str) -> Iterator[tuple[int, int]]:
    """The server's port, and the process id of its one worker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(port)],
        env={
            **os.environ,
            "SECRET_KEY": secrets.token_urlsafe(32),
            "SILO_DATA_DIR": folder,
            "SILO_RUNNER": "thread",
            "SILO_STORE_URL": store,
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if time.monotonic() > deadline:
                raise SystemExit("the app does not answer")
            time.sleep(0.05)
        time.sleep(1.5)  # so that the worker has loaded the app
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        yield port, int(children.split()[0])
    finally:
        process.terminate()
        process.wait()


def measured(count: int, seconds: float, store: str = "") -> dict[str, Any]:
    """What so many streams see; their news are in a SQLite file if no other store is named."""
    with tempfile.TemporaryDirectory() as folder:
        url = store or f"sqlite:///{folder}/silo.db"
        with served(folder, url) as (port, pid):
            return asyncio.run(watched(port, pid, count, seconds, url))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[200, 1000, 2000])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--output", type=Path, default=HERE / "streams.json")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    server.allow_files()
    if given.serve:
        serve(given.serve)
        return
    figures = {f"{count:,}": measured(count, given.seconds) for count in given.streams}
    keep(given.output, {**about("flask", "gunicorn"), "live streams": figures})


if __name__ == "__main__":
    main()
