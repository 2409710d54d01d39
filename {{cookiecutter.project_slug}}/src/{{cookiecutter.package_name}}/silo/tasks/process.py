"""Runs each job in a child process of its own, with limits on what it may use.

A parser that aborts, a step that eats all memory or never ends takes its child along and nothing
else. A few threads of this process, as many as jobs may run at a time, each take a slot, claim a
job, hand it to a child and relay what the child says. One spare child has done its imports already
and waits, so that a start costs milliseconds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..codec import plain
from ..errors import NotEncodable, TaskError
from .base import Call, Runner
from .child import Limits, find
from .jobs import Job, Jobs, new_id
from .relay import Relay
from .slots import Slots
from .worker import Worker

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""Between looks at the queue for jobs that other processes have put there."""
ATTEMPTS = 2


class ProcessRunner(Runner):
    """Targets must be importable, arguments JSON-like; a job whose worker dies is tried once more.

    `preload` names modules that every child imports before it is given work. The temporary files of
    a child go with it if there is a folder `scratch` for them.
    """

    def __init__(
        self,
        jobs: Jobs,
        slots: Slots,
        limits: Limits | None = None,
        preload: Sequence[str] = (),
        secrets: Mapping[str, str] | None = None,
        scratch: Path | None = None,
    ) -> None:
        super().__init__(jobs, secrets)
        self._slots = slots
        self._limits = limits or Limits()
        self._preload = preload
        self._scratch = scratch
        self._wake = threading.Condition()
        self._woken = 0
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._spare: Worker | None = None
        self._spare_lock = threading.Lock()

    def prepare(self, name: str, owner: str | None, call: Call) -> Job:
        return Job(
            id=new_id(),
            name=name,
            owner=owner,
            attempts=ATTEMPTS,
            **travelling(call),
            **asdict(call.terms),
        )

    def deliver(self, job: Job, call: Call) -> None:
        self.begin()
        with self._wake:
            self._woken += 1
            self._wake.notify()

    def begin(self) -> None:
        """Start the threads, once; they warm up a spare child and then look for jobs."""
        with self._wake:
            if self._threads or self._stopped.is_set():
                return
            self._threads = [
                threading.Thread(target=self._serve, name=f"silo-worker-{n}", daemon=True)
                for n in range(self._slots.count)
            ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        with self._wake:
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()
        with self._spare_lock:
            if self._spare:
                self._spare.kill()
            self._spare = None

    def _serve(self) -> None:
        self._warm()
        while not self._stopped.is_set():
            try:
                self._look()
                self._wait()
            except Exception:  # the thread must outlive a store that fails for a while
                log.exception("a worker thread goes on after an error")
                self._stopped.wait(POLL_SECONDS)

    def _look(self) -> None:
        """Work on jobs, one after the other, as long as there are any and a slot is free.

        After a slot is given back the queue is looked at once more: a job may have come in the
        moment between, from somebody who found no slot free.
        """
        self.tick()
        while not self.jobs.queue.is_empty() and not self._stopped.is_set():
            slot = self._slots.take()
            if slot is None:
                return
            try:
                while not self._stopped.is_set() and (job := self.jobs.claim_next()):
                    self._work(job)
            finally:
                self._slots.free(slot)

    def _wait(self) -> None:
        """Sleep until a job is delivered, or for as long as other processes' jobs may wait."""
        with self._wake:
            if not self._stopped.is_set() and not self._woken:
                self._wake.wait(POLL_SECONDS)
            self._woken = max(0, self._woken - 1)

    def _work(self, job: Job) -> None:
        worker = self._hire(job)
        try:
            self._warm()
            outcome = Relay(self.jobs, job, worker, self._limits).run(self._stopped)
            if outcome:
                self.settle(job, outcome)
        finally:
            worker.kill()

    def _hire(self, job: Job) -> Worker:
        """A child with the work in its hands: the spare, or a new one if that has died."""
        worker = self._take()
        if not worker.give(job, self._limits):
            worker.kill()
            worker = self._new()
            worker.give(job, self._limits)
        return worker

    def _take(self) -> Worker:
        with self._spare_lock:
            worker, self._spare = self._spare, None
        if worker and worker.alive:
            return worker
        if worker:
            worker.kill()
        return self._new()

    def _new(self) -> Worker:
        return Worker(self._preload, self.secrets, self._scratch)

    def _warm(self) -> None:
        with self._spare_lock:
            if self._spare is None and not self._stopped.is_set():
                self._spare = self._new()


def travelling(call: Call) -> dict[str, Any]:
    """The call as a job tells it to another process. Raises TaskError if that cannot be."""
    return {
        "target": importable(call),
        "args": _arguments(list(call.args), "args"),
        "kwargs": _arguments(call.kwargs, "kwargs"),
    }


def importable(call: Call) -> str:
    """`module:name` of the call's target. Raises TaskError if another process cannot import it."""
    target = call.target
    path = f"{getattr(target, '__module__', None)}:{getattr(target, '__qualname__', None)}"
    try:
        found = None if path.startswith("__main__:") else find(path)
    except (ImportError, AttributeError):
        found = None
    if found is not target:
        raise TaskError(
            f"{target!r} cannot run in another process, because another process cannot import it. "
            "Make it a function at the top level of a module, or use the thread runner."
        )
    return path


def _arguments(values: Any, path: str) -> Any:
    try:
        return plain(values, path)
    except NotEncodable as error:
        raise TaskError(f"A task's arguments travel to another process as JSON: {error}") from error
