"""What one listener is told, as a `text/event-stream` (WHATWG HTML, section 9.2).

A stream is a record that somebody watches. What is new in it is a matter of its source: the events
of a named stream, or how far a job is. Every stream also carries what is broadcast to all, so an
event's id is two numbers, `17.3`: how far the listener is in the stream, and in the broadcasts.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import SiloError
from .records import Record, Records

log = logging.getLogger(__name__)

PING = ": ping\n\n"
RETRY_MS = (500, 3000)
"""Listeners are sent away to come back at different moments, not all at once."""
EVENT_ID = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,15}))?")


@dataclass(frozen=True, slots=True)
class Event:
    """`data` is JSON text, which has no line breaks."""

    id: int
    name: str
    data: str


@dataclass(frozen=True, slots=True)
class News:
    """Events in the order of their ids; `ended` if the last of them is the stream's end."""

    events: Sequence[Event] = ()
    ended: bool = False


class Source(Protocol):
    """A record to watch, and what is new in it."""

    @property
    def kind(self) -> str: ...

    @property
    def key(self) -> str: ...

    def news(self, record: Record | None, seen: int) -> News:
        """What a listener who has heard up to the id `seen` should hear now."""


def event(number: int, name: str, data: Any) -> Event:
    """An event whose data is JSON-like."""
    return Event(number, name, json.dumps(data, separators=(",", ":")))


def missed(after: int, until: int) -> Event:
    """Says that events with ids above `after`, up to `until`, are no longer kept."""
    return event(until, "missed", {"after": after, "until": until})


def position(last_event_id: str) -> tuple[int, int | None]:
    """How far a listener was, in the stream and in the broadcasts; 0 and None if it is new."""
    found = EVENT_ID.fullmatch(last_event_id)
    if found is None:
        return 0, None
    return int(found[1]), int(found[2]) if found[2] else None


class Watch:
    """A source, and how far its listener is: the last id told, the last version read."""

    __slots__ = ("read", "seen", "source", "stored")

    def __init__(self, source: Source, seen: int) -> None:
        self.source = source
        self.seen = seen
        self.read = -1
        self.stored = 0

    @property
    def is_stale(self) -> bool:
        """Whether the store has another version than was read."""
        return self.read != self.stored

    def news(self, records: Records) -> News:
        record = records.read(self.source.kind, self.source.key)
        self.read = record.version if record else 0
        return self.source.news(record, self.seen)


class Listener:
    """Somebody who listens, how far they are, and what wakes the thread that talks to them."""

    __slots__ = ("_woken", "broadcasts", "keep_alive", "own", "owner", "spoken")

    def __init__(
        self, own: Watch, broadcasts: Watch, keep_alive: float, owner: str | None, now: float
    ) -> None:
        self.own = own
        self.broadcasts = broadcasts
        self.keep_alive = keep_alive
        self.owner = owner
        self.spoken = now
        self._woken = threading.Event()

    def is_due(self, now: float) -> bool:
        """Whether there is something to say, if only that the stream lives."""
        return self.own.is_stale or self.broadcasts.is_stale or self.is_silent(now)

    def is_silent(self, now: float) -> bool:
        """Whether they have heard nothing for as long as they should."""
        return now - self.spoken >= self.keep_alive

    def wake(self) -> None:
        self._woken.set()

    def wait(self) -> None:
        """Sleep until woken."""
        self._woken.wait()
        self._woken.clear()


class Stream(Iterator[str]):
    """The text for one listener, piece by piece, until the stream ends or is closed.

    A response that is thrown away before its first piece is never closed, so the last reference
    does it too.
    """

    def __init__(
        self, listener: Listener, pieces: Iterator[str], leave: Callable[[Listener], None]
    ) -> None:
        self.listener = listener
        self._leave = leave
        self._pieces = pieces
        self._first = next(pieces, None)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to say, because the listener has heard it all, to the end."""
        return self._first is None

    def __next__(self) -> str:
        first, self._first = self._first, None
        return first or next(self._pieces)

    def close(self) -> None:
        """Let go of the listener's place."""
        self._leave(self.listener)

    def __del__(self) -> None:
        self._leave(self.listener)


def tell(
    listener: Listener,
    records: Records,
    monotonic: Callable[[], float],
    is_stopping: Callable[[], bool],
) -> Iterator[str]:
    """What a listener is told until the stream ends.

    If this process stops, or the store fails, they are told when to come back instead. Something is
    said at once, because servers send an answer's head together with its first piece.
    """
    first = True
    while not is_stopping():
        try:
            text, ended = _news(listener, records)
        except SiloError:
            log.warning("a stream was cut off, because the store failed", exc_info=True)
            break
        if ended and not text:
            return
        if text or first or listener.is_silent(monotonic()):
            first, listener.spoken = False, monotonic()
            yield text or PING
        if ended:
            return
        listener.wait()
    yield f"retry: {random.randint(*RETRY_MS)}\n\n"  # noqa: S311 - no secret


def _news(listener: Listener, records: Records) -> tuple[str, bool]:
    """What is new as text, and whether that was the end; broadcasts first, since an end is last."""
    text, ended = "", False
    for watch in (listener.broadcasts, listener.own):
        if not watch.is_stale:
            continue
        news = watch.news(records)
        ended = news.ended
        for each in news.events:
            watch.seen = each.id
            number = f"{listener.own.seen}.{listener.broadcasts.seen}"
            text += f"event: {each.name}\nid: {number}\ndata: {each.data}\n\n"
    return text, ended
