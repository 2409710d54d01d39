"""The children that work on jobs, each on one, and a spare one that has done its imports already.

The thread that starts a child must live for as long as the child: Linux kills a child that has
asked to die with its parent when the very thread ends that started it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from .base import Outcome
from .child import Limits
from .jobs import Job, Jobs
from .relay import Relay
from .worker import Worker


class Crew:
    """Children that keep to `limits`, import the modules `preload` first, and know `secrets`.

    Their temporary files go with them if there is a folder `scratch` for those. Once it is
    dismissed, the jobs under way are handed back and no spare child is made.
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
        self._spare: Worker | None = None
        self._lock = threading.Lock()

    def work(self, jobs: Jobs, job: Job) -> Outcome | None:
        """Have a child do a job that was claimed, and wait for its end.

        Returns how it ended, or None if the job's record says already.
        """
        worker = self._hire(job)
        try:
            self.warm()
            return Relay(jobs, job, worker, self.limits).run(self.dismissed)
        finally:
            worker.kill()

    def warm(self) -> None:
        """See to it that there is a spare child."""
        with self._lock:
            if self._spare is None and not self.dismissed.is_set():
                self._spare = self._new()

    def disband(self) -> None:
        """Dismiss it, and end the spare child; those at work end with their jobs."""
        self.dismissed.set()
        with self._lock:
            if self._spare:
                self._spare.kill()
            self._spare = None

    def _hire(self, job: Job) -> Worker:
        """A child with the work in its hands: the spare, or a new one if that has died."""
        worker = self._take()
        if not worker.give(job, self.limits):
            worker.kill()
            worker = self._new()
            worker.give(job, self.limits)
        return worker

    def _take(self) -> Worker:
        with self._lock:
            worker, self._spare = self._spare, None
        if worker and worker.alive:
            return worker
        if worker:
            worker.kill()
        return self._new()

    def _new(self) -> Worker:
        return Worker(self._preload, self._secrets, self._scratch)
