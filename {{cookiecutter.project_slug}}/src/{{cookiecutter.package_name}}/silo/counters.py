"""Counters for rate limits: a storage of the package `limits` over records.

Whoever shares the records shares the counts: threads, and processes if the store outlives one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from limits.storage import Storage

from .errors import SiloError, StoreFull
from .records import NEW, Delete, Put, Records

KIND = "limit"


class RecordsStorage(Storage):
    """A record for each key, due when its window ends; a window begins with its first count.

    `clock` gives unix seconds. To count is one write, and none is lost: whoever finds that somebody
    else has counted meanwhile reads again. Raises StoreUnavailable while the store does not answer.
    """

    STORAGE_SCHEME = ["silo"]  # noqa: RUF012 - the base class declares a list

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        records: Records,
        clock: Callable[[], float] = time.time,
        **options: Any,
    ) -> None:
        super().__init__(uri, wrap_exceptions, **options)
        self._records = records
        self._clock = clock

    @property
    def base_exceptions(self) -> type[Exception]:
        return SiloError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count in the key's window, or begin one of `expiry` seconds; the count now.

        A store that is full cannot count. That refuses nobody: what needs room is refused by it
        anyway, and to fetch a report needs none.
        """
        while True:
            record, now = self._records.read(KIND, key), self._clock()
            runs = record is not None and record.due > now
            count = amount + (int(record.value) if record and runs else 0)
            due = record.due if record and runs else now + expiry
            expect = record.version if record else NEW
            try:
                if self._records.apply(Put(KIND, key, str(count).encode(), due, expect)):
                    return count
            except StoreFull:
                return count

    def get(self, key: str) -> int:
        """The count in the key's window; 0 if none runs."""
        record = self._records.read(KIND, key)
        return int(record.value) if record and record.due > self._clock() else 0

    def get_expiry(self, key: str) -> float:
        """When the key's window ends, in unix seconds; now if none runs."""
        record = self._records.read(KIND, key)
        return max(record.due if record else 0.0, self._clock())

    def check(self) -> bool:
        """Whether the store answers."""
        try:
            self._records.read(KIND, "")
        except SiloError:
            return False
        return True

    def reset(self) -> int:
        """Forget all counts; how many keys there were."""
        keys = [key for key, _ in self._records.each_due(KIND, float("inf"))]
        for key in keys:
            self.clear(key)
        return len(keys)

    def clear(self, key: str) -> None:
        """Forget a count."""
        self._records.apply(Delete(KIND, key))
