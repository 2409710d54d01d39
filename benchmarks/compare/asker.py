"""A process that makes one light call after the other, and tells what each took.

It stands for somebody who has a machine of their own: where the system lets it, it does not wait
for a core, so that what it tells are the server's waits and not its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .environments import BENCHMARKS
from .processes import CannotRunError

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


@contextmanager
def asking(port: int, light: tuple[str, str]) -> Iterator[Callable[[], list[float]]]:
    """Ask during the block; what it yields ends that, and gives the seconds of each call, sorted.

    Raises CannotRunError if nothing was asked.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(port), *light],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS)},
    )

    def end() -> list[float]:
        taken: list[float] = json.loads(process.communicate()[0])
        if not taken:
            raise CannotRunError("no light call was made")
        return taken

    try:
        yield end
    finally:
        process.kill()
        process.wait()


def told(taken: list[float]) -> dict[str, float]:
    """Percentiles in milliseconds, and how many calls got no answer, in percent."""
    figures = {
        f"p{share} (ms)": round(taken[min(len(taken) - 1, len(taken) * share // 100)] * 1000, 2)
        for share in (50, 99)
    }
    lost = 100 * sum(each >= LONGEST for each in taken) / len(taken)
    return {**figures, **({"unanswered (%)": round(lost, 1)} if lost else {})}


def main(port: str, method: str, path: str) -> None:
    """Ask until the input closes, then tell the seconds of each call."""
    with contextlib.suppress(AttributeError, PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    taken = []
    while not select.select([sys.stdin], [], [], EVERY)[0]:
        taken.append(call(int(port), method, path))
    print(json.dumps(sorted(taken)))


if __name__ == "__main__":
    main(*sys.argv[1:])
