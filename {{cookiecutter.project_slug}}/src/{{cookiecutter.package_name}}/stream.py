"""Progress as server-sent events: what is new about a job, for as long as somebody listens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from .silo import BackgroundTask
from .silo.tasks.jobs import Job, Jobs

TICK_SECONDS = 0.1
PING_SECONDS = 15

JobJson = dict[str, Any]


def job_json(task: BackgroundTask) -> JobJson:
    """How a task stands, as the page is told."""
    return task.state.to_dict()


def watch(task: BackgroundTask, jobs: Jobs, seen: int) -> Iterator[str]:
    """Say what is new about a task, then how it ended. `seen` log lines are not said again."""
    job_id = task.state.id
    said: JobJson = {}
    quiet = time.monotonic()
    while True:
        # The job is read first: what is told of it is then never older than what is decided by it.
        job, news = jobs.read(job_id or ""), job_json(task)
        if job is None or news["id"] is None:
            yield event("expired", {}, seen) if job_id else event("progress", news, seen)
            return
        for line in unheard(job, seen):
            seen += 1
            yield event("log", {"line": line}, seen)
        seen = job.logged
        if not job.active:
            yield event(job.status, news, seen)
            return
        del news["logs"]
        if news["running"] and news != said:
            said, quiet = news, time.monotonic()
            yield event("progress", news, seen)
        elif time.monotonic() - quiet > PING_SECONDS:
            quiet = time.monotonic()
            yield ": ping\n\n"
        time.sleep(TICK_SECONDS)


def unheard(job: Job, seen: int) -> list[str]:
    """The log lines after the first `seen`, as far back as they are kept."""
    return job.logs[-(job.logged - seen) :] if job.logged > seen else []


def event(name: str, data: JobJson, number: int) -> str:
    return f"event: {name}\nid: {number}\ndata: {json.dumps(data)}\n\n"
