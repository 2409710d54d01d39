"""Runs each job in a child process of its own, with limits on what it may use.

A parser that aborts, a step that eats all memory or never ends takes its child along and nothing
else. A few threads of this process, as many as jobs may run at a time, each claim a job, hand it to
a child and relay what the child says. One spare child has done its imports already and waits, so
that a start costs milliseconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from ..codec import plain
from ..errors import NotEncodable, TaskError
from .base import Call, Outcome, Runner
from .child import Limits, find
from .jobs import Job, Jobs, new_id
from .worker import Message, Worker, too_long, too_much_memory

log = logging.getLogger(__name__)

TICK = 0.1
"""Seconds between looks at a running job's record: how late a cancellation may be noticed."""
POLL = 1.0
"""Seconds between looks at the queue for jobs that other processes have put there."""
GRACE = 2.0
"""Seconds that a cancelled target has to stop by itself before its child is killed."""
ATTEMPTS = 2


class ProcessRunner(Runner):
    """At most `workers` children at a time. Targets must be importable, arguments JSON-like.

    `preload` names modules that every child imports before it is given work.
    """

    def __init__(
        self,
        jobs: Jobs,
        workers: int = 2,
        limits: Limits | None = None,
        preload: Sequence[str] = (),
    ) -> None:
        super().__init__(jobs)
        self._workers = workers
        self._limits = limits or Limits()
        self._preload = preload
        self._wake = threading.Condition()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._spare: Worker | None = None
        self._spare_lock = threading.Lock()

    def prepare(self, name: str, owner: str | None, call: Call) -> Job:
        return Job(
            id=new_id(),
            name=name,
            owner=owner,
            target=importable(call),
            args=_arguments(list(call.args), "args"),
            kwargs=_arguments(call.kwargs, "kwargs"),
            attempts=ATTEMPTS,
        )

    def deliver(self, job: Job, call: Call) -> None:
        self.begin()
        with self._wake:
            self._wake.notify()

    def begin(self) -> None:
        """Start the threads, once; they warm up a spare child and then wait for jobs."""
        with self._wake:
            if self._threads:
                return
            self._threads = [
                threading.Thread(target=self._serve, name=f"silo-worker-{n}", daemon=True)
                for n in range(self._workers)
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
                job = self.jobs.claim_next()
                if job:
                    self._work(job)
                else:
                    self._wait()
            except Exception:  # the thread must outlive a store that fails for a while
                log.exception("the worker thread goes on after an error")
                self._stopped.wait(POLL)

    def _wait(self) -> None:
        with self._wake:
            if not self._stopped.is_set():
                self._wake.wait(POLL)

    def _work(self, job: Job) -> None:
        worker = self._take()
        try:
            worker.give(job, self._limits)
            self._warm()
            outcome = self._relay(job, worker)
            if outcome:
                self.settle(job, outcome)
        finally:
            worker.kill()

    def _relay(self, job: Job, worker: Worker) -> Outcome | None:
        """Pass on what the child says until it ends; None if the job's end is settled already."""
        started = time.monotonic()
        renewed, asked = started, None
        while True:
            messages = worker.listen(TICK)
            now = time.monotonic()
            if messages is None:
                return worker.death(self._limits)
            end = self._pass_on(job, messages, renew=now - renewed > self.jobs.lease / 3)
            if end:
                return end
            renewed = now if messages or now - renewed > self.jobs.lease / 3 else renewed
            current = self.jobs.read(job.id)
            if current is None or current.status != "running" or current.attempt != job.attempt:
                return None
            if self._stopped.is_set():
                self.jobs.hand_back(job.id, job.attempt)
                return None
            if current.cancelling and asked is None:
                asked = now
                worker.cancel()
            if asked is not None and now - asked > GRACE:
                return Outcome("cancelled", "Cancelled.")
            if now - started > self._limits.seconds:
                return too_long(self._limits)

    def _pass_on(self, job: Job, messages: list[Message], renew: bool) -> Outcome | None:
        """Put news on the record in one step, then the end if it is among them."""
        news: dict[str, Any] = {}
        for key in ("progress", "message"):
            said = [m[key] for m in messages if "end" not in m and m.get(key) is not None]
            if said:
                news[key] = said[-1]
        lines = [each["log"] for each in messages if "log" in each]
        if news or lines or renew:
            self.jobs.report(job.id, job.attempt, lines=lines, **news)
        for message in messages:
            if "memory" in message:
                return too_much_memory(self._limits)
            if message.get("end") == "complete":
                self.jobs.finish(
                    job.id, "complete", message["message"], job.attempt, message.get("result")
                )
            elif "end" in message:
                return Outcome(message["end"], message["message"], message.get("trace", ""))
        return None

    def _take(self) -> Worker:
        with self._spare_lock:
            worker, self._spare = self._spare, None
        if worker and worker.alive:
            return worker
        if worker:
            worker.kill()
        return Worker(self._preload)

    def _warm(self) -> None:
        with self._spare_lock:
            if self._spare is None and not self._stopped.is_set():
                self._spare = Worker(self._preload)


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
