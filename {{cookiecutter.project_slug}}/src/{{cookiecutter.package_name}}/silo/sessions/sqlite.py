"""Records in a SQLite file: nothing to install, shared by every process of a machine, and durable.

The file is in WAL mode, so readers never wait for a writer. SQLite lets one writer in at a time,
and its own way of waiting, to sleep and ask again, would starve some writers for seconds where
others hold the store for long; so these take turns before they ask: threads at a lock, processes at
a locked file, which the kernel hands on in order. A single step is one statement, over in
microseconds, and keeps the store from nobody while its thread waits for the interpreter's lock, as
a turn would. So a single step asks at once, and takes its turn only if that is in vain.

Where somebody always writes, SQLite's own checkpoints never catch up: the log would grow for ever,
and every write begin another one. So each process has one made now and then which the writers wait
for, when most of it is done.

What is committed outlives the death of every process at any moment. After a power cut the last
moments may be missing (`synchronous=NORMAL`), and the file is whole.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from ..errors import SiloError, StoreFull, StoreUnavailable
from ..records import BATCH, Delete, Postpone, Put, Record, Records, Step
from .filelocks import FileLocks
from .turn import Turn

T = TypeVar("T")

BUSY_SECONDS = 5
ASK_SECONDS = 0.03
"""For which SQLite asks again and again by itself, without the interpreter's lock."""
WRITES = 2000
"""After so many of a process the log is begun anew; each adds about 8 KB."""
LOG_PAGES = 16_000
"""The length at which SQLite makes checkpoints by itself, for processes that write less."""
MARKS = 2**16
MIGRATIONS = [
    """
    CREATE TABLE records (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        version INTEGER NOT NULL,
        due REAL NOT NULL,
        PRIMARY KEY (kind, key)
    ) WITHOUT ROWID;
    CREATE INDEX records_due ON records (kind, due, version);
    """,
]
"""Each brings the file from the schema version that is its place in the list to the next."""


class SqliteRecords(Records):
    """Connections are pooled, each used by one thread at a time, and never across a fork."""

    def __init__(self, url: str) -> None:
        self._path = path_of(url).absolute()
        self._pid = os.getpid()
        self._idle: list[sqlite3.Connection] = []
        self._versions = _Versions()
        self._writes = itertools.count(1)
        self._turn = Turn(self._path.with_suffix(".turn"))
        self._locks = self.file_locks = FileLocks(self._path.with_suffix(".lock"))
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        self._use(self._migrate, at_once=False)

    def read(self, kind: str, key: str) -> Record | None:
        row = self._use(lambda connection: connection.execute(SELECT, (kind, key)).fetchone())
        return Record(*row) if row else None

    def versions(self, kind: str, keys: Collection[str]) -> dict[str, int]:
        asked = (kind, json.dumps(list(keys)))
        (found,) = self._use(lambda connection: connection.execute(VERSIONS, asked).fetchone())
        versions: dict[str, int] = json.loads(found)
        return versions

    def apply(self, *steps: Step) -> int:
        version = self._versions.next()

        def write(connection: sqlite3.Connection) -> int:
            if len(steps) == 1:
                return version if _do(connection, steps[0], version) else 0
            with _transaction(connection):
                if not all(_do(connection, step, version) for step in steps):
                    connection.rollback()
                    return 0
            return version

        done = self._use(write, at_once=len(steps) == 1)
        if next(self._writes) % WRITES == 0:
            with contextlib.suppress(SiloError):  # what is written stays, and the log has room
                self._begin_log_anew()
        return done

    def due(self, kind: str, now: float, limit: int = 100) -> list[tuple[str, Record]]:
        rows = self._rows(DUE, (kind, now, limit))
        return [(key, Record(*rest)) for key, *rest in rows]

    def each(self, kind: str) -> Iterator[tuple[str, Record]]:
        statement, last = EACH.format(">="), ""  # a key may be empty
        while rows := self._rows(statement, (kind, last, BATCH)):
            yield from ((key, Record(*rest)) for key, *rest in rows)
            statement, last = EACH.format(">"), rows[-1][0]

    def count(self, kind: str) -> int:
        (number,) = self._use(lambda connection: connection.execute(COUNT, (kind,)).fetchone())
        return int(number)

    def close(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()
        self._turn.close()
        self._locks.close()

    def _begin_log_anew(self) -> None:
        """Bring the log into the file: most of it while others write, the rest while they wait."""
        self._use(lambda connection: _checkpoint(connection, "PASSIVE"))
        self._use(lambda connection: _checkpoint(connection, "RESTART"), at_once=False)

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        return self._use(lambda connection: connection.execute(statement, values).fetchall())

    def _use(self, work: Callable[[sqlite3.Connection], T], at_once: bool = True) -> T:
        """Do something with a connection that nobody else uses meanwhile."""
        try:
            connection = self._take()
            try:
                result = self._done(work, connection, at_once)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise translated(error) from error
        self._idle.append(connection)
        return result

    def _done(
        self, work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection, at_once: bool
    ) -> T:
        """Do it at once, or else in our turn, as soon as the store is free."""
        try:
            if at_once:
                return work(connection)
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
        deadline = time.monotonic() + BUSY_SECONDS
        with self._turn:
            while True:
                try:
                    return work(connection)
                except sqlite3.OperationalError as error:
                    if not _is_busy(error) or time.monotonic() > deadline:
                        raise

    def _take(self) -> sqlite3.Connection:
        if self._pid != os.getpid():
            # SQLite forbids to use, and even to close, a connection that came along with a fork.
            self._inherited, self._idle, self._pid = self._idle, [], os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        with self._turn:  # a file that is not in WAL mode yet lets nobody wait who would have it so
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        connection.execute(f"PRAGMA busy_timeout = {ASK_SECONDS * 1000:.0f}")
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        with _transaction(connection):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            for number, script in enumerate(MIGRATIONS[version:], version + 1):
                for statement in script.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")


def path_of(url: str) -> Path:
    """The file that a URL names. Raises SiloError."""
    _, _, path = url.partition(":///")
    if not path:
        raise SiloError("A SQLite file is named like sqlite:///data/silo.db, with three slashes.")
    return Path(unquote(path))


def translated(error: sqlite3.Error) -> SiloError:
    """What SQLite's error means for us."""
    said = str(error)
    if "full" in said or "readonly" in said or "disk I/O" in said:
        return StoreFull()
    return StoreUnavailable()


def _is_busy(error: sqlite3.OperationalError) -> bool:
    """Whether somebody else writes."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _checkpoint(connection: sqlite3.Connection, mode: str) -> None:
    """Bring the log into the file. Others who are at it, or read for long, are not waited for."""
    connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that the block writes, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        if connection.in_transaction:
            connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.rollback()


class _Versions:
    """Rising numbers that no other process gives: the time, and a mark of the process's own.

    A counter in the file would do too, for one more row to write at each step.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._marked_by = (0, 0)

    def next(self) -> int:
        with self._lock:
            if self._marked_by[0] != os.getpid():
                self._marked_by = (os.getpid(), secrets.randbelow(MARKS))
            _, mark = self._marked_by
            ticks = max(time.time_ns() // MARKS, self._last // MARKS + 1)
            self._last = ticks * MARKS + mark
            return self._last


def _do(connection: sqlite3.Connection, step: Step, version: int) -> bool:
    """Take a step. False, and nothing done, if the record has not the version that is expected.

    One statement each, which looks and writes: every statement lets go of the interpreter's lock
    and has to wait for it again.
    """
    record = (step.kind, step.key)
    match step:
        case Put(expect=None):
            return _changes(connection, UPSERT, (*record, step.value, version, step.due)) == 1
        case Put(expect=0):
            return _changes(connection, INSERT, (*record, step.value, version, step.due)) == 1
        case Put():
            values = (step.value, version, step.due, *record, step.expect)
            return _changes(connection, UPDATE, values) == 1
        case Delete(expect=None):
            return _changes(connection, DELETE, record) >= 0
        case Delete(expect=0):
            return connection.execute(SELECT, record).fetchone() is None
        case Delete():
            return _changes(connection, f"{DELETE} AND version = ?", (*record, step.expect)) == 1
        case Postpone():
            return _changes(connection, POSTPONE, (step.due, *record)) >= 0


def _changes(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> int:
    """Execute a statement; how many rows it changed."""
    return connection.execute(statement, values).rowcount


SELECT = "SELECT value, version, due FROM records WHERE kind = ? AND key = ?"
DUE = (
    "SELECT key, value, version, due FROM records WHERE kind = ? AND due <= ?"
    " ORDER BY due, version LIMIT ?"
)
EACH = (
    "SELECT key, value, version, due FROM records WHERE kind = ? AND key {} ? ORDER BY key LIMIT ?"
)
COUNT = "SELECT count(*) FROM records WHERE kind = ?"
VERSIONS = (  # one row, because after every row the interpreter's lock has to be waited for
    "SELECT json_group_object(key, version) FROM records"
    " WHERE kind = ? AND key IN (SELECT value FROM json_each(?))"
)
INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
UPSERT = (
    "INSERT INTO records VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
    " SET value = excluded.value, version = excluded.version, due = excluded.due"
)
UPDATE = (
    "UPDATE records SET value = ?, version = ?, due = ? WHERE kind = ? AND key = ? AND version = ?"
)
DELETE = "DELETE FROM records WHERE kind = ? AND key = ?"
POSTPONE = "UPDATE records SET due = ? WHERE kind = ? AND key = ?"
