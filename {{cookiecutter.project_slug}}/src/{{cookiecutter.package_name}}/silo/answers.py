"""Answers that are given again to the client that asks again, under the key that it gave.

A key's record begins as a claim, which only one request can make, and becomes its answer in the
step that keeps what the request has done: never one without the other. A claim is a lease. When it
has run out the next request may claim, and what the late one then wants to keep is refused, because
its claim's version is gone.

Each session has a list of its answers, and an answer that is not listed is forgotten. The list goes
when the session ends, and is never longer than `KEPT`. All answers go when the session is begun
anew, but for that of the request which does so.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .codec import dump
from .errors import InFlight, KeyReused
from .records import NEW, Delete, Put, Record, Records, Step
from .sessions.ids import SessionKey

if TYPE_CHECKING:
    from .sessions.base import SessionStore

ANSWER_SECONDS = 86400.0
"""How long a key is remembered at most; never beyond the life of its session."""
KEPT = 100
"""How many answers of a session are remembered; the oldest is forgotten first."""


@dataclass(frozen=True)
class Answer:
    """What was answered; `owner` is the key of the session that it belongs to, or empty."""

    status: int
    headers: dict[str, str]
    body: bytes
    owner: str = ""

    def plain(self) -> list[Any]:
        """As JSON-like values."""
        return [self.status, self.headers, base64.b64encode(self.body).decode(), self.owner]

    @classmethod
    def of(cls, plain: list[Any]) -> Answer:
        """The answer that `plain` made these values of."""
        status, headers, body, owner = plain
        return cls(status, headers, base64.b64decode(body), owner)


@dataclass(frozen=True)
class Claim:
    """A request's right to answer under a name, until somebody claims it after its lease."""

    name: str
    fingerprint: str
    version: int


@dataclass(frozen=True)
class _Entry:
    """A name's record: a claim until the moment `until`, or an answer."""

    fingerprint: str
    until: float
    answer: Answer | None = None

    def dump(self) -> bytes:
        return dump([self.fingerprint, self.until, self.answer and self.answer.plain()])

    @classmethod
    def of(cls, record: Record) -> _Entry:
        fingerprint, until, given = json.loads(record.value)
        return cls(fingerprint, until, Answer.of(given) if given else None)


class Answers:
    """The answers of a store's sessions. A name is a hash of ours, made of a client's key."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._records = store.records

    def claim(self, name: str, fingerprint: str) -> Claim | Answer:
        """The right to answer, taken in one atomic step, or the answer that was given.

        Raises KeyReused if the name came with another fingerprint, and InFlight while another
        request holds the claim.
        """
        while True:
            found = self._records.read("answer", name)
            entry = self._remembered(name, found)
            if entry:
                if entry.fingerprint != fingerprint:
                    raise KeyReused
                if entry.answer:
                    return entry.answer
                if entry.until > self._store.clock():
                    raise InFlight
            claimed = _Entry(fingerprint, self._store.clock() + self._store.lease)
            version = self._records.apply(self._put(name, claimed, found.version if found else NEW))
            if version:
                return Claim(name, fingerprint, version)

    def keeping(self, claim: Claim, answer: Answer, name: str) -> list[Step]:
        """The steps that turn a claim into its answer, to be taken with those of the effect.

        `name` is another one under which to find it, or the same. The lock of the answer's session
        must be held.
        """
        entry = _Entry(claim.fingerprint, 0.0, answer)
        names = list(dict.fromkeys((claim.name, name)))
        puts = [self._put(each, entry, None) for each in names[1:]]
        listing = self._listing(answer.owner, names) if answer.owner else []
        return [self._put(claim.name, entry, claim.version), *puts, *listing]

    def keep(self, claim: Claim, answer: Answer, name: str) -> None:
        """Turn a claim into its answer, unless it has been taken over. See `keeping`.

        Raises SessionBusy if its session's lock cannot be had.
        """
        with self._store.locks.held(answer.owner) if answer.owner else nullcontext():
            self._records.apply(*self.keeping(claim, answer, name))

    def release(self, claim: Claim) -> None:
        """Let the next request with this key try; nothing happens if one has done so already."""
        self._records.apply(releasing(claim))

    def _remembered(self, name: str, found: Record | None) -> _Entry | None:
        if found is None or found.due <= self._store.clock():
            return None
        entry = _Entry.of(found)
        owner = entry.answer.owner if entry.answer else ""
        return entry if not owner or self._is_listed(owner, name) else None

    def _is_listed(self, owner: str, name: str) -> bool:
        live = self._store.touch(SessionKey(owner))
        return live is not None and name in listed(self._records, owner)[0]

    def _put(self, name: str, entry: _Entry, expect: int | None) -> Put:
        return Put("answer", name, entry.dump(), self._store.clock() + ANSWER_SECONDS, expect)

    def _listing(self, owner: str, added: list[str]) -> list[Step]:
        """The steps that list an answer's names, and forget the oldest ones."""
        before, version = listed(self._records, owner)
        names = [*(each for each in before if each not in added), *added]
        due = self._store.clock() + ANSWER_SECONDS
        put = Put("answers", owner, dump(names[-KEPT:]), due, version)
        return [put, *_dropping(self._records, names[:-KEPT])]


def releasing(claim: Claim) -> Delete:
    """The step that lets go of a claim."""
    return Delete("answer", claim.name, claim.version)


def forgetting(records: Records, owner: str) -> list[Step]:
    """The steps that forget all answers of a session, for its end."""
    names, version = listed(records, owner)
    if version == NEW:
        return []
    return [Delete("answers", owner), *_dropping(records, names)]


def clearing(records: Records, owner: str) -> list[Step]:
    """The steps that forget all answers of a session that is begun anew.

    The list stays, with names that lead nowhere, for the answer to this to join it.
    """
    return list(_dropping(records, listed(records, owner)[0]))


def _dropping(records: Records, names: list[str]) -> Iterator[Step]:
    """The steps that drop answers, and no claims: a name that was forgotten may be in use again."""
    for name in names:
        found = records.read("answer", name)
        if found and _Entry.of(found).answer:
            yield Delete("answer", name, found.version)


def listed(records: Records, owner: str) -> tuple[list[str], int]:
    """The names of a session's answers, the oldest first, and their list's version."""
    found = records.read("answers", owner)
    return (json.loads(found.value), found.version) if found else ([], NEW)
