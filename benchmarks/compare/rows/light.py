"""A light call while nobody works, and while four people have their files processed."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import inputs
from ..asker import asking, told
from ..sizes import Sizes
from ..subjects import Subject, served
from .jobs import FOLDER, job

BUSY = 4
SETTLE = 0.5
"""Seconds in which the asking process has started, and jobs are under way."""


def light(subject: Subject, sizes: Sizes) -> dict[str, Any]:
    file = inputs.workbook(FOLDER, sizes.rows)
    stop = threading.Event()
    with served(subject) as running:

        def work() -> int:
            """Jobs one after the other; how many."""
            count = 0
            while not stop.is_set():
                job(running, file)
                count += 1
            return count

        job(running, file)
        with asking(running.port, subject.light) as end:
            time.sleep(sizes.light_seconds)
            idle = told(end())
        with ThreadPoolExecutor(BUSY) as pool:
            jobs = [pool.submit(work) for _ in range(BUSY)]
            try:
                time.sleep(SETTLE)
                with asking(running.port, subject.light) as end:
                    time.sleep(sizes.light_seconds)
                    busy = told(end())
            finally:
                stop.set()
            done = sum(each.result() for each in jobs)
    return {
        **{f"idle {name}": value for name, value in idle.items()},
        **{f"busy {name}": value for name, value in busy.items()},
        "busy p99 / idle p99": round(busy["p99 (ms)"] / idle["p99 (ms)"], 2),
        "jobs done": done,
    }
