"""Leases: who works on which job, and who has fallen silent.

A worker's lease is a record beside its job's, whose due time it puts off while it works. Where
locks tell that it lives, it also holds one for its attempt, so that its death is known at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from ..errors import StoreUnavailable
from ..records import Delete, Postpone, Put, Record, Records
from .holds import Holds


class Leases:
    """The leases of one store, each `seconds` long, counted from when its worker last spoke."""

    def __init__(self, records: Records, clock: Callable[[], float], seconds: float) -> None:
        self.seconds = seconds
        self.holds = Holds(records.file_locks)
        self._records = records
        self._clock = clock
        self._trusted_from = -math.inf

    def beginning(self, job_id: str, attempt: int) -> Put:
        """The step that gives a worker its lease, for the attempt that it holds."""
        return Put("lease", job_id, self.holds.mark(attempt), self._clock() + self.seconds)

    def waiting(self, job_id: str, ready: float) -> Put:
        """The step that gives a lease to a job which waits in the one process that can run it.

        It outlives the waiting, which is over at `ready` (unix seconds).
        """
        return Put("lease", job_id, b"", ready + self.seconds)

    def renewing(self, job_id: str) -> Postpone:
        """The step by which a worker says that it lives."""
        return Postpone("lease", job_id, self._clock() + self.seconds)

    def ending(self, job_id: str, expect: int | None = None) -> Delete:
        """The step that ends a lease, whichever or that of a version."""
        return Delete("lease", job_id, expect)

    def read(self, job_id: str) -> Record | None:
        """The job's lease, or None."""
        return self._records.read("lease", job_id)

    def lost(self) -> list[tuple[str, Record]]:
        """The leases of workers that are dead, or were silent for longer than their lease.

        While the store was away no worker could be heard; each has a lease's time to speak again.
        """
        try:
            lost = list(self._lost())
        except StoreUnavailable:
            self._trusted_from = time.monotonic() + self.seconds
            raise
        return lost if time.monotonic() >= self._trusted_from else []

    def _lost(self) -> Iterator[tuple[str, Record]]:
        now = self._clock()
        for job_id, lease in self._records.each_due("lease", now + self.seconds * self.holds.tell):
            if lease.due <= now or self.holds.is_dead(job_id, lease):
                yield job_id, lease
