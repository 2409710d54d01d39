"""Has jobs worked on by Celery's workers, on any number of machines.

The records are the truth, and messages only wake: each says that a job waits, and whoever gets it
claims the next one of the queue, by compare-and-set. So a message that comes twice, late or for
nothing does nothing, and one that is lost is sent anew.
"""

from __future__ import annotations

import logging

from ..records import NEW, Delete, Put
from .base import Call, Runner
from .broker import Broker, BrokerAway
from .crew import Crew
from .job import Job
from .jobs import Jobs
from .outage import AWAY
from .travel import travelling_job

log = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0
"""After which a message counts as lost that nobody has heard, though the broker has none left."""


class CeleryRunner(Runner):
    """Targets must be importable, arguments JSON-like; a job whose worker dies is tried once more.

    It runs nothing by itself: `CeleryWorker` does, in other processes that have the same records,
    with the children of `crew`. While the broker is away, jobs wait in the records. A delayed job
    gets its message when it may start.
    """

    def __init__(self, jobs: Jobs, url: str, name: str, crew: Crew) -> None:
        super().__init__(jobs)
        self.crew = crew
        self.stopped = self.crew.dismissed
        self.broker = Broker(url, name, self.crew.limits.seconds)
        self._records = jobs.records
        self._away = False
        jobs.watch(self._changed)

    def prepare(self, name: str, owner: str | None, call: Call) -> Job:
        return travelling_job(name, owner, call)

    def deliver(self, job: Job, call: Call) -> None:
        try:
            if not job.delay:
                self._send(job.id)
        except (BrokerAway, *AWAY) as error:  # it is stored, so that a later look will find it
            self._say_away(error)

    def tick(self) -> None:
        super().tick()
        self._call()

    def _call(self) -> None:
        try:
            self._wake()
            self._away = False
        except BrokerAway as error:
            self._say_away(error)

    def _wake(self) -> None:
        """Send messages for jobs that wait without one.

        Every message does for every job, so as long as the broker has any, none is wanting. If it
        has none, the jobs that are next are asked for: what is looked at is as much however many
        wait, and of several processes one sends.
        """
        if not self.jobs.queue.is_empty() and not self.broker.waiting():
            for job_id in self.jobs.queue.waiting():
                self._send(job_id)

    def stop(self) -> None:
        self.crew.disband()

    def _send(self, job_id: str) -> None:
        """Send a job's message, unless somebody has sent one a moment ago."""
        now = self.jobs.clock()
        sent = self._records.read("message", job_id)
        if sent and sent.due > now:
            return
        expect = sent.version if sent else NEW
        version = self._records.apply(Put("message", job_id, b"", now + AGAIN_SECONDS, expect))
        if version:
            try:
                self.broker.send(job_id)
            except BrokerAway:
                self._records.apply(Delete("message", job_id, version))
                raise

    def _changed(self, job: Job) -> None:
        """A job that waits again needs a message again."""
        if job.status == "queued":
            self._records.apply(Delete("message", job.id))
            self._call()

    def _say_away(self, error: Exception) -> None:
        """Log that nobody can be woken: the first time of a row, since it is tried again soon."""
        if not self._away:
            log.warning("jobs wait, because nobody can be told of them: %s", error)
        self._away = True
