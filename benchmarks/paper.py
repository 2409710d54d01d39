"""What much larger numbers need, as far as it follows from the figures of `scale.py`."""

from __future__ import annotations

import math
from typing import Any

SESSIONS, JOBS_AN_HOUR = 1_000_000, 10_000
"""What is wanted on paper."""
TTL = 3600
BUSY = 0.7
"""The share of its time for which a worker has work there, so that jobs seldom wait for one."""


def paper(found: dict[str, Any]) -> dict[str, Any]:
    """Each need, and what it follows from."""
    one = found["jobs, all at once"]["the sample, 1 worker"]
    few = next(iter(found["sessions"].values()))["bytes a session"]
    used = found["sessions, files in the bucket"]["with a report"]
    many = used["bytes of state"] + used["bytes of its job"]
    ending, ends = SESSIONS / TTL, used["ended a second, with files"]
    rate = JOBS_AN_HOUR / 3600
    workers = math.ceil(rate / one["jobs a second"] / BUSY)
    quiet = found["nothing to do"]["a worker"]["commands a second"]
    commands = rate * one["commands a job"] + workers * quiet
    needs = {
        f"memory of Redis, {SESSIONS:,} sessions": (
            f"{SESSIONS * few / 1e9:.1f} GB",
            f"{few:,} bytes each, with a counter as all their state",
        ),
        f"memory of Redis, {SESSIONS:,} sessions with a report": (
            f"{SESSIONS * many / 1e9:.1f} GB",
            f"{many:,} bytes each, the job's record among them",
        ),
        f"ends of sessions, {SESSIONS:,} in each hour": (
            f"{math.ceil(ending / ends)} cleaners",
            f"{ending:.0f} a second; one does {ends} with this bucket, and each process cleans",
        ),
        f"workers, {JOBS_AN_HOUR:,} jobs an hour": (
            f"{workers} processes",
            f"{rate:.1f} a second; one does {one['jobs a second']}, busy {BUSY:.0%} of its time",
        ),
        f"Redis, {JOBS_AN_HOUR:,} jobs an hour": (
            f"{commands:,.0f} commands a second",
            f"{one['commands a job']} a job, and {quiet} a second of each worker",
        ),
        f"a queue of {JOBS_AN_HOUR:,} jobs": (
            f"{JOBS_AN_HOUR / (workers * one['jobs a second']) / 60:.0f} minutes",
            "until those workers have done all",
        ),
    }
    return {what: {"needs": need, "as": why} for what, (need, why) in needs.items()}
