"""One job in one child: pass on what the child says, and see that it keeps to its limits."""

from __future__ import annotations

import threading
import time
from typing import Any

from .base import Outcome
from .child import Limits
from .jobs import Job, Jobs
from .worker import KILLED, Message, Worker, too_long, too_much_memory

TICK_SECONDS = 0.1
"""Between looks at the job's record: how late a cancellation may be noticed."""
GRACE_SECONDS = 2.0
"""What a cancelled target has to stop by itself before its child is killed."""


class Relay:
    """Stands between a running job's record and the child that works on it."""

    def __init__(self, jobs: Jobs, job: Job, worker: Worker, limits: Limits) -> None:
        self._jobs = jobs
        self._job = job
        self._worker = worker
        self._limits = limits
        self._started = self._renewed = time.monotonic()
        self._asked: float | None = None

    def run(self, stopped: threading.Event) -> Outcome | None:
        """Follow the child until it ends. Returns how, or None if the job's record says already.

        When `stopped` is set the job is handed back, for another process or the next start.
        """
        while True:
            messages = self._worker.listen(TICK_SECONDS)
            if messages is None:
                return self._died()
            end = self._pass_on(messages) or self._overdue()
            if end:
                return end
            job = self._jobs.read(self._job.id)
            if job is None or job.status != "running" or job.attempt != self._job.attempt:
                return None
            if job.cancelling:
                self._ask()
            if stopped.is_set():
                self._jobs.release(job.id, job.attempt)
                return None

    def _died(self) -> Outcome | None:
        """A child that others killed did nothing wrong, so its job may have another attempt."""
        if not self._worker.was_killed:
            return self._worker.death(self._limits)
        self._jobs.hand_back(self._job.id, self._job.attempt, KILLED)
        return None

    def _pass_on(self, messages: list[Message]) -> Outcome | None:
        """Put news on the record in one step, then the end if it is among them."""
        ends = [m for m in messages if "end" in m or "memory" in m]
        lines = [m["log"] for m in messages if "log" in m]
        news = {**_last(messages, "progress"), **_last(messages, "message")}
        if news or lines:
            self._renewed = time.monotonic()
            self._jobs.report(self._job.id, self._job.attempt, lines=lines, **news)
        elif time.monotonic() - self._renewed > self._jobs.lease / 3:
            self._renewed = time.monotonic()
            self._jobs.renew(self._job.id)
        return self._end(ends[0]) if ends else None

    def _end(self, said: Message) -> Outcome | None:
        if "memory" in said:
            return too_much_memory(self._limits)
        if said["end"] == "complete":
            job, result = self._job, said.get("result")
            self._jobs.finish(job.id, "complete", said["message"], job.attempt, result)
            return None
        trace, passing = said.get("trace", ""), said.get("passing", False)
        return Outcome(said["end"], said["message"], trace, passing)

    def _overdue(self) -> Outcome | None:
        now = time.monotonic()
        if self._asked is not None and now - self._asked > GRACE_SECONDS:
            return Outcome("cancelled", "Cancelled.")
        return too_long(self._limits) if now - self._started > self._limits.seconds else None

    def _ask(self) -> None:
        """Ask the child to stop, once."""
        if self._asked is None:
            self._asked = time.monotonic()
            self._worker.cancel()


def _last(messages: list[Message], key: str) -> dict[str, Any]:
    """The latest news of one kind; an end has its own way onto the record."""
    said = [m[key] for m in messages if "end" not in m and m.get(key) is not None]
    return {key: said[-1]} if said else {}
