"""Runs jobs in threads of this process: takes any target, closures too.

A thread isolates nothing. So a target that another process can import may be given a child process
of its own, whose end the thread waits for.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import TaskError
from .base import Call, Runner, outcome_of
from .child import Limits
from .job import Job
from .jobs import Jobs
from .outage import AWAY, Trouble, insist
from .relay import Relay
from .task import RunningTask
from .travel import travelling
from .worker import Worker

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class ThreadRunner(Runner):
    """One daemon thread a job, as many at a time as are started.

    A job lives and dies with this process, since nobody else can have its target. While it runs,
    one thread renews the leases of all of them, so a target may be silent for as long as it likes.
    Targets may ask for `secrets`. With `limits`, one that can be imported runs in a child process
    that keeps to them, and whose temporary files lie in `scratch`.
    """

    def __init__(
        self,
        jobs: Jobs,
        secrets: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        scratch: Path | None = None,
    ) -> None:
        super().__init__(jobs)
        self._secrets = secrets or {}
        self.limits = limits
        self._scratch = scratch
        self._running: dict[str, int] = {}
        self._lock = threading.Lock()
        self._trouble = Trouble(log, "the renewing thread")
        self._renewer: threading.Thread | None = None

    def deliver(self, job: Job, call: Call) -> None:
        threading.Thread(
            target=self._run, args=(job.id, call), name=f"silo-task-{job.name}", daemon=True
        ).start()

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(*AWAY):  # then the leases end them
            for job_id, attempt in list(self._running.items()):
                self.jobs.hand_back(job_id, attempt)

    def begin(self) -> None:
        with self._lock:
            if self._renewer is None:
                self._renewer = threading.Thread(target=self._renew, name="silo-renew", daemon=True)
                self._renewer.start()

    def _run(self, job_id: str, call: Call) -> None:
        """Wait as long as the job's terms say, run it, and once more for each retry."""
        wait = call.terms.delay
        with contextlib.suppress(*AWAY):  # as long as it is when this process stops
            while not self.stopped.wait(wait) and (job := self._claim(job_id)):
                self._attempt(job, call)
                wait = job.backoff

    def _claim(self, job_id: str) -> Job | None:
        return insist(lambda: self.jobs.claim(job_id), self.stopped)

    def _attempt(self, job: Job, call: Call) -> None:
        with self._renewed(job):
            try:
                if self.limits and (apart := self._apart(job, call)):
                    self._attend(apart, self.limits)
                else:
                    result = call.target(
                        RunningTask(job, self, self._secrets), *call.args, **call.kwargs
                    )
                    insist(
                        lambda: self.jobs.finish(job.id, "complete", "Done", job.attempt, result),
                        self.stopped,
                    )
            except BaseException as error:  # a thread's end must be its job's end, whatever it was
                outcome = outcome_of(error)
                if outcome.end == "cancelled" and self.stopped.is_set():
                    self.jobs.hand_back(job.id, job.attempt)  # who stops has asked for its end
                else:
                    self.settle(job, outcome)

    def _apart(self, job: Job, call: Call) -> Job | None:
        """The job as a child process is told it, if it can be told there."""
        try:
            return replace(job, **travelling(call))
        except TaskError:
            return None

    def _attend(self, job: Job, limits: Limits) -> None:
        """Have a child process do it; when this process stops, it ends as a thread does."""
        worker = Worker((), self._secrets, self._scratch)
        try:
            worker.give(job, limits)
            outcome = Relay(self.jobs, job, worker, limits).run(threading.Event())
            if outcome:
                self.settle(job, outcome)
        finally:
            worker.kill()

    @contextlib.contextmanager
    def _renewed(self, job: Job) -> Iterator[None]:
        self.begin()
        self._running[job.id] = job.attempt
        try:
            yield
        finally:
            self._running.pop(job.id, None)

    def _renew(self) -> None:
        while not self.stopped.wait(min(self.jobs.leases.seconds / 3, TICK_SECONDS)):
            try:
                for job_id in list(self._running):
                    self.jobs.renew(job_id)
                self.tick()
                self._trouble.over()
            except Exception:  # leases must be renewed whatever goes wrong once
                self._trouble.met()
