"""Records in this process's memory: nothing to install, and gone with the process."""

from __future__ import annotations

import heapq
import threading
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace

from ..records import NEW, Delete, Postpone, Put, Record, Records, Step

SPARE_ENTRIES = 64
"""How many heap entries may be out of date before it matters."""


class MemoryRecords(Records):
    """A dict a kind, and a heap a kind for what is due.

    A heap entry may be out of date: the record may have been deleted or postponed since. Entries
    are checked when they surface and put back with the record's real due time, so that postponing,
    by far the commonest step, need not touch the heap at all. A heap that is mostly out of date is
    built anew.
    """

    volatile = True

    def __init__(self, url: str = "memory://") -> None:
        self._lock = threading.Lock()
        self._kinds: defaultdict[str, dict[str, Record]] = defaultdict(dict)
        self._heaps: defaultdict[str, list[tuple[float, int, str]]] = defaultdict(list)
        self._sequence = 0

    def read(self, kind: str, key: str) -> Record | None:
        with self._lock:
            return self._kinds[kind].get(key)

    def versions(self, kind: str, keys: Collection[str]) -> dict[str, int]:
        with self._lock:
            records = self._kinds[kind]
            return {key: records[key].version for key in keys if key in records}

    def apply(self, *steps: Step) -> int:
        with self._lock:
            if not all(self._holds(step) for step in steps):
                return 0
            self._sequence += 1
            for step in steps:
                self._do(step)
            return self._sequence

    def due(self, kind: str, now: float, limit: int = 100) -> list[tuple[str, Record]]:
        found: dict[str, Record] = {}
        with self._lock:
            heap, records = self._heaps[kind], self._kinds[kind]
            while heap and heap[0][0] <= now and len(found) < limit:
                _, version, key = heapq.heappop(heap)
                record = records.get(key)
                if record is None or record.version != version or key in found:
                    continue
                if record.due <= now:
                    found[key] = record
                else:
                    heapq.heappush(heap, (record.due, version, key))
            for key, record in found.items():
                heapq.heappush(heap, (record.due, record.version, key))
        return sorted(found.items(), key=lambda item: (item[1].due, item[1].version))

    def count(self, kind: str) -> int:
        with self._lock:
            return len(self._kinds[kind])

    def _holds(self, step: Step) -> bool:
        if isinstance(step, Postpone) or step.expect is None:
            return True
        record = self._kinds[step.kind].get(step.key)
        return (record.version if record else NEW) == step.expect

    def _do(self, step: Step) -> None:
        records = self._kinds[step.kind]
        if isinstance(step, Delete):
            records.pop(step.key, None)
        elif isinstance(step, Put):
            records[step.key] = Record(step.value, self._sequence, step.due)
            self._push(step.kind, step.key)
        elif record := records.get(step.key):
            records[step.key] = replace(record, due=step.due)
            if step.due < record.due:
                self._push(step.kind, step.key)

    def _push(self, kind: str, key: str) -> None:
        heap, records = self._heaps[kind], self._kinds[kind]
        heapq.heappush(heap, (records[key].due, records[key].version, key))
        if len(heap) > 2 * len(records) + SPARE_ENTRIES:
            heap[:] = [(record.due, record.version, key) for key, record in records.items()]
            heapq.heapify(heap)
