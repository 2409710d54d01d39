"""The children that work on jobs, each on one, and who has done their imports already.

That is a fork server, whose children begin with all that it has; where there can be none, it is a
spare child that waits for the next job. The thread that spawns a child must live for as long as the
child: Linux kills a child that has asked to die with its parent when the very thread ends that
started it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from .base import FULL, Outcome, outcome_of
from .child import Limits
from .forked import ForkServer
from .job import Job
from .jobs import Jobs
from .outage import AWAY
from .relay import Relay
from .spawn import spawn
from .worker import Process, Worker

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
"""Between looks around while a fork server does its imports."""
NO_CHILD = Outcome(
    "failed", "The server has no room to start this. Try again in a moment.", passing=True
)


class Crew:
    """Children that keep to `limits`, import the modules `preload` first, and know `secrets`.

    Secrets are for targets: what an argument must not be, since those are stored. Children's
    temporary files go with them if there is a folder `scratch` for those. Once the crew is
    dismissed, the jobs under way are handed back and no child waits for another.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        preload: Sequence[str] = (),
        secrets: Mapping[str, str] | None = None,
        scratch: Path | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.dismissed = threading.Event()
        self._preload = preload
        self._secrets = secrets
        self._scratch = scratch
        self._forks = ForkServer(preload)
        self._spare: Worker | None = None
        self._lock = threading.Lock()

    def work(self, jobs: Jobs, job: Job) -> Outcome | None:
        """Have a child do a job that was claimed, and wait for its end.

        Returns how it ended, or None if the job's record says already.
        """
        try:
            worker = self._hire(job, lambda: renew(jobs, job))
        except OSError as error:  # too many processes or open files, too little memory
            log.exception("no child could be started for job %s", job.id)
            return outcome_of(error) if error.errno in FULL else NO_CHILD
        try:
            self._keep_spare()
            return Relay(jobs, job, worker, self.limits).run(self.dismissed)
        finally:
            worker.kill()

    def warm(self) -> None:
        """See to it that the first job finds its imports done."""
        while not self.dismissed.is_set() and not self._forks.warm(TICK_SECONDS):
            pass
        self._keep_spare()

    def disband(self) -> None:
        """Dismiss it, and end who waits; those at work end with their jobs."""
        self.dismissed.set()
        with self._lock:
            if self._spare:
                self._spare.kill()
            self._spare = None
        self._forks.close()

    def _keep_spare(self) -> None:
        """Have a spare child while there are no forks; never waits, since a job's lease runs."""
        with self._lock:
            if not (self._forks.ready or self._spare or self.dismissed.is_set()):
                self._spare = self._new()

    def _hire(self, job: Job, waiting: Callable[[], object]) -> Worker:
        """A child with the work in its hands; another one if it turns out to have died before.

        `waiting` is called now and then until it begins.
        """
        while not self.dismissed.is_set() and not self._forks.warm(TICK_SECONDS):
            waiting()
        worker = self._take() or self._new()
        if not worker.give(job, self.limits, waiting):
            worker.kill()
            worker = self._new()
            worker.give(job, self.limits, waiting)
        return worker

    def _take(self) -> Worker | None:
        with self._lock:
            worker, self._spare = self._spare, None
        return worker

    def _new(self) -> Worker:
        return Worker(self._preload, self._secrets, self._scratch, self._start)

    def _start(self, stderr: IO[bytes], folder: Path | None) -> Process:
        return self._forks.fork(stderr, folder) or spawn(stderr, folder)


def renew(jobs: Jobs, job: Job) -> None:
    """Say that the job is in good hands, if the store can be told."""
    with contextlib.suppress(*AWAY):
        jobs.renew(job.id)
