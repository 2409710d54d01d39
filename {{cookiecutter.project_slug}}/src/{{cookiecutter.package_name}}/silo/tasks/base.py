"""Runners: how a job gets from its record to somebody who works on it."""

from __future__ import annotations

import contextlib
import errno
import logging
import secrets
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from ..errors import NO_SPACE, Cancelled, FilesUnavailable, TaskRunning, UnreadableFile, UserError
from .job import End, Job, new_id, sentence
from .jobs import Jobs
from .outage import AWAY, insist
from .periodic import Periodic
from .queue import Priority

log = logging.getLogger(__name__)

Target = Callable[..., Any]
"""What a task runs: called with a `Reporter`, then the arguments given to `start`."""

ErrorHook = Callable[[Job, str], object]


class Reporter(Protocol):
    """What a target says about itself. `update` and `log` raise Cancelled when asked to stop.

    `id` is its job's, the same at each attempt. `secrets` are its runner's. `clock` gives unix
    seconds, the same on every machine.
    """

    name: str
    id: str
    clock: Callable[[], float]

    @property
    def secrets(self) -> Mapping[str, str]: ...

    def update(self, progress: float | None = None, message: str | None = None) -> None:
        """Set the progress, held within 0 to 100, and the message. Raises Cancelled."""

    def log(self, message: str) -> None:
        """Append a line to the log. Raises Cancelled."""

    def complete(self, message: str = "Done") -> None:
        """Mark as finished well; the first end is the one that counts."""

    def fail(self, error: str) -> None:
        """Mark as failed, with a sentence for the person."""


@dataclass(frozen=True)
class Terms:
    """How a job waits and is tried again; times are in seconds.

    After an error that nobody foresaw it is tried again up to `retries` times, `backoff` seconds
    later at first and twice as long each time.
    """

    priority: Priority = "normal"
    delay: float = 0.0
    retries: int = 0
    backoff: float = 1.0


@dataclass(frozen=True)
class Call:
    """A target with its arguments, and on what terms it is run."""

    target: Target
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    terms: Terms = Terms()


class Runner(ABC):
    """Works on the jobs of one store."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.periodic = Periodic(jobs.records, jobs.clock)
        self.stopped = threading.Event()
        """Set once it is to take no more work, and to wait for nothing."""
        self._error_hooks: list[ErrorHook] = []

    def every(self, seconds: float, target: Target, *args: Any, name: str | None = None) -> None:
        """Run a target every so many seconds, for as long as anybody runs jobs of this store.

        It is called as any target is, with a Reporter first: `def tidy(task, *args)`. Call this at
        start-up, in every process. `name` is the schedule's own, the target's if not given. Raises
        TaskError if this runner cannot take the target.
        """
        call = Call(target, args)
        named = name or self.prepare("", None, call).target or target.__qualname__
        self.periodic.add(named, seconds, call)
        self.begin()

    def on_error(self, hook: ErrorHook) -> None:
        """Call `hook(job, traceback)` for each error in a target that nobody foresaw."""
        self._error_hooks.append(hook)

    def begin(self) -> None:  # noqa: B027 - a runner may have nothing to begin
        """Begin to look for work; nothing happens if that is so already."""

    def tick(self) -> None:
        """Hand back the jobs of silent workers, and start what is due."""
        self.jobs.recover()
        self.periodic.fire(self)

    def start(self, name: str, call: Call) -> Job:
        """Store a job for the call and deliver it. Raises TaskError if it cannot be taken."""
        job = self.prepare(name, None, call)
        self.jobs.records.apply(*self.jobs.creation(job))
        self.deliver(job, call)
        return job

    def prepare(self, name: str, owner: str | None, call: Call) -> Job:
        """The job that will run the call. Raises TaskError if this runner cannot take it."""
        return Job(id=new_id(), name=name, owner=owner, **asdict(call.terms))

    @abstractmethod
    def deliver(self, job: Job, call: Call) -> None:
        """See to it that somebody works on this job, which is stored by now."""

    def cancel(self, job_id: str) -> Job | None:
        """Ask a job to stop. None if it is not active."""
        return self.jobs.cancel(job_id)

    def settle(self, job: Job, outcome: Outcome) -> None:
        """End a job that did not end well, or let it be tried again.

        What was unforeseen is logged and told to the error hooks.
        """
        first, _, _ = outcome.sentence.partition(".")
        if outcome.passing and self.jobs.put_off(job.id, job.attempt, f"{first}; trying again"):
            return
        if outcome.trace and self._is_cancelled(job):
            outcome = outcome_of(Cancelled())  # its files may have gone with a reset
        if outcome.trace:
            reference, _, trace = outcome.trace.partition("\n")
            unforeseen = Unforeseen(trace)
            log.error("task %s, job %s: %s", job.name, job.id, reference, exc_info=unforeseen)
            self._tell(job, outcome.trace)
        insist(lambda: self._end(job, outcome), self.stopped)

    def _is_cancelled(self, job: Job) -> bool:
        """Whether somebody has asked for its end; if that cannot be known, nobody has."""
        with contextlib.suppress(*AWAY):
            found = self.jobs.read(job.id)
            return found is not None and found.cancelling
        return False

    def _end(self, job: Job, outcome: Outcome) -> None:
        if not (outcome.trace and self.jobs.retry(job.id, job.attempt)):
            self.jobs.finish(job.id, outcome.end, outcome.sentence, job.attempt)

    def _tell(self, job: Job, trace: str) -> None:
        """Call the error hooks; one that fails itself keeps the job from nothing."""
        for hook in self._error_hooks:
            try:
                hook(job, trace)
            except Exception:
                log.exception("an error hook failed")

    @abstractmethod
    def stop(self) -> None:
        """Take no more work, and end what runs in this process."""


class Unforeseen(Exception):
    """A traceback that came as text, from another process, in the form that a log takes."""


@dataclass(frozen=True)
class Outcome:
    """How a target ended, with a sentence for the person and a trace for the log."""

    end: End
    sentence: str
    trace: str = ""
    passing: bool = False
    """Whether it is for what may be there again in a moment, and nothing is wrong with the job."""


TOO_LARGE = (
    "Processing wrote a file that is larger than a job may write, or printed as much. Try again "
    "with less data."
)
TRACE_CHARS = 2**16
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def outcome_of(error: BaseException) -> Outcome:
    """What an exception that left a target means.

    The person is told what was meant for them; of anything unforeseen they get the number under
    which the log has the traceback.
    """
    if isinstance(error, Cancelled):
        return Outcome("cancelled", str(error))
    if isinstance(error, UserError):
        return Outcome("failed", sentence(error))
    if isinstance(error, FilesUnavailable):
        return Outcome("failed", str(error), passing=True)
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return Outcome("failed", TOO_LARGE)
    if isinstance(error, OSError) and error.errno in FULL:
        return Outcome("failed", NO_SPACE)
    trace = shortened("".join(traceback.format_exception(error)))
    if isinstance(error, UnreadableFile):
        return Outcome("failed", str(error), trace)
    reference = secrets.token_hex(4)
    return Outcome(
        "failed",
        f"Something went wrong on our side. The log has the details under error {reference}.",
        f"error {reference}\n{trace}",
    )


def shortened(trace: str) -> str:
    """Where an error comes from, and what it is, without the middle of what is too long to log."""
    half = TRACE_CHARS // 2
    return trace if len(trace) <= TRACE_CHARS else f"{trace[:half]}\n…\n{trace[-half:]}"


def refuse_while_active(name: str, job: Job | None) -> None:
    """Raises TaskRunning if the job is queued or running."""
    if job and job.active:
        raise TaskRunning(name)
