"""Counters over records: how often something has happened within a fixed window of time.

Whoever shares the records shares the counts: threads, and processes if the store outlives one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .errors import StoreFull
from .records import NEW, Put, Records

KIND = "limit"


class Counters:
    """A record for each key, due when its window ends; a window begins with its first count.

    `clock` gives unix seconds.
    """

    def __init__(self, records: Records, clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._clock = clock

    def hit(self, key: str, seconds: int) -> tuple[int, float]:
        """Count in the key's window, or begin one of so many seconds.

        Returns the count now, and when the window ends, in unix seconds. That is one write, and
        none is lost: whoever finds that somebody else has counted meanwhile reads again. A store
        that is full cannot count. That refuses nobody: what needs room is refused by it anyway, and
        to fetch a report needs none. Raises StoreUnavailable while the store does not answer.
        """
        while True:
            record, now = self._records.read(KIND, key), self._clock()
            count, due = 1, now + seconds
            if record and record.due > now:
                count, due = int(record.value) + 1, record.due
            expect = record.version if record else NEW
            try:
                if self._records.apply(Put(KIND, key, str(count).encode(), due, expect)):
                    return count, due
            except StoreFull:
                return count, due
