"""How sessions end: once each, whoever looks first, with nothing left behind."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..answers import forgetting
from ..errors import StoreUnavailable
from ..records import Delete, Postpone, Put, Record, Step
from ..tasks.job import OWNER_CHARS, Job
from .ids import SessionKey
from .session import read_session

if TYPE_CHECKING:
    from .base import SessionStore

log = logging.getLogger(__name__)

Callback = Callable[[str], None]
Remove = Callable[[SessionKey], None]


FLEETING = (
    *("tombstone", "stream", "answer", "answers", "cached", "hold", "limit"),
    *("message", "served", "worker"),
)
"""Records that are gone when they are due, and leave nothing to do."""


class Expiry:
    """The cleanup pass of a store, and the end of a single session.

    Files go before the record does, and may be asked to go again: after a crash in between, the
    next pass finds the record as it was. What a late writer leaves behind afterwards, a second look
    removes, which is due when every lease of that time has run out.
    """

    def __init__(self, store: SessionStore) -> None:
        self.on_expire: list[Callback] = []
        self.on_remove: list[Remove] = []
        self.on_cleanup: list[Callable[[], object]] = []
        self._store = store
        self._records = store.records

    def run(self) -> list[str]:
        """One pass; the ids of the sessions that it expired."""
        with logged("looking after the jobs", but=StoreUnavailable):
            self._store.runner.tick()  # first, so that it notices when the store is away
        now, expired = self._store.clock(), list[str | None]()
        for key, record in self._records.each_due("session", now):
            with logged("expiring a session"):
                expired.append(self._expire_due(SessionKey(key), record))
        for kind in FLEETING:
            for key, record in self._records.each_due(kind, now):
                self._records.apply(Delete(kind, key, record.version))
        for key, record in self._records.each_due("garbage", now):
            with logged("removing what a session left behind"):
                self._collect(SessionKey(key), record)
        self._store.runner.jobs.sweep(self._refers_to)
        for action in self.on_cleanup:
            with logged("an action of the cleanup"):
                action()
        return [sid for sid in expired if sid]

    def expire(self, key: SessionKey) -> str | None:
        """Expire a session whose lock is held, if it is still due. Returns its id."""
        record = self._records.read("session", key)
        if record is None or self._store.is_live(read_session(record)):
            return None
        session = read_session(record)
        self.remove_files(key)
        steps: list[Step] = [
            Delete("session", key, record.version),
            Put("tombstone", key, b"", self._store.clock() + self._store.expired_retain),
            self.second_look(key),
            *(Delete("job", job_id) for job_id in session.tasks),
            *forgetting(self._records, key),
        ]
        if not self._records.apply(*steps):
            return None
        log.info("session %s has expired", key[:OWNER_CHARS])
        sid = self._store.sid_of(session)
        call_all(self.on_expire, sid)
        return sid

    def remove_files(self, key: SessionKey) -> None:
        """Remove what belongs to a session besides its record."""
        for remove in self.on_remove:
            remove(key)

    def second_look(self, key: SessionKey) -> Put:
        """The step that has a later pass remove files once more."""
        return Put("garbage", key, b"", self._store.clock() + self._store.lease)

    def _expire_due(self, key: SessionKey, record: Record) -> str | None:
        """Expire a session that is due, unless it is busy, which begins its TTL anew."""
        store = self._store
        if store.is_busy(read_session(record)):
            self._records.apply(Postpone("session", key, store.clock() + store.ttl))
            return None
        with store.locks.held_if_free(key) as ours:  # else a request works on it right now
            return self.expire(key) if ours else None

    def _collect(self, key: SessionKey, record: Record) -> None:
        """Look once more for files of a session that is gone."""
        with self._store.locks.held_if_free(key) as ours:
            if not ours:
                return  # somebody begins the session anew; the next pass looks again
            if self._records.read("session", key) is None:
                self.remove_files(key)
            self._records.apply(Delete("garbage", key, record.version))

    def _refers_to(self, job: Job) -> bool:
        record = self._records.read("session", job.owner) if job.owner else None
        return record is not None and job.id in read_session(record).tasks


def call_all(callbacks: list[Callback], sid: str) -> None:
    """Call each, whatever becomes of the others."""
    for callback in callbacks:
        with logged("a session's callback"):
            callback(sid)


@contextlib.contextmanager
def logged(what: str, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Log an error and go on: one session's trouble must not stop what is done for the others.

    An error of the type `but` comes through.
    """
    try:
        yield
    except but:
        raise
    except Exception:
        log.exception("%s failed", what)
