"""A session's lock: a queue in this process, and behind it a lock that all processes share.

Requests of one process take turns among themselves first, so that one of them at a time asks for
the shared lock. That is a locked byte of a file where the store is a file of this machine, and else
a lease among the records. A holder that died blocks nobody for long, and one that is only slow
blocks no other process for longer than a lease; in its own, others are told SessionBusy after two.
So a lock keeps writers apart politely, and no more; what makes a late writer harmless is the
version that its commit expects.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ..errors import SessionBusy
from ..records import NEW, Delete, Put, Record, Records, Step
from .filelocks import FileLocks

PAUSE_SECONDS = 0.01


@dataclass(frozen=True)
class Hold:
    """A lock that is held. `unlock` are the steps that let it go in the store, if it is there."""

    key: str
    unlock: tuple[Step, ...] = ()


class Shared(Protocol):
    """A lock that all processes share."""

    def take(self, key: str, seconds: float) -> Hold | None:
        """Take the lock, after waiting for it at most so long; else None."""

    def free(self, hold: Hold) -> None:
        """Let go of what the steps of a hold do not let go of."""


class Locks:
    """Locks for at most `lease` seconds each. `clock` gives unix seconds."""

    def __init__(self, records: Records, clock: Callable[[], float], lease: float) -> None:
        self._records = records
        self._lease = lease
        self._shared: Shared = (
            Files(records.file_locks, lease)
            if records.file_locks
            else Leases(records, clock, lease)
        )
        self._turns: dict[str, tuple[threading.Lock, int]] = {}
        self._guard = threading.Lock()

    def acquire(self, key: str) -> Hold:
        """Wait for the lock and take it. Raises SessionBusy after waiting for two leases."""
        hold = self.take(key, 2 * self._lease)
        if hold is None:
            raise SessionBusy
        return hold

    def take(self, key: str, seconds: float = 0) -> Hold | None:
        """Take the lock, after waiting for it at most so long; else None."""
        deadline = time.monotonic() + seconds
        turn = self._join(key)
        if not (turn.acquire(timeout=seconds) if seconds else turn.acquire(blocking=False)):
            self._leave(key)
            return None
        hold: Hold | None = None
        try:
            hold = self._shared.take(key, max(0, deadline - time.monotonic()))
        finally:
            if hold is None:
                turn.release()
                self._leave(key)
        return hold

    def release(self, hold: Hold) -> None:
        """Let go of a lock whose steps have been taken."""
        self._shared.free(hold)
        with self._guard:
            turn, _ = self._turns[hold.key]
        turn.release()
        self._leave(hold.key)

    def abandon(self, hold: Hold) -> None:
        """Let go of a lock, for the next one in this process even if the store cannot be told."""
        try:
            if hold.unlock:
                self._records.apply(*hold.unlock)
        finally:
            self.release(hold)

    @contextlib.contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Hold the lock for a block of code. Raises SessionBusy."""
        hold = self.acquire(key)
        try:
            yield
        finally:
            self.abandon(hold)

    @contextlib.contextmanager
    def held_if_free(self, key: str) -> Iterator[bool]:
        """The same without waiting; false if somebody else holds it."""
        hold = self.take(key)
        try:
            yield hold is not None
        finally:
            if hold:
                self.abandon(hold)

    def _join(self, key: str) -> threading.Lock:
        with self._guard:
            turn, waiting = self._turns.get(key, (None, 0))
            turn = turn or threading.Lock()
            self._turns[key] = turn, waiting + 1
            return turn

    def _leave(self, key: str) -> None:
        with self._guard:
            turn, waiting = self._turns.pop(key)
            if waiting > 1:
                self._turns[key] = turn, waiting - 1


class Files:
    """Locks that the operating system frees when their holder dies.

    Whoever has waited for as long as a lease goes ahead of a holder that hangs, without the lock.
    """

    def __init__(self, locks: FileLocks, lease: float) -> None:
        self._locks = locks
        self._lease = lease

    def take(self, key: str, seconds: float) -> Hold | None:
        began = time.monotonic()
        while not self._locks.take(key):
            waited = time.monotonic() - began
            if waited > self._lease:
                return Hold(key)
            if waited >= seconds:
                return None
            time.sleep(min(PAUSE_SECONDS, waited))
        return Hold(key)

    def free(self, hold: Hold) -> None:
        self._locks.free(hold.key)


class Leases:
    """Locks that are records, taken over when their due time has passed.

    Whether it has is judged twice: by the clock, and by having watched the record unchanged for as
    long as a lease lasts, because a clock that was set back must not keep a session locked.
    """

    def __init__(
        self, records: Records, clock: Callable[[], float], lease: float, kind: str = "lock"
    ) -> None:
        self._records = records
        self._clock = clock
        self._lease = lease
        self._kind = kind

    def take(self, key: str, seconds: float) -> Hold | None:
        began = since = time.monotonic()
        watched = NEW
        found: Record | None = None
        while True:
            if self._is_free(found, since):
                due = self._clock() + self._lease
                version = self._records.apply(Put(self._kind, key, b"", due, watched))
                if version:
                    return Hold(key, (Delete(self._kind, key, version),))
            elif time.monotonic() - began >= seconds:
                return None
            else:
                time.sleep(PAUSE_SECONDS)
            found = self._records.read(self._kind, key)
            if found is None or found.version != watched:
                watched, since = (found.version if found else NEW), time.monotonic()

    def free(self, hold: Hold) -> None:
        """The steps of a hold let go of all there is."""

    def _is_free(self, found: Record | None, since: float) -> bool:
        if found is None or found.due <= self._clock():
            return True
        return time.monotonic() - since > self._lease
