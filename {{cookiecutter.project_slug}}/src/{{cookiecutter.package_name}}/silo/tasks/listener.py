"""The worker's side of Celery: fetches messages, and has each answered by work on a job."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any

from celery.exceptions import CPendingDeprecationWarning
from celery.worker import WorkController, state
from celery.worker.consumer import Consumer
from kombu import Connection

from .broker import TASK
from .celery import CeleryRunner
from .outage import AWAY, Trouble

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
RECONNECT_SECONDS = 3
"""At most so long after the broker is back it is heard again."""

_state: Any = state
"""Which is that of all workers of a process; its types know of no exit code."""


class Listener(Consumer):
    """Celery's consumer, with what it needs to outlive a broker that goes while jobs run."""

    def call_soon_ack(self, answer: Any, logger: Any, _: Any, *args: Any) -> Any:
        """Answer a message, from a job's thread.

        If that fails the consumer has to connect anew. Celery would log the error and go on: the
        message would count as one that is worked on, and no other would be fetched, for ever.
        """
        consumer: Any = super()  # whose types do not know it
        nothing_to_swallow = ()
        return consumer.call_soon_ack(answer, logger, nothing_to_swallow, *args)

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect, however often it takes; Celery would wait ever longer between."""
        return conn.ensure_connection(
            lambda error, _: log.info("the broker is away: %s", error),
            interval_start=1,
            interval_max=RECONNECT_SECONDS,
            callback=state.maybe_shutdown,
        )


class CeleryWorker:
    """Works on the jobs of a runner, so many at a time; one a process.

    Celery's threads are used, not its processes: the work is done in a child of the crew either
    way, with limits that the kernel keeps, and is killed there when its time is over, so another
    process between would only cost its memory. The soft limit is the relay's, which asks the
    target to stop; the hard one, too, which kills the child a moment later; and if this process
    is stuck, the child's own alarm ends it. The threads live as long as the pool, and so as long
    as the children that they start.

    `ready` is called once messages are heard, and `looked` each time that it has looked after the
    queue, whatever came of it.
    """

    def __init__(
        self,
        runner: CeleryRunner,
        concurrency: int,
        ready: Callable[[], object] = lambda: None,
        looked: Callable[[], object] = lambda: None,
    ) -> None:
        self.runner = runner
        self._crew = runner.crew
        self._looked = looked
        celery = runner.broker.celery
        celery.task(name=TASK, shared=False)(self.work)
        celery.set_default()  # that of the threads of the pool
        self._controller = WorkController(
            app=celery,
            concurrency=concurrency,
            consumer_cls=Listener,
            pool_cls="threads",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            ready_callback=lambda _: ready(),
        )

    def run(self) -> int:
        """Work until stopped. Returns the exit code."""
        # Celery says at each loss of the broker that another version may do otherwise.
        warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
        self._crew.warm()
        ticking = threading.Thread(target=self._tick, name="silo-tick", daemon=True)
        ticking.start()
        try:
            self._controller.start()
        finally:
            self._crew.disband()
            ticking.join()
            _state.should_stop = None
        return self._controller.exitcode or 0

    def stop(self) -> None:
        """Hand back the jobs under way, and have `run` return; a signal handler may call it."""
        self._crew.dismissed.set()
        _state.should_stop = 0

    def work(self, job_id: str) -> None:
        """Work on the next job of the queue, for which, or for another, this message was sent."""
        if self._crew.dismissed.is_set():
            return
        try:
            job = self.runner.jobs.claim_next()
            if job and (outcome := self._crew.work(self.runner.jobs, job)):
                self.runner.settle(job, outcome)
        except AWAY as error:  # whatever was to be done, a later look finds
            log.warning("the message of job %s came to nothing: %s", job_id, error)

    def _tick(self) -> None:
        trouble = Trouble(log, "looking after the queue")
        while not self._crew.dismissed.wait(TICK_SECONDS):
            try:
                self.runner.tick()
                trouble.over()
            except Exception:  # whatever goes wrong once, the next look may go well
                trouble.met()
            self._looked()
