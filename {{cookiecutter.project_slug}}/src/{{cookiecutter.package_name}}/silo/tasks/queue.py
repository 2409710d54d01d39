"""The queue: which of the waiting jobs is next.

A waiting job is a record whose due time is the moment from which it may start; a job that is
delayed or tried again simply has a later one. Higher priorities come first, always. Within a
priority it is first come first served, with one correction that keeps a session with many jobs from
holding up the others: a job counts as having come no earlier than its session was last served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from heapq import heappop, heappush
from typing import Literal, get_args

from ..records import NEW, Delete, Put, Record, Records, Step

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)

WINDOW = 128
"""How many waiting jobs are compared, so that a claim costs the same however long the queue is."""
GLANCE = 8
"""How many are read at first."""
SERVED_SECONDS = 3600
"""How long it is remembered when a session was last served."""


class Queue:
    """The waiting jobs of one store."""

    def __init__(self, records: Records, clock: Callable[[], float]) -> None:
        self._records = records
        self._clock = clock

    def joining(self, job_id: str, priority: Priority, owner: str | None, ready: float) -> Put:
        """The step that lets a job wait, to start at `ready` (unix seconds) or later."""
        return Put(_kind(priority), job_id, (owner or "").encode(), ready, NEW)

    def leaving(self, job_id: str, priority: Priority) -> Delete:
        """The step that takes a job out of the queue."""
        return Delete(_kind(priority), job_id)

    def has(self, job_id: str, priority: Priority) -> bool:
        """Whether a job has its place."""
        return self._records.read(_kind(priority), job_id) is not None

    def serving(self, owner: str | None) -> list[Step]:
        """The steps that remember that a session is served now."""
        if owner is None:
            return []
        now = self._clock()
        return [Put("served", owner, repr(now).encode(), now + SERVED_SECONDS)]

    def is_empty(self) -> bool:
        """Whether no job may start at this moment."""
        now = self._clock()
        return not any(self._records.due(_kind(each), now, limit=1) for each in PRIORITIES)

    def count(self) -> int:
        """How many jobs wait, those that may not start yet among them."""
        return sum(self._records.count(_kind(each)) for each in PRIORITIES)

    def waiting(self) -> Iterator[str]:
        """The ids of jobs that may start at this moment, the next one first."""
        for priority in PRIORITIES:
            yield from self._in_turn(_kind(priority))

    def _in_turn(self, kind: str) -> Iterator[str]:
        """By the moment at which a job came, or its session was served if that was later.

        A job whose turn is before the next one came is ahead of all that came after, too: no more
        of them is looked at than it takes to know that.
        """
        served = cache(self._served)
        compared: list[tuple[float, int, str]] = []
        for number, (job_id, record) in enumerate(self._first(kind)):
            while compared and compared[0][0] <= record.due:
                yield heappop(compared)[2]
            heappush(compared, (max(record.due, served(record.value)), number, job_id))
        while compared:
            yield heappop(compared)[2]

    def _first(self, kind: str) -> Iterator[tuple[str, Record]]:
        """Those that have waited longest, few at first: most often they are enough."""
        now, seen = self._clock(), set[str]()
        for limit in (GLANCE, WINDOW):
            found = self._records.due(kind, now, limit)
            fresh = [each for each in found if each[0] not in seen]
            seen |= {job_id for job_id, _ in fresh}
            yield from fresh
            if len(found) < limit:
                return

    def _served(self, owner: bytes) -> float:
        record = self._records.read("served", owner.decode()) if owner else None
        return float(record.value) if record else 0.0


def _kind(priority: Priority) -> str:
    return f"queue:{priority}"


KINDS = tuple(map(_kind, PRIORITIES))
"""Of the records of waiting jobs."""
