"""Which workers are at work: each leaves a record that it renews, and that ends soon if it dies."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from ..records import Delete, Put, Records

KIND = "worker"
RENEW_SECONDS = 5.0
PRESENT_SECONDS = 30.0
"""So long after it was last renewed a record says that its worker is there."""


class Presence:
    """The workers of one store; an object of this class may be one. `clock` gives unix seconds."""

    def __init__(self, records: Records, clock: Callable[[], float]) -> None:
        self._records = records
        self._clock = clock
        self._key = secrets.token_hex(8)
        self._renewed = -RENEW_SECONDS

    def renew(self) -> None:
        """Say that this worker is there; does nothing if it has just said so."""
        if time.monotonic() - self._renewed >= RENEW_SECONDS:
            self._renewed = time.monotonic()
            self._records.apply(Put(KIND, self._key, b"", self._clock() + PRESENT_SECONDS))

    def end(self) -> None:
        """Say that it goes."""
        self._records.apply(Delete(KIND, self._key))

    def count(self) -> int:
        """How many workers are there. Looks at each."""
        now = self._clock()
        return sum(record.due > now for _, record in self._records.each(KIND))
