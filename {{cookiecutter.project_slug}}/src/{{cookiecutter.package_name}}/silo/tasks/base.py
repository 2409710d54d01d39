"""Runners: how a job gets from its record to somebody who works on it."""

from __future__ import annotations

import errno
import logging
import secrets
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import NO_SPACE, Cancelled, TaskError, UserError
from .jobs import End, Job, Jobs, new_id

log = logging.getLogger(__name__)

Target = Callable[..., Any]
"""What a task runs: called with a `Reporter`, then the arguments given to `start`."""


class Reporter(Protocol):
    """What a target says about itself. `update` and `log` raise Cancelled when asked to stop."""

    name: str

    def update(self, progress: float | None = None, message: str | None = None) -> None: ...

    def log(self, message: str) -> None: ...

    def complete(self, message: str = "Done") -> None: ...

    def fail(self, error: str) -> None: ...


@dataclass(frozen=True)
class Call:
    """A target with its arguments."""

    target: Target
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


class Runner(ABC):
    """Works on the jobs of one store."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    def start(self, name: str, call: Call) -> Job:
        """Store a job for the call and deliver it. Raises TaskError if it cannot be taken."""
        job = self.prepare(name, None, call)
        self.jobs.records.apply(*self.jobs.creation(job))
        self.deliver(job, call)
        return job

    def prepare(self, name: str, owner: str | None, call: Call) -> Job:
        """The job that will run the call. Raises TaskError if this runner cannot take it."""
        return Job(id=new_id(), name=name, owner=owner)

    @abstractmethod
    def deliver(self, job: Job, call: Call) -> None:
        """See to it that somebody works on this job, which is stored by now."""

    def cancel(self, job_id: str) -> Job | None:
        """Ask a job to stop. None if it is not active."""
        return self.jobs.cancel(job_id)

    def settle(self, job: Job, outcome: Outcome) -> None:
        """End a job that did not end well, and log what was unforeseen."""
        if outcome.trace:
            log.error("task %s, job %s: %s", job.name, job.id, outcome.trace)
        self.jobs.finish(job.id, outcome.end, outcome.sentence, job.attempt)

    @abstractmethod
    def stop(self) -> None:
        """Take no more work, and end what runs in this process."""


@dataclass(frozen=True)
class Outcome:
    """How a target ended, with a sentence for the person and a trace for the log."""

    end: End
    sentence: str
    trace: str = ""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def outcome_of(error: BaseException) -> Outcome:
    """What an exception that left a target means.

    The person is told what was meant for them; of anything unforeseen they get the number under
    which the log has the traceback.
    """
    if isinstance(error, Cancelled):
        return Outcome("cancelled", str(error))
    if isinstance(error, UserError):
        return Outcome("failed", str(error))
    if isinstance(error, OSError) and error.errno in FULL:
        return Outcome("failed", NO_SPACE)
    reference = secrets.token_hex(4)
    trace = "".join(traceback.format_exception(error))
    return Outcome(
        "failed",
        f"Something went wrong on our side. The log has the details under error {reference}.",
        f"error {reference}\n{trace}",
    )


def refuse_while_active(name: str, job: Job | None) -> None:
    """Raises TaskError if the job is queued or running."""
    if job and job.active:
        raise TaskError(f"Task {name!r} is already running.")
