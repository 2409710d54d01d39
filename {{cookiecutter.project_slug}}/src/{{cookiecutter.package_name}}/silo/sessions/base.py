"""SessionStore: the rules of a session's life, over records that any store can keep.

A session is one record. Its value holds the state of all namespaces, its due time is the moment at
which it expires. Whoever reads gets a snapshot; whoever changes holds the session's lock. A session
that expires leaves a tombstone for a while, which says that it has been.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from ..answers import forgetting
from ..errors import NamespaceError, SessionBusy, SessionExpired, TaskError
from ..records import Delete, Postpone, Put, Record, Records, Step, clock_of
from ..tasks.base import Call, Runner
from ..tasks.job import Job
from ..tasks.jobs import Jobs
from ..tasks.thread import ThreadRunner
from .expiry import Callback, Expiry, Remove, call_all
from .ids import SessionIds, SessionKey, session_key
from .locks import Locks
from .memory import MemoryRecords
from .session import Factory, Session, fresh_state, meta, read_session, write_session
from .transaction import Transaction

log = logging.getLogger(__name__)

BusyCheck = Callable[[str, dict[str, Any]], bool]

TOUCH_SECONDS = 1.0
"""A session's due time is moved at most this often (a hundredth of the TTL, if that is less)."""


class SessionStore:
    """Isolated state for each session id, with a time to live.

    `ttl`, `cleanup_interval`, `expired_retain` and `lease` are in seconds, `clock` gives unix
    seconds; see `clock_of`. Without `ids` any text is an id; with them the store calls sessions by
    the ids that they sign.
    """

    def __init__(
        self,
        *,
        ttl: float = 3600,
        cleanup_interval: float = 60,
        expired_retain: float = 7200,
        sid_generator: Callable[[], str] | None = None,
        records: Records | None = None,
        runner: Runner | None = None,
        clock: Callable[[], float] | None = None,
        lease: float = 15,
    ) -> None:
        self.ttl = ttl
        self.cleanup_interval = cleanup_interval
        self.expired_retain = expired_retain
        self.lease = lease
        self.records = records or MemoryRecords()
        self.clock = clock_of(self.records, clock)
        self.runner = runner or ThreadRunner(Jobs(self.records, self.clock, lease))
        self.runner.jobs.session_ttl = ttl
        self.locks = Locks(self.records, self.clock, lease)
        self.ids: SessionIds | None = None
        self.generate_sid = sid_generator or (lambda: secrets.token_urlsafe(32))
        self._factories: dict[str, Factory] = {}
        self._busy_check: BusyCheck | None = None
        self._before_create: list[Callable[[], object]] = []
        self._on_create: list[Callback] = []
        self._expiry = Expiry(self)

    # Setting up

    def register_namespace(self, name: str, factory: Factory) -> None:
        """Give every session a namespace; `factory` makes its first state, a JSON-like dict."""
        self._factories[name] = factory

    def set_busy_check(self, check: BusyCheck) -> None:
        """Keep sessions from expiring while `check(sid, state)` is true.

        Sessions with queued or running tasks are spared without it.
        """
        self._busy_check = check

    def before_create(self, check: Callable[[], object]) -> None:
        """Call `check()` before a session is created; what it raises keeps that from happening."""
        self._before_create.append(check)

    def on_create(self, callback: Callback) -> None:
        """Call `callback(sid)` when a session is created; it must not change the session."""
        self._on_create.append(callback)

    def on_expire(self, callback: Callback) -> None:
        """Call `callback(sid)` once for each session that expires; it must not begin it anew."""
        self._expiry.on_expire.append(callback)

    def on_remove(self, remove: Remove) -> None:
        """Call `remove(key)` before a session's record goes, to remove what belongs to it.

        It may be called again for the same key, and must not mind that nothing is there.
        """
        self._expiry.on_remove.append(remove)

    def on_cleanup(self, action: Callable[[], object]) -> None:
        """Have `action()` done in every cleanup pass."""
        self._expiry.on_cleanup.append(action)

    # Reading

    def issue(self) -> str:
        """A new session id; there is no session of it yet."""
        return self.ids.issue() if self.ids else self.generate_sid()

    def get(self, sid: str) -> dict[str, Any]:
        """A snapshot of the whole session, created if need be, and its TTL begun anew.

        Maps each namespace to its state, and `_meta` to `created_at`, `last_active` and `sid`.
        Changes to a snapshot are not kept: see `transaction`.
        """
        session = self.open(sid)
        return {**self.state_of(session), "_meta": meta(session, sid, self.ttl)}

    def get_namespace(self, sid: str, namespace: str) -> dict[str, Any]:
        """A snapshot of one namespace. Raises NamespaceError if nobody registered it."""
        self.check_namespace(namespace)
        state: dict[str, Any] = self.get(sid)[namespace]
        return state

    def check_namespace(self, namespace: str) -> None:
        """Raises NamespaceError if nobody registered the namespace."""
        if namespace not in self._factories:
            raise NamespaceError(namespace)

    def peek(self, sid: str) -> Session | None:
        """The session if it is live, with nothing created and its TTL left alone."""
        record = self.records.read("session", session_key(sid))
        if record is None:
            return None
        session = read_session(record)
        return session if self.is_live(session) else None

    def open(self, sid: str, create: bool = True) -> Session:
        """The session, created if need be, and its TTL begun anew.

        Raises SessionExpired if there is none and none is to be created.
        """
        session = self.touch(sid)
        if session:
            return session
        key = session_key(sid)
        with self.locks.held(key):
            return self._load(sid, key, create)

    def state_of(
        self, session: Session, launch: Callable[[str, Call], Job] | None = None
    ) -> dict[str, Any]:
        """The state of all namespaces; `launch` decides how its tasks start."""
        return fresh_state(self._factories, session, self.runner, launch or _launch_nothing)

    def touch(self, sid: str) -> Session | None:
        """Begin the session's TTL anew, and return it; None if it is not live."""
        session = self.peek(sid)
        due = self.clock() + self.ttl
        if session and due - session.due > min(TOUCH_SECONDS, self.ttl / 100):
            self.records.apply(Postpone("session", session_key(sid), due))
        return session

    def exists(self, sid: str) -> bool:
        """Whether the session is live."""
        return self.peek(sid) is not None

    def is_expired(self, sid: str) -> bool:
        """Whether the session has expired, as far back as `expired_retain` remembers."""
        key = session_key(sid)
        if self.records.read("session", key):
            return not self.exists(sid)
        tombstone = self.records.read("tombstone", key)
        return tombstone is not None and tombstone.due > self.clock()

    @property
    def active_count(self) -> int:
        """How many sessions are stored."""
        return self.records.count("session")

    @property
    def expired_count(self) -> int:
        """How many expired sessions are remembered."""
        return self.records.count("tombstone")

    # Changing

    @contextlib.contextmanager
    def transaction(
        self, sid: str, also: Callable[[], list[Step]] = list, create: bool = True
    ) -> Iterator[dict[str, Any]]:
        """Change a session's state, alone: kept when the block ends, forgotten when it raises.

        `also`, called in the end, gives steps to be taken with it, all or nothing. Yields the state
        of all namespaces. Raises SessionBusy if the lock cannot be had within two leases, or was
        lost meanwhile, NotEncodable if a value cannot be stored, and SessionExpired if there is no
        such session and none is to be created.
        """
        held = self.begin(sid, create)
        try:
            yield held.state
        except BaseException:
            held.rollback()
            raise
        held.commit(also)

    def begin(self, sid: str, create: bool = True) -> Transaction:
        """Take the session's lock, creating the session if need be. See `transaction`."""
        key = session_key(sid)
        held = Transaction(self, key, self.locks.acquire(key))
        try:
            held.session = self._load(sid, key, create)
            held.state = self.state_of(held.session, held.launch)
        except BaseException:
            held.rollback()
            raise
        return held

    def writing(self, key: SessionKey, session: Session, state: dict[str, Any]) -> Put:
        """The step that stores a session's state. Raises NotEncodable or TaskError."""
        value = write_session(session, state, self.runner)
        return Put("session", key, value, self.clock() + self.ttl, session.version)

    def reset(self, sid: str) -> None:
        """Begin the session anew: tasks cancelled, files gone, every namespace as its factory makes
        it.

        Nothing happens if there is no such session. Raises SessionBusy if the busy check says so.
        """
        try:
            held = self.begin(sid, create=False)
        except SessionExpired:
            return
        try:
            held.reset(sid)
        except BaseException:
            held.rollback()
            raise
        held.commit()

    def refuse_if_busy(self, sid: str, session: Session) -> None:
        """Raises SessionBusy if the application's busy check says so."""
        if self._busy_check and self._busy_check(sid, self.state_of(session)):
            raise SessionBusy

    def destroy(self, sid: str) -> None:
        """Remove the session and all that belongs to it, leaving no tombstone."""
        key = session_key(sid)
        with self.locks.held(key):
            record = self.records.read("session", key)
            if record:
                self.remove_files(key)
                self.records.apply(
                    Delete("session", key),
                    self._expiry.second_look(key),
                    *forgetting(self.records, key),
                )
                # Last: whoever hears that a job was cancelled, and asks, is told of no session.
                self.cancel_tasks(read_session(record))
            self.records.apply(Delete("tombstone", key))

    def cancel_tasks(self, session: Session) -> None:
        """Ask every task of the session to stop."""
        for job_id in session.tasks:
            self.runner.cancel(job_id)

    # Cleaning up

    def cleanup(self) -> list[str]:
        """One pass: hand back jobs of silent workers, expire what is due, forget old tombstones.

        Returns the ids of the sessions that this pass expired. Several processes may run it at
        once: each session is expired by one of them. Costs what it finds to do.
        """
        return self._expiry.run()

    def remove_files(self, key: SessionKey) -> None:
        """Remove what belongs to a session besides its record."""
        self._expiry.remove_files(key)

    # Told more than once

    def _load(self, sid: str, key: SessionKey, create: bool = True) -> Session:
        """The live session, or a new one in the place of none or of an expired one."""
        session = self.peek(key)
        if session:
            return session
        if not create:
            raise SessionExpired
        for check in self._before_create:
            check()
        self._expiry.expire(key)
        session = self._create(sid, key)
        call_all(self._on_create, sid)
        return session

    def _create(self, sid: str, key: SessionKey) -> Session:
        bare = self.ids.bare(sid) if self.ids else sid
        session = Session(bare or sid, self.clock())
        put = self.writing(key, session, self.state_of(session))
        version = self.records.apply(put, Delete("tombstone", key))
        if not version:
            raise SessionBusy  # the lock was lost meanwhile, and somebody else was quicker
        return read_session(Record(put.value, version, put.due))

    def is_live(self, session: Session) -> bool:
        """Whether a stored session has time left, or work to do."""
        return session.due > self.clock() or self.is_busy(session)

    def is_busy(self, session: Session) -> bool:
        """Whether a session has queued or running tasks, or the busy check says so."""
        if any(self.runner.jobs.is_active(job_id) for job_id in session.tasks):
            return True
        if self._busy_check is None:
            return False
        return self._busy_check(self.sid_of(session), self.state_of(session))

    def sid_of(self, session: Session) -> str:
        """The id of a stored session."""
        return self.ids.sign(session.bare) if self.ids else session.bare


def _launch_nothing(name: str, call: Call) -> Job:
    raise TaskError(
        f"Task {name!r} cannot start from a snapshot: start it in a request that changes state "
        "(POST, PUT, PATCH, DELETE) or in store.transaction()."
    )
