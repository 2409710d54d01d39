"""What repeated requests share: a cached answer, and a turn to be the only one at work."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .answers import Answer
from .codec import dump
from .records import Put
from .sessions.ids import SessionKey
from .sessions.locks import Hold, Leases

if TYPE_CHECKING:
    from .sessions.base import SessionStore


class Repeats:
    """Cached answers and turns, in a store's records. A name is a hash of ours."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._records = store.records

    def cached(self, name: str) -> Answer | None:
        """The answer, unless its time is over or its session has changed since."""
        found = self._records.read("cached", name)
        if found is None or found.due <= self._store.clock():
            return None
        given, seen = json.loads(found.value)
        answer = Answer.of(given)
        if not answer.owner:
            return answer
        session = self._store.touch(SessionKey(answer.owner))
        return answer if session and session.version == (seen or found.version) else None

    def caching(self, name: str, answer: Answer, seconds: float, seen: int | None = None) -> Put:
        """The step that keeps an answer for so many seconds, and while its session is unchanged.

        `seen` is the version of the session's record that the answer was made from. Without one the
        step must be taken together with the session's, which gives both the same version.
        """
        value = dump([answer.plain(), seen])
        return Put("cached", name, value, self._store.clock() + seconds)

    def hold(self, name: str, seconds: float, wait: float) -> Hold | None:
        """Take a turn of so many seconds, waiting for it if need be.

        Returns None if others had it all the time; `unlock` are the steps that end it.
        """
        return Leases(self._records, self._store.clock, seconds, "hold").take(name, wait)
