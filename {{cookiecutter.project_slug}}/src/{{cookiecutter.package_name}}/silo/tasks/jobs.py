"""Jobs: the durable truth about every background task.

A job is a record (`job.py`). It waits in a queue (`queue.py`). Runners only carry its id about;
whoever wants to work on it claims it by compare-and-set, so that delivering it twice does nothing,
and has a lease that tells that it lives (`leases.py`). The attempt number is the fence: what a
worker of an earlier attempt says is not heard.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

from ..records import NEW, Delete, Postpone, Put, Records, Step, clock_of
from .job import LINE_CHARS, OWNER_CHARS, End, Job, decode, encode, sentence
from .leases import Leases
from .queue import Queue

log = logging.getLogger(__name__)

Watcher = Callable[[Job], object]

LONGEST_BACKOFF = 64.0
"""In seconds."""
DYING_SECONDS = 0.5
"""A child may outlive its worker by a moment; so long their job waits before it is begun again."""
INTERRUPTED = "The server stopped while this was running. Please start it again."
UNSAID = "Processing failed, without saying why."


class Jobs:
    """Every change a job can go through, each one atomic step on its record.

    `lease` is how many seconds a worker may stay silent before its job is handed back; where the
    records tell that its process has died, that is done at once. `retain` is how many seconds a
    finished job is kept that no session refers to.
    """

    def __init__(
        self,
        records: Records,
        clock: Callable[[], float] | None = None,
        lease: float = 15,
        retain: float = 3600,
    ) -> None:
        self.records = records
        self.clock = clock_of(records, clock)
        self.queue = Queue(records, self.clock)
        self.leases = Leases(records, self.clock, lease)
        self.retain = retain
        self.session_ttl: float | None = None
        """How long a job's session lives from the job's end on, in seconds; None: as it would."""
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher(job)` whenever this process has changed the status of a job: once each."""
        self._watchers.append(watcher)

    def read(self, job_id: str) -> Job | None:
        """The job, or None if it is gone."""
        record = self.records.read("job", job_id)
        return decode(record) if record else None

    def is_active(self, job_id: str) -> bool:
        """Whether the job is queued or running."""
        job = self.read(job_id)
        return job is not None and job.active

    def creation(self, job: Job) -> list[Step]:
        """The steps that store a new job, for whoever wants to take them together with others."""
        now = self.clock()
        first = int(now * 1000)  # above the ids of any job before
        job = replace(job, created_at=now, events=first, changed=first)
        steps: list[Step] = [Put("job", job.id, encode(job), now + self.retain, NEW)]
        if job.status == "queued":
            steps += self._joining(job, now + job.delay)
        return steps

    def peek(self, limit: int = 10) -> list[Job]:
        """The next jobs to start, as they wait now."""
        waiting = map(self.read, islice(self.queue.waiting(), limit))
        return [job for job in waiting if job]

    def claim_next(self) -> Job | None:
        """Take the next job of the queue, or None. From now on it is running."""
        return next(filter(None, map(self.claim, self.queue.waiting())), None)

    def claim(self, job_id: str) -> Job | None:
        """Take this job if it still waits, else None."""
        waiting = self.read(job_id)
        if waiting is None or waiting.status != "queued":
            return None
        attempt, claimed = waiting.attempt + 1, None
        if not self.leases.holds.take(job_id, attempt):
            return None  # somebody else begins it
        try:
            claimed = self._begin(job_id, attempt)
        finally:
            if claimed is None:
                self.leases.holds.free(job_id, attempt)
        return claimed

    def _begin(self, job_id: str, attempt: int) -> Job | None:
        def start(job: Job) -> Job | None:
            if job.status != "queued" or job.attempt + 1 != attempt:
                return None
            return replace(
                job,
                status="running",
                attempt=attempt,
                message="Starting…",
                progress=0.0,
                started_at=self.clock(),
            )

        lease = self.leases.beginning(job_id, attempt)
        return self._change(
            job_id,
            start,
            lambda job: [self._leaving(job), lease, *self.queue.serving(job.owner)],
        )

    def renew(self, job_id: str) -> None:
        """Say that the job's worker lives, and nothing else."""
        self.records.apply(self.leases.renewing(job_id))

    def report(
        self,
        job_id: str,
        attempt: int | None = None,
        progress: float | None = None,
        message: str | None = None,
        lines: Iterable[str] = (),
    ) -> Job | None:
        """Say how far a job is, and that its worker lives.

        Returns None if it has ended, or is not this attempt's any more.
        """

        def advance(job: Job) -> Job | None:
            if not job.hears(attempt):
                return None
            return replace(
                job.with_lines(lines),
                progress=job.progress if progress is None else _percent(progress, job.progress),
                message=job.message if message is None else str(message)[:LINE_CHARS],
            )

        lease = self.leases.renewing(job_id)
        return self._change(job_id, advance, lambda _: [lease])

    def finish(
        self,
        job_id: str,
        status: End,
        message: str,
        attempt: int | None = None,
        result: Any = None,
    ) -> Job | None:
        """End a job. Its first end is the truth: None if it has one, or the attempt is over."""
        message = sentence(message)
        if status == "failed" and not message.strip():
            message = UNSAID

        def end(job: Job) -> Job | None:
            if not job.hears(attempt):
                return None
            return replace(
                job,
                status=status,
                progress=100.0 if status == "complete" else job.progress,
                message=f"Failed: {message}" if status == "failed" else message,
                error=message if status == "failed" else None,
                result=result,
                finished_at=self.clock(),
            )

        return self._change(job_id, end, self._ending)

    def cancel(self, job_id: str) -> Job | None:
        """Ask a job to stop: at once if it waits, else at its next progress call."""

        def ask(job: Job) -> Job | None:
            if job.status == "queued":
                return replace(
                    job, status="cancelled", message="Cancelled.", finished_at=self.clock()
                )
            if job.status == "running":
                return replace(job, cancelling=True, message="Cancelling…")
            return None

        def steps(job: Job) -> list[Step]:
            return [self._leaving(job)] if job.active else self._ending(job)

        return self._change(job_id, ask, steps)

    def recover(self) -> None:
        """Hand back the jobs of workers that are dead, or were silent for longer than their lease.

        A job that only one process can run and that still waits has failed: that process is gone.
        """
        for job_id, seen in self.leases.lost():
            job, lease = self.read(job_id), self.leases.read(job_id)
            if lease is None or lease.version != seen.version:
                continue  # somebody else was quicker, and it may be another attempt's by now
            if job and job.status == "running":
                dying = lease.due > self.clock()
                self.hand_back(job_id, job.attempt, delay=DYING_SECONDS if dying else 0)
            elif job and job.active:
                self.finish(job_id, "failed", INTERRUPTED)
            else:
                self.records.apply(self.leases.ending(job_id, seen.version))

    def sweep(self, is_referred: Callable[[Job], bool]) -> None:
        """Drop finished jobs that nobody refers to any more."""
        now = self.clock()
        for job_id, record in self.records.each_due("job", now):
            job = decode(record)
            if job.active:
                self._mend(job)
            if job.active or is_referred(job):
                self.records.apply(Postpone("job", job_id, now + self.retain))
            else:
                self.records.apply(Delete("job", job_id, record.version))

    def _mend(self, job: Job) -> None:
        """See to a job without a lease or a place in the queue: a store may forget what is old."""

        def is_lost(job: Job) -> Job | None:
            waits = self.queue.has(job.id, job.priority)
            return job if job.status == "queued" and not waits else None

        has_lease = self.leases.read(job.id) is not None
        if job.status == "queued" and job.target:
            self._change(job.id, is_lost, lambda job: self._joining(job, self.clock()))
        elif job.status == "running" and not has_lease:
            self.hand_back(job.id, job.attempt)
        elif not has_lease:
            self.finish(job.id, "failed", INTERRUPTED)

    def hand_back(
        self, job_id: str, attempt: int, sentence: str = INTERRUPTED, delay: float = 0
    ) -> None:
        """A worker is lost: its job waits again if it has attempts left, else it has failed."""
        job = self.read(job_id)
        if job and job.cancelling:
            self.finish(job_id, "cancelled", "Cancelled.", attempt)
        elif job and job.target and attempt < job.attempts:
            self._requeue(job_id, attempt, "Interrupted; starting again", delay)
        else:
            self.finish(job_id, "failed", sentence, attempt)

    def release(self, job_id: str, attempt: int) -> None:
        """A worker that stops in good order lets go of its job, which loses no attempt by it."""
        self._requeue(job_id, attempt, "Waiting to start again", attempts=1)

    def retry(self, job_id: str, attempt: int) -> Job | None:
        """Try a job again later, after an unforeseen error. None if it has no retries left."""
        job = self.read(job_id)
        if job is None or not job.retries or job.cancelling:
            return None
        return self._requeue(
            job_id,
            attempt,
            "Something went wrong; trying again",
            job.backoff,
            attempts=1,
            retries=-1,
            slower=True,
        )

    def put_off(self, job_id: str, attempt: int, sentence: str) -> Job | None:
        """Try a job again later, because what it needs is away for a while.

        None if it was put off for about as long as anybody waits, which is a few minutes.
        """
        job = self.read(job_id)
        if job is None or job.backoff > LONGEST_BACKOFF or job.cancelling:
            return None
        return self._requeue(job_id, attempt, sentence, job.backoff, attempts=1, slower=True)

    def _requeue(
        self,
        job_id: str,
        attempt: int,
        message: str,
        delay: float = 0.0,
        attempts: int = 0,
        retries: int = 0,
        slower: bool = False,
    ) -> Job | None:
        """Let a running job wait again, with its attempts and retries changed by so many."""

        def back(job: Job) -> Job | None:
            if not job.hears(attempt):
                return None
            return replace(
                job,
                status="queued",
                message=message,
                attempts=job.attempts + attempts,
                retries=job.retries + retries,
                backoff=job.backoff * 2 if slower else job.backoff,
            )

        ready = self.clock() + delay
        return self._change(
            job_id,
            back,
            lambda job: [self.leases.ending(job_id), *self._joining(job, ready)],
        )

    def _joining(self, job: Job, ready: float) -> list[Step]:
        """The queue is for jobs that any process can run; others wait where they were started."""
        if not job.target:
            return [self.leases.waiting(job.id, ready)]
        return [self.queue.joining(job.id, job.priority, job.owner, ready)]

    def _ending(self, job: Job) -> list[Step]:
        """A session may have lived by its job alone, and has its time from now on."""
        steps: list[Step] = [self._leaving(job), self.leases.ending(job.id)]
        if job.owner and self.session_ttl is not None:
            steps.append(Postpone("session", job.owner, self.clock() + self.session_ttl))
        return steps

    def _leaving(self, job: Job) -> Delete:
        return self.queue.leaving(job.id, job.priority)

    def _change(
        self,
        job_id: str,
        change: Callable[[Job], Job | None],
        also: Callable[[Job], list[Step]],
    ) -> Job | None:
        """Compare-and-set until it holds, with other steps at once.

        `change` returns None to leave the job as it is.
        """
        while record := self.records.read("job", job_id):
            before = decode(record)
            changed = change(before)
            if changed is None:
                return None
            if changed.stand != before.stand:
                changed = replace(changed, events=changed.events + 1, changed=changed.events + 1)
            put = Put("job", job_id, encode(changed), self.clock() + self.retain, record.version)
            if self.records.apply(put, *also(changed)):
                if before.status == "running" != changed.status:
                    self.leases.holds.free(job_id, before.attempt)
                if changed.status != before.status:
                    self._tell(changed)
                return changed
        return None

    def _tell(self, job: Job) -> None:
        """Say that a job's status has changed; neither its message nor its error, which quote."""
        owner = (job.owner or "-")[:OWNER_CHARS]
        log.info("job %s of session %s is %s, attempt %d", job.id, owner, job.status, job.attempt)
        for watcher in self._watchers:
            watcher(job)


def _percent(progress: float, before: float) -> float:
    """Progress held within 0 to 100; what is no number changes nothing."""
    number = float(progress)
    return before if math.isnan(number) else min(max(number, 0.0), 100.0)
