"""What it costs to put a job into a queue of so many, to take one out, and to end it.

python queued.py COUNT...
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from acme_reports.silo.records import open_records
from acme_reports.silo.tasks.job import Job, new_id
from acme_reports.silo.tasks.jobs import Jobs

MEASURED = 200
"""Of each kind of call, at the queue's full length."""


def timed(calls: list[Callable[[], Any]]) -> dict[str, float]:
    """Percentiles of a call, in microseconds."""
    taken = []
    for call in calls:
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    taken.sort()
    return {
        f"p{share}": round(taken[min(len(taken) - 1, len(taken) * share // 100)] * 1e6, 1)
        for share in (50, 99)
    }


def waiting(owner: str) -> Job:
    """A job that any process may take."""
    return Job(new_id(), "bench", owner=owner, target="a_module:work")


def measured(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        records = open_records(f"sqlite:///{folder}/silo.db")
        jobs = Jobs(records)
        for number in range(count):
            records.apply(*jobs.creation(waiting(f"session-{number}")))
        some = min(count, MEASURED)
        new = [waiting(f"new-{number}") for number in range(some)]
        taken: list[Job] = []

        def add(job: Job) -> None:
            records.apply(*jobs.creation(job))

        def take() -> None:
            job = jobs.claim_next()
            assert job
            taken.append(job)

        figures = {
            "put in": timed([partial(add, job) for job in new]),
            "taken": timed([take] * some),
            "ended": timed([partial(jobs.finish, job.id, "complete", "Done") for job in taken]),
        }
        records.close()
    return figures


def main() -> None:
    print(json.dumps({f"{int(count):,} (µs)": measured(int(count)) for count in sys.argv[1:]}))


if __name__ == "__main__":
    main()
