"""A session's lock: a lease in the store, and a queue in this process in front of it.

Requests of one process take turns among themselves first, so that the store is asked by one of them
at a time. A lease whose holder died is taken over when it has run out. Whether it has is judged
twice: by its due time, and by having watched it unchanged for as long as a lease lasts, because a
clock that was set back must not keep a session locked. The lock only keeps writers apart politely;
what makes a late writer harmless is the version that its commit expects.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from ..errors import SessionBusy
from ..records import NEW, Delete, Put, Record, Records

PAUSE_SECONDS = 0.01


class Locks:
    """Leases of `lease` seconds, one a key. `clock` gives unix seconds."""

    def __init__(self, records: Records, clock: Callable[[], float], lease: float) -> None:
        self._records = records
        self._clock = clock
        self._lease = lease
        self._turns: dict[str, tuple[threading.Lock, int]] = {}
        self._guard = threading.Lock()

    def acquire(self, key: str) -> Delete:
        """Wait for the lock and take it. Returns the step that lets it go in the store.

        Raises SessionBusy after waiting for two leases.
        """
        deadline = time.monotonic() + 2 * self._lease
        turn = self._join(key)
        if not turn.acquire(timeout=2 * self._lease):
            self._leave(key)
            raise SessionBusy
        try:
            return Delete("lock", key, self._take(key, deadline))
        except BaseException:
            self.release(key)
            raise

    def release(self, key: str) -> None:
        """Let the next one in this process have its turn."""
        with self._guard:
            turn, _ = self._turns[key]
        turn.release()
        self._leave(key)

    @contextlib.contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Hold the lock for a block of code."""
        unlock = self.acquire(key)
        try:
            yield
        finally:
            self.abandon(unlock)

    def abandon(self, unlock: Delete) -> None:
        """Let go of a lock, for the next one in this process even if the store cannot be told."""
        try:
            self._records.apply(unlock)
        finally:
            self.release(unlock.key)

    def _take(self, key: str, deadline: float) -> int:
        watched, since = NEW, time.monotonic()
        found: Record | None = None
        while True:
            if self._is_free(found, since):
                due = self._clock() + self._lease
                version = self._records.apply(Put("lock", key, b"", due, watched))
                if version:
                    return version
            elif time.monotonic() > deadline:
                raise SessionBusy
            else:
                time.sleep(PAUSE_SECONDS)
            found = self._records.read("lock", key)
            if found is None or found.version != watched:
                watched, since = (found.version if found else NEW), time.monotonic()

    def _is_free(self, found: Record | None, since: float) -> bool:
        if found is None or found.due <= self._clock():
            return True
        return time.monotonic() - since > self._lease

    def _join(self, key: str) -> threading.Lock:
        with self._guard:
            turn, waiting = self._turns.get(key, (threading.Lock(), 0))
            self._turns[key] = turn, waiting + 1
            return turn

    def _leave(self, key: str) -> None:
        with self._guard:
            turn, waiting = self._turns.pop(key)
            if waiting > 1:
                self._turns[key] = turn, waiting - 1
