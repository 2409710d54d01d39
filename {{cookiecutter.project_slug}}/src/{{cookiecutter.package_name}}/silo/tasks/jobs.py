"""Jobs: the durable truth about every background task.

A job is a record. Runners only carry its id about; whoever wants to work on it claims it by
compare-and-set, so that delivering it twice does nothing. A worker holds a lease, a record beside
the job's, and renews it while it works; the attempt number is the fence: what a worker of an
earlier attempt says is not heard.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from ..records import NEW, Delete, Postpone, Put, Record, Records, Step

Status = Literal["idle", "queued", "running", "complete", "failed", "cancelled"]
End = Literal["complete", "failed", "cancelled"]

LOG_LINES = 200
LINE_CHARS = 500
INTERRUPTED = "The server stopped while this was running. Please start it again."


@dataclass(frozen=True)
class Job:
    """One run of one task. Times are unix seconds; `progress` is 0 to 100.

    `target` is `module:function`, or empty if only this process can run it; `args` and `kwargs` are
    JSON-like. `owner` is the key of the session that it belongs to.
    """

    id: str
    name: str
    owner: str | None = None
    target: str = ""
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    status: Status = "queued"
    attempt: int = 0
    attempts: int = 1
    cancelling: bool = False
    progress: float = 0.0
    message: str = "Waiting to start"
    logs: list[str] = field(default_factory=list)
    logged: int = 0
    error: str | None = None
    result: Any = None
    created_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def active(self) -> bool:
        """Whether it is queued or running."""
        return self.status in ("queued", "running")


def new_id() -> str:
    return secrets.token_hex(16)


class Jobs:
    """Every change a job can go through, each one atomic step on its record.

    `lease` is how many seconds a worker may stay silent before its job is handed back; `retain` is
    how many seconds a finished job is kept that no session refers to.
    """

    def __init__(
        self,
        records: Records,
        clock: Callable[[], float] = time.time,
        lease: float = 15,
        retain: float = 3600,
    ) -> None:
        self.records = records
        self.clock = clock
        self.lease = lease
        self.retain = retain

    def read(self, job_id: str) -> Job | None:
        """The job, or None if it is gone."""
        record = self.records.read("job", job_id)
        return _decode(record) if record else None

    def is_active(self, job_id: str) -> bool:
        job = self.read(job_id)
        return job is not None and job.active

    def creation(self, job: Job) -> list[Step]:
        """The steps that store a new job, for whoever wants to take them together with others."""
        now = self.clock()
        job = replace(job, created_at=now)
        steps: list[Step] = [Put("job", job.id, _encode(job), now + self.retain, NEW)]
        if job.status == "queued" and job.target:
            steps.append(Put("queue", job.id, b"", now, NEW))
        return steps

    def waiting(self) -> bool:
        """Whether a job waits to be claimed."""
        return bool(self.records.due("queue", self.clock(), limit=1))

    def claim_next(self) -> Job | None:
        """Take the job that has waited longest, or None. From now on it is running."""
        for job_id, _ in self.records.due("queue", self.clock(), limit=8):
            job = self.claim(job_id)
            if job:
                return job
        return None

    def claim(self, job_id: str) -> Job | None:
        """Take this job if it still waits, else None."""

        def start(job: Job) -> Job | None:
            if job.status != "queued":
                return None
            return replace(
                job,
                status="running",
                attempt=job.attempt + 1,
                message="Starting…",
                progress=0.0,
                started_at=self.clock(),
            )

        lease = Put("lease", job_id, b"", self.clock() + self.lease)
        return self._change(job_id, start, Delete("queue", job_id), lease)

    def renew(self, job_id: str) -> None:
        """Say that the job's worker lives, and nothing else."""
        self.records.apply(Postpone("lease", job_id, self.clock() + self.lease))

    def report(
        self,
        job_id: str,
        attempt: int | None = None,
        progress: float | None = None,
        message: str | None = None,
        lines: Iterable[str] = (),
    ) -> Job | None:
        """Say how far a job is, and that its worker lives.

        Returns None if it is not this attempt's any more.
        """

        def advance(job: Job) -> Job | None:
            if attempt is not None and not _held(job, attempt):
                return None
            added = [line[:LINE_CHARS] for line in lines]
            return replace(
                job,
                progress=job.progress if progress is None else min(max(progress, 0.0), 100.0),
                message=job.message if message is None else message[:LINE_CHARS],
                logs=[*job.logs, *added][-LOG_LINES:],
                logged=job.logged + len(added),
            )

        lease = Postpone("lease", job_id, self.clock() + self.lease)
        return self._change(job_id, advance, lease)

    def finish(
        self,
        job_id: str,
        status: End,
        message: str,
        attempt: int | None = None,
        result: Any = None,
    ) -> Job | None:
        """End a job. Its first end is the truth: None if it has one, or the attempt is over."""

        def end(job: Job) -> Job | None:
            if job.status in ("complete", "failed", "cancelled"):
                return None
            if attempt is not None and not _held(job, attempt):
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

        return self._change(job_id, end, Delete("queue", job_id), Delete("lease", job_id))

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

        return self._change(job_id, ask, Delete("queue", job_id))

    def recover(self) -> None:
        """Hand back the jobs of workers that have been silent for longer than their lease."""
        for job_id, record in self.records.each_due("lease", self.clock()):
            job = self.read(job_id)
            if job and job.status == "running":
                self.hand_back(job_id, job.attempt)
            else:
                self.records.apply(Delete("lease", job_id, record.version))

    def sweep(self, is_referred: Callable[[Job], bool]) -> None:
        """Drop finished jobs that nobody refers to any more."""
        now = self.clock()
        for job_id, record in self.records.each_due("job", now):
            job = _decode(record)
            if job.active or is_referred(job):
                self.records.apply(Postpone("job", job_id, now + self.retain))
            else:
                self.records.apply(Delete("job", job_id, record.version))

    def hand_back(self, job_id: str, attempt: int) -> None:
        """Give up an attempt: the job waits again if it has attempts left, else it has failed."""

        def back(job: Job) -> Job | None:
            if not _held(job, attempt):
                return None
            return replace(job, status="queued", message="Interrupted; starting again")

        job = self.read(job_id)
        if job and job.cancelling:
            self.finish(job_id, "cancelled", "Cancelled.", attempt)
        elif job and job.target and attempt < job.attempts:
            queued = Put("queue", job_id, b"", self.clock())
            self._change(job_id, back, queued, Delete("lease", job_id))
        else:
            self.finish(job_id, "failed", INTERRUPTED, attempt)

    def _change(self, job_id: str, change: Callable[[Job], Job | None], *also: Step) -> Job | None:
        """Compare-and-set until it holds. `change` returns None to leave the job as it is."""
        while record := self.records.read("job", job_id):
            changed = change(_decode(record))
            if changed is None:
                return None
            if self._replace(changed, record, *also):
                return changed
        return None

    def _replace(self, job: Job, record: Record, *also: Step) -> int:
        put = Put("job", job.id, _encode(job), self.clock() + self.retain, record.version)
        return self.records.apply(put, *also)


def _held(job: Job, attempt: int) -> bool:
    return job.status == "running" and job.attempt == attempt


def _encode(job: Job) -> bytes:
    return json.dumps(asdict(job), separators=(",", ":")).encode()


def _decode(record: Record) -> Job:
    return Job(**json.loads(record.value))
