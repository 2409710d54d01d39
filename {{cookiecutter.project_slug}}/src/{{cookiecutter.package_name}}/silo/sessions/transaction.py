"""One request's hold on a session: its state, its lock, and the tasks it starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..answers import clearing
from ..errors import SessionBusy
from ..records import Step
from ..tasks.base import Call
from ..tasks.job import Job
from .ids import SessionKey
from .locks import Hold
from .session import Session

if TYPE_CHECKING:
    from .base import SessionStore


class Transaction:
    """State that may be changed, kept by `commit` and forgotten by `rollback`.

    Tasks started meanwhile are stored by the same commit, so that a job exists if and only if the
    state that refers to it does.
    """

    def __init__(self, store: SessionStore, key: SessionKey, hold: Hold) -> None:
        self._store = store
        self._key = key
        self._hold = hold
        self._starts: list[tuple[Job, Call]] = []
        self._afterwards: list[Callable[[], None]] = []
        self._cleared: list[Step] = []
        self._dropped: Session | None = None
        self.session: Session
        self.state: dict[str, Any]

    def launch(self, name: str, call: Call) -> Job:
        """Prepare a job that starts when the transaction is committed."""
        job = self._store.runner.prepare(name, self._key, call)
        self._starts.append((job, call))
        return job

    def reset(self, sid: str) -> None:
        """Begin the session anew when the transaction is committed.

        Raises SessionBusy if the application's busy check says so.
        """
        store, session = self._store, self.session
        store.refuse_if_busy(sid, session)
        self._starts.clear()
        self._cleared = clearing(store.records, self._key)
        self.state.clear()
        self.state.update(store.state_of(Session(session.bare, session.created), self.launch))
        self._dropped = session

    def after_commit(self, action: Callable[[], None]) -> None:
        """Have something done once the state is kept, such as removing what it no longer names."""
        self._afterwards.append(action)

    def commit(self, also: Callable[[], list[Step]] = list) -> None:
        """Keep the state, start the tasks and take the steps that `also` gives, all or nothing.

        Raises NotEncodable if a value does not fit, and SessionBusy if the lock was lost meanwhile,
        so that somebody else may have written, or a step expects what is not so. Either way nothing
        is kept.
        """
        runner = self._store.runner
        steps = [step for job, _ in self._starts for step in runner.jobs.creation(job)]
        try:
            put = self._store.writing(self._key, self.session, self.state)
            unlock = () if self._dropped else self._hold.unlock
            # An answer that joins a full list drops the oldest, which a reset has dropped already.
            each_once = dict.fromkeys((put, *unlock, *steps, *also(), *self._cleared))
            if not self._store.records.apply(*each_once):
                raise SessionBusy
        except BaseException:
            self.rollback()
            raise
        try:
            self._let_go()
        finally:
            for job, call in self._starts:
                runner.deliver(job, call)
        for action in self._afterwards:
            action()

    def _let_go(self) -> None:
        """Let go of the lock; after a reset not before its files are gone, since those of whoever
        has it next lie in the same place."""
        store = self._store
        if not self._dropped:
            store.locks.release(self._hold)
            return
        try:
            store.cancel_tasks(self._dropped)
            store.remove_files(self._key)
        finally:
            store.locks.abandon(self._hold)

    def rollback(self) -> None:
        """Forget the state's changes and let go of the lock."""
        self._store.locks.abandon(self._hold)
