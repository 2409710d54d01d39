"""One request's dealings with its session: what it was shown, what it holds, what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .codec import encode
from .errors import SessionExpired, SnapshotChanged
from .records import Step
from .sessions.base import SessionStore
from .sessions.session import Session
from .sessions.transaction import Transaction


class Visit:
    """`sid` is the id that the client sent, if this server signed it, or the one it was given.

    A session that was live in this request and is no more is not made anew: whoever asks for it
    then has SessionExpired.
    """

    def __init__(self, store: SessionStore, sid: str | None) -> None:
        self.sid = sid
        self.held: Transaction | None = None
        self._store = store
        self._snapshot: dict[str, Any] | None = None
        self._encoded = b""
        self._met = False
        self._opened = False

    @property
    def live(self) -> bool:
        """Whether the client has a session; that it had one in this request is enough."""
        self._met = self._met or (self.sid is not None and self._store.exists(self.sid))
        return self._met

    def sure_sid(self) -> str:
        """The id, issued now if there is none."""
        if self.sid is None:
            self.sid = self._store.issue()
        return self.sid

    def open(self) -> str:
        """The id of a session that is there, made if need be; its TTL begins anew, once."""
        sid = self.sure_sid()
        if self.held is None and not self._opened:
            self._store.open(sid, create=not self._met)
            self._opened = self._met = True
        return sid

    def begin(self) -> Transaction:
        """Hold the session until the end of the request. Raises SessionBusy."""
        if self.held is None:
            self.held = self._store.begin(self.sure_sid(), create=not self._met)
            self._met = True
        return self.held

    def same(self, session: Session | None) -> Session | None:
        """What was found of the session. Raises SessionExpired if it has ended meanwhile."""
        if session is None and self._met:
            raise SessionExpired
        return session

    def snapshot(self) -> dict[str, Any]:
        """One snapshot a request, remembered so that a change to it does not go unnoticed."""
        if self._snapshot is None:
            session = self.same(self._store.touch(self.sid) if self.sid else None)
            self._met = session is not None
            self._snapshot = self._store.state_of(session or Session("", 0.0))
            self._encoded = encode(self._snapshot)[0]
        return self._snapshot

    def keep(self, also: Callable[[], list[Step]]) -> None:
        """Keep what was changed, with the steps that `also` gives.

        Raises SnapshotChanged if that was not meant to be.
        """
        held, self.held = self.held, None
        if held:
            held.commit(also)
        elif self._snapshot is not None and encode(self._snapshot)[0] != self._encoded:
            raise SnapshotChanged

    def drop(self) -> None:
        """Forget what was changed, and hold the session no longer."""
        held, self.held = self.held, None
        if held:
            held.rollback()
