"""A process that makes one light call after the other, and tells what each took."""

from __future__ import annotations

import http.client
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

EVERY = 0.01
LONGEST = 5.0
"""Seconds after which a call counts as unanswered."""


def call(port: int, method: str, path: str) -> float:
    """Seconds of one call over a new connection; `LONGEST` if it fails."""
    began = time.perf_counter()
    body = b'{"data": []}' if method == "POST" else None
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            return LONGEST
    except (OSError, http.client.HTTPException):
        return LONGEST
    finally:
        connection.close()
    return time.perf_counter() - began


def ask(port: int, method: str, path: str, end: Connection) -> None:
    """Ask until told to end, then send the seconds of each call, sorted."""
    taken = []
    while not end.poll(EVERY):
        taken.append(call(port, method, path))
    end.send(sorted(taken))


@contextmanager
def asking(port: int, light: tuple[str, str]) -> Iterator[Callable[[], list[float]]]:
    """Ask during the block; what it yields ends that, and gives the seconds of each call."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=ask, args=(port, *light, theirs))
    process.start()

    def end() -> list[float]:
        ours.send(None)
        taken: list[float] = ours.recv()
        return taken

    try:
        yield end
    finally:
        process.terminate()
        process.join()


def told(taken: list[float]) -> dict[str, float]:
    """Percentiles in milliseconds, and how many calls got no answer, in percent."""
    figures = {
        f"p{share} (ms)": round(taken[min(len(taken) - 1, len(taken) * share // 100)] * 1000, 2)
        for share in (50, 99)
    }
    lost = 100 * sum(each >= LONGEST for each in taken) / len(taken)
    return {**figures, **({"unanswered (%)": round(lost, 1)} if lost else {})}
