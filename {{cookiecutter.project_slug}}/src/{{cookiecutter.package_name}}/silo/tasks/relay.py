"""One job in one child: pass on what the child says, and see that it keeps to its limits.

While the store is away the child works on. What it says meanwhile is kept, its end above all, and
passed on when the store is back; if another attempt has begun by then, it is not heard.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from .base import Outcome
from .child import Limits
from .job import LOG_LINES, Job
from .jobs import Jobs
from .outage import AWAY, insist
from .worker import KILLED, Message, Worker, too_long, too_much_memory

TICK_SECONDS = 0.1
"""Between looks at the job's record: how late a cancellation may be noticed."""
GRACE_SECONDS = 2.0
"""What a target has that is cancelled, or late, to stop by itself before its child is killed."""


class Relay:
    """Stands between a running job's record and the child that works on it."""

    def __init__(self, jobs: Jobs, job: Job, worker: Worker, limits: Limits) -> None:
        self._jobs = jobs
        self._job = job
        self._worker = worker
        self._limits = limits
        self._started = self._renewed = time.monotonic()
        self._asked: float | None = None
        self._late = False
        self._stopped = threading.Event()
        self._news: dict[str, Any] = {}
        self._lines: list[str] = []
        self._doubted = 0

    def run(self, stopped: threading.Event) -> Outcome | None:
        """Follow the child until it ends. Returns how, or None if the job's record says already.

        When `stopped` is set the job is handed back, for another process or the next start. Raises
        one of `AWAY` if the store is away then.
        """
        self._stopped = stopped
        while True:
            messages = self._worker.listen(TICK_SECONDS)
            if messages is None:
                return self._died()
            self._note(messages)
            ends = [m for m in messages if "end" in m or "memory" in m]
            if ends:
                insist(self._pass_on, stopped)
                return self._end(ends[0])
            if end := self._overdue():
                return end
            if not self._goes_on():
                return None

    def _goes_on(self) -> bool:
        """Pass on the news and look at the record: whether the job is still this attempt's."""
        try:
            job = self._pass_on() or self._jobs.read(self._job.id)
        except AWAY:
            if self._stopped.is_set():
                raise
            return True
        if job is None or job.status != "running" or job.attempt != self._job.attempt:
            return False
        if job.cancelling:
            self._ask()
        if self._stopped.is_set():
            self._jobs.release(job.id, job.attempt)
            return False
        return True

    def _died(self) -> Outcome | None:
        """A child that others killed did nothing wrong, so its job may have another attempt.

        One that ends because this process does has cost none: whoever started it has ended before.
        """
        if not self._worker.was_killed:
            return self._worker.death(self._limits)
        job = self._job
        if self._stopped.is_set():
            self._jobs.release(job.id, job.attempt)
        else:
            insist(lambda: self._jobs.hand_back(job.id, job.attempt, KILLED), self._stopped)
        return None

    def _note(self, messages: list[Message]) -> None:
        """Keep what was said, as far as the record would."""
        self._news |= {**_last(messages, "progress"), **_last(messages, "message")}
        self._lines += [m["log"] for m in messages if "log" in m]
        gone = max(0, len(self._lines) - LOG_LINES)
        self._lines, self._doubted = self._lines[gone:], max(0, self._doubted - gone)

    def _pass_on(self) -> Job | None:
        """Put news on the record in one step, and return it then, or say that the worker lives."""
        job = None
        if self._news or self._lines:
            job = self._report()
        elif time.monotonic() - self._renewed > self._jobs.leases.seconds / 3:
            self._jobs.renew(self._job.id)
        else:
            return None
        self._renewed = time.monotonic()
        return job

    def _report(self) -> Job | None:
        """Put news on the record, and no line twice: an answer may have been lost."""
        if self._doubted:
            stored = self._jobs.read(self._job.id)
            if stored and stored.logs[-self._doubted :] == self._lines[: self._doubted]:
                self._lines = self._lines[self._doubted :]
        self._doubted = len(self._lines)
        job = None
        if self._lines or self._news:
            told = {**self._news, "lines": self._lines}
            job = self._jobs.report(self._job.id, self._job.attempt, **told)
        self._news, self._lines, self._doubted = {}, [], 0
        return job

    def _end(self, said: Message) -> Outcome | None:
        if "memory" in said:
            return too_much_memory(self._limits)
        if said["end"] == "complete":
            job, result = self._job, said.get("result")
            insist(
                lambda: self._jobs.finish(job.id, "complete", said["message"], job.attempt, result),
                self._stopped,
            )
            return None
        if said["end"] == "cancelled":
            return self._outcome_of_asking()
        trace, passing = said.get("trace", ""), said.get("passing", False)
        return Outcome(said["end"], said["message"], trace, passing)

    def _overdue(self) -> Outcome | None:
        """Ask the child to stop when its time is over; how it ended if it was asked and has not."""
        now = time.monotonic()
        if self._asked is None and now - self._started > self._limits.seconds:
            self._late = True
            self._ask()
        if self._asked is not None and now - self._asked > GRACE_SECONDS:
            return self._outcome_of_asking()
        return None

    def _outcome_of_asking(self) -> Outcome:
        return too_long(self._limits) if self._late else Outcome("cancelled", "Cancelled.")

    def _ask(self) -> None:
        """Ask the child to stop, once."""
        if self._asked is None:
            self._asked = time.monotonic()
            self._worker.cancel()


def _last(messages: list[Message], key: str) -> dict[str, Any]:
    """The latest news of one kind; an end has its own way onto the record."""
    said = [m[key] for m in messages if "end" not in m and m.get(key) is not None]
    return {key: said[-1]} if said else {}
