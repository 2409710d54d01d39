"""Counts that all processes of a store add to, and that only ever rise.

What a process counts is added up in its memory and put on the store's one record of it a moment
later, so that whoever counts writes nothing. Only what is on record is told: every process tells
the same, and one that is killed takes at most that moment's counts along.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import threading
from collections.abc import Mapping

from .errors import SiloError
from .records import NEW, Put, Record, Records

log = logging.getLogger(__name__)

KIND, KEY = "counts", "all"
FLUSH_SECONDS = 2.0

Count = tuple[str, ...]
"""What is counted: a name, and whatever tells it from others of that name."""


class Counts:
    """The counts of one store."""

    def __init__(self, records: Records, seconds: float = FLUSH_SECONDS) -> None:
        self._records = records
        self._seconds = seconds
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._added: dict[Count, float] = {}
        self._timer: threading.Timer | None = None

    def add(self, amounts: Mapping[Count, float]) -> None:
        """Count; it is on record within seconds."""
        with self._lock:
            _add(self._added, amounts)
            if self._timer is None:
                self._timer = threading.Timer(self._seconds, self._flush_in_time)
                self._timer.daemon = True
                with contextlib.suppress(RuntimeError):  # Python is about to end
                    self._timer.start()

    def flush(self) -> None:
        """Put on record what this process has counted. Raises SiloError, and keeps it for later."""
        with self._flushing:  # after it, what another thread had taken is on record, too
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            added, self._added = self._added, {}
            if self._timer:
                self._timer.cancel()
            self._timer = None
        try:
            while added and not self._put(added):
                pass
        except SiloError:
            self.add(added)
            raise

    def read(self) -> dict[Count, float]:
        """What is on record; names stand in the order in which they were counted first."""
        return _decode(self._records.read(KIND, KEY))

    def _put(self, added: Mapping[Count, float]) -> bool:
        """False if another process was quicker."""
        found = self._records.read(KIND, KEY)
        counts = _decode(found)
        _add(counts, added)
        value = json.dumps([[*count, amount] for count, amount in counts.items()]).encode()
        expect = found.version if found else NEW
        return bool(self._records.apply(Put(KIND, KEY, value, math.inf, expect)))

    def _flush_in_time(self) -> None:
        try:
            self.flush()
        except SiloError as error:
            log.warning("what was counted waits for the store: %s", error)


def _add(counts: dict[Count, float], amounts: Mapping[Count, float]) -> None:
    for count, amount in amounts.items():
        counts[count] = counts.get(count, 0) + amount


def _decode(record: Record | None) -> dict[Count, float]:
    stored = json.loads(record.value) if record else []
    return {tuple(count): amount for *count, amount in stored}
