"""Records: the few atomic steps that every store must be able to do.

Sessions, locks, tombstones and jobs are all records of some kind, so a store is five methods. A
record has a value (bytes), a version, and a due time: the moment at which somebody should look at
it. Versions come from one rising sequence for the whole store, so a version seen once never comes
back, not even after a record was deleted and made anew: a late writer can always be told from a
timely one.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from .errors import SiloError
from .urls import masked

if TYPE_CHECKING:
    from .sessions.filelocks import FileLocks

NEW = 0
"""As `Put.expect`: the record must not exist yet."""

BATCH = 100
"""How many due records are read at a time."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored under a kind and a key. `due` is in unix seconds."""

    value: bytes
    version: int
    due: float


@dataclass(frozen=True, slots=True)
class Put:
    """Write a record, provided it still has the version `expect` (`NEW`: none, `None`: any)."""

    kind: str
    key: str
    value: bytes
    due: float
    expect: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a record, provided it still has the version `expect` (`None`: any, or no record)."""

    kind: str
    key: str
    expect: int | None = None


@dataclass(frozen=True, slots=True)
class Postpone:
    """Move a record's due time and leave its version alone; nothing happens if it is gone."""

    kind: str
    key: str
    due: float


Step = Put | Delete | Postpone


class Records(ABC):
    """Where records live. Every method may be called from any thread."""

    volatile = False
    """Whether the records end with the process."""

    shared = False
    """Whether other machines can reach the same records."""

    file_locks: FileLocks | None = None
    """Locks of the machine that keeps the records; None if it may be another one."""

    clock: Callable[[], float] | None = None
    """Unix seconds that are the same wherever the records are reached from; None: nobody's."""

    @abstractmethod
    def read(self, kind: str, key: str) -> Record | None:
        """The record, or None."""

    @abstractmethod
    def versions(self, kind: str, keys: Collection[str]) -> dict[str, int]:
        """The versions of those of the records that there are, asked for all at once.

        Whoever waits for news asks this again and again, so it reads no values.
        """

    @abstractmethod
    def apply(self, *steps: Step) -> int:
        """Do all steps at once, or none if one expectation fails.

        Returns the version that the written records now have, or 0 if nothing was done.
        """

    @abstractmethod
    def due(self, kind: str, now: float, limit: int = BATCH) -> list[tuple[str, Record]]:
        """Up to `limit` records due at `now` or before, the longest overdue first.

        Costs what it returns, however many records there are.
        """

    def each_due(self, kind: str, now: float) -> Iterator[tuple[str, Record]]:
        """Every record due at `now`, read a batch at a time; each once, even if it stays due."""
        seen: set[str] = set()
        while fresh := [
            each for each in self.due(kind, now, BATCH + len(seen)) if each[0] not in seen
        ]:
            for key, record in fresh:
                seen.add(key)
                yield key, record

    def each(self, kind: str) -> Iterator[tuple[str, Record]]:
        """Every record of a kind, in some order; for moving them, not for every day.

        What is written meanwhile may be missed. A store does better than this where it can: here
        each batch costs as much as all before it.
        """
        return self.each_due(kind, math.inf)

    @abstractmethod
    def count(self, kind: str) -> int:
        """How many records of a kind there are."""

    def doubts(self) -> list[str]:
        """Why the store might lose records although it works, each a sentence on what to do."""
        return []

    def close(self) -> None:  # noqa: B027 - most stores hold nothing
        """Let go of files and connections. Who asks meanwhile is answered, or StoreUnavailable."""


STORES = {
    "memory": "sessions.memory:MemoryRecords",
    "sqlite": "sessions.sqlite:SqliteRecords",
    "redis": "sessions.redis:RedisRecords",
    "rediss": "sessions.redis:RedisRecords",
}


def open_records(url: str) -> Records:
    """The store behind a URL such as `memory://`; raises SiloError for a scheme nobody serves."""
    scheme = url.partition(":")[0].lower()  # a URL may be broken behind it
    if scheme not in STORES:
        shown = masked(url)
        raise SiloError(f"{shown!r} is no store: it must begin with one of {', '.join(STORES)}.")
    module, _, name = STORES[scheme].partition(":")
    backend: Callable[[str], Records] = getattr(import_module(f".{module}", __package__), name)
    return backend(url)


def clock_of(records: Records, given: Callable[[], float] | None = None) -> Callable[[], float]:
    """Whose time to go by: the one given, else that of the records, else this machine's."""
    return given or records.clock or time.time
