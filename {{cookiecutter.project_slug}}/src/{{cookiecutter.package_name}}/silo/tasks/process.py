"""Runs each job in a child process of its own, with limits on what it may use.

A parser that aborts, a step that eats all memory or never ends takes its child along and nothing
else. A few threads of this process, as many as jobs may run at a time, each take a slot, claim a
job, hand it to a child and relay what the child says. The child is forked off a process that has
done the imports already, so that a start costs milliseconds.
"""

from __future__ import annotations

import logging
import threading

from .base import Call, Runner
from .crew import Crew
from .job import Job
from .jobs import Jobs
from .outage import Trouble
from .slots import Slots
from .travel import travelling_job

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""Between looks at the queue for jobs that other processes have put there."""


class ProcessRunner(Runner):
    """Targets must be importable, arguments JSON-like; a job whose worker dies is tried once more.

    The jobs are done by the children of `crew`.
    """

    def __init__(self, jobs: Jobs, slots: Slots, crew: Crew) -> None:
        super().__init__(jobs)
        self._slots = slots
        self._crew = crew
        self.stopped = self._crew.dismissed
        self._wake = threading.Condition()
        self._woken = 0
        self._trouble = Trouble(log, "a worker thread")
        self._threads: list[threading.Thread] = []

    def prepare(self, name: str, owner: str | None, call: Call) -> Job:
        return travelling_job(name, owner, call)

    def deliver(self, job: Job, call: Call) -> None:
        self.begin()
        with self._wake:
            self._woken += 1
            self._wake.notify()

    def begin(self) -> None:
        """Start the threads, once; they warm up the crew and then look for jobs."""
        with self._wake:
            if self._threads or self.stopped.is_set():
                return
            self._threads = [
                threading.Thread(target=self._serve, name=f"silo-worker-{n}", daemon=True)
                for n in range(self._slots.count)
            ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.stopped.set()
        with self._wake:
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()
        self._crew.disband()

    def _serve(self) -> None:
        self._crew.warm()
        while not self.stopped.is_set():
            try:
                self._look()
                self._trouble.over()
                self._wait()
            except Exception:  # the thread must outlive a store that fails for a while
                self._trouble.met()
                self.stopped.wait(POLL_SECONDS)

    def _look(self) -> None:
        """Work on jobs, one after the other, as long as there are any and a slot is free.

        After a slot is given back the queue is looked at once more: a job may have come in the
        moment between, from somebody who found no slot free.
        """
        self.tick()
        while not self.jobs.queue.is_empty() and not self.stopped.is_set():
            slot = self._slots.take()
            if slot is None:
                return
            try:
                while not self.stopped.is_set() and (job := self.jobs.claim_next()):
                    self._work(job)
            finally:
                self._slots.free(slot)

    def _wait(self) -> None:
        """Sleep until a job is delivered, or for as long as other processes' jobs may wait."""
        with self._wake:
            if not self.stopped.is_set() and not self._woken:
                self._wake.wait(POLL_SECONDS)
            self._woken = max(0, self._woken - 1)

    def _work(self, job: Job) -> None:
        if outcome := self._crew.work(self.jobs, job):
            self.settle(job, outcome)
