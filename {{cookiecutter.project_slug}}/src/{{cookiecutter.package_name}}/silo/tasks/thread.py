"""Runs jobs in threads of this process: takes any target, closures too, and isolates nothing."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping

from .base import Call, Runner, outcome_of
from .jobs import Job, Jobs
from .task import RunningTask

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class ThreadRunner(Runner):
    """One daemon thread a job, as many at a time as are started.

    A job lives and dies with this process, since nobody else can have its target. While it runs,
    one thread renews the leases of all of them, so a target may be silent for as long as it likes.
    """

    def __init__(self, jobs: Jobs, secrets: Mapping[str, str] | None = None) -> None:
        super().__init__(jobs, secrets)
        self._running: set[str] = set()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._renewer: threading.Thread | None = None

    def deliver(self, job: Job, call: Call) -> None:
        threading.Thread(
            target=self._run, args=(job.id, call), name=f"silo-task-{job.name}", daemon=True
        ).start()

    def stop(self) -> None:
        self._stopped.set()
        for job_id in list(self._running):
            self.jobs.cancel(job_id)

    def begin(self) -> None:
        with self._lock:
            if self._renewer is None:
                self._renewer = threading.Thread(target=self._renew, name="silo-renew", daemon=True)
                self._renewer.start()

    def _run(self, job_id: str, call: Call) -> None:
        """Wait as long as the job's terms say, run it, and once more for each retry."""
        wait = call.terms.delay
        while not self._stopped.wait(wait) and (job := self.jobs.claim(job_id)):
            self._attempt(job, call)
            wait = job.backoff

    def _attempt(self, job: Job, call: Call) -> None:
        with self._renewed(job):
            try:
                result = call.target(RunningTask(job, self), *call.args, **call.kwargs)
                self.jobs.finish(job.id, "complete", "Done", job.attempt, result)
            except BaseException as error:  # a thread's end must be its job's end, whatever it was
                self.settle(job, outcome_of(error))

    @contextlib.contextmanager
    def _renewed(self, job: Job) -> Iterator[None]:
        self.begin()
        self._running.add(job.id)
        try:
            yield
        finally:
            self._running.discard(job.id)

    def _renew(self) -> None:
        while not self._stopped.wait(min(self.jobs.lease / 3, TICK_SECONDS)):
            try:
                for job_id in list(self._running):
                    self.jobs.renew(job_id)
                self.tick()
            except Exception:  # leases must be renewed whatever goes wrong once
                log.exception("the renewing thread goes on after an error")
