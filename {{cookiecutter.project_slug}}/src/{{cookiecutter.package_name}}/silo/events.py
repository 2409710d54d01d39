"""Named streams of events: anybody publishes, in any process; anybody listens, in any other.

A stream is one record: its last events, within bounds, and the id of the last. Ids rise for ever,
whoever publishes: a stream that begins, be it anew, begins with the time in milliseconds.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .codec import dump, plain
from .errors import EventRefused, StreamEnded
from .records import NEW, Delete, Put, Record, Records, clock_of
from .streams import Event, Listener, News, Source, Stream, Watch, missed, position, tell
from .watcher import PER_OWNER, PER_PROCESS, TICK_SECONDS, Watcher

log = logging.getLogger(__name__)

KEPT_EVENTS = 200
KEPT_BYTES = 2**16
KEEP_ALIVE_SECONDS = 15.0
RETAIN_SECONDS = 3600.0
EVENT_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
BROADCASTS = ""
"""The key of what is broadcast; a stream's name is never empty."""


@dataclass(frozen=True)
class Buffer:
    """The last events of a stream, each as `name data`.

    Their ids are consecutive up to `last`, so what a listener has not heard is found without
    looking at the rest.
    """

    last: int
    dropped: int = 0
    ended: bool = False
    lines: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, value: bytes) -> Buffer:
        head, *lines = value.split(b"\n")
        last, dropped, ended = json.loads(head)
        return cls(last, dropped, ended, tuple(lines))

    def write(self) -> bytes:
        return b"\n".join([dump([self.last, self.dropped, self.ended]), *self.lines])

    def add(self, line: bytes) -> Buffer:
        """With one more event, and without the oldest that there is no room for any more."""
        lines = (*self.lines, line)[-KEPT_EVENTS:]
        size = sum(map(len, lines))
        while size > KEPT_BYTES:
            size -= len(lines[0])
            lines = lines[1:]
        gone = len(self.lines) + 1 - len(lines)
        oldest = self.last + 1 - len(lines)
        return replace(
            self, last=self.last + 1, dropped=oldest if gone else self.dropped, lines=lines
        )

    def after(self, seen: int) -> list[Event]:
        """The events after the id `seen`, and before them a word on those that are gone."""
        if seen > self.last:
            seen = 0  # no id of this stream's
        first = self.last + 1 - len(self.lines)
        fresh = self.lines[max(0, seen + 1 - first) :]
        events = [missed(seen, self.dropped)] if seen < self.dropped else []
        for number, line in enumerate(fresh, self.last + 1 - len(fresh)):
            name, _, data = line.decode().partition(" ")
            events.append(Event(number, name, data))
        return events


class Named:
    """A named stream as the source of what one listener hears."""

    kind = "stream"

    def __init__(self, key: str, clock: Callable[[], float]) -> None:
        self.key = key
        self._clock = clock
        self._asked = False

    def news(self, record: Record | None, seen: int) -> News:
        asked, self._asked = self._asked, True
        if record is None:  # to one who comes back, who knows what was in it
            gone = [missed(seen, int(self._clock() * 1000))] if seen and not asked else []
            return News(gone)
        buffer = Buffer.read(record.value)
        return News(buffer.after(seen), buffer.ended)


class Events:
    """Publishes to named streams, and lets listen to them.

    Of a stream the last 200 events (64 KiB of them) are kept, for `retain` seconds after the last
    one: whoever comes late, or comes back, hears them. `clock` gives unix seconds; `monotonic`,
    `tick` and the caps are the watcher's.
    """

    def __init__(
        self,
        records: Records,
        clock: Callable[[], float] | None = None,
        *,
        retain: float = RETAIN_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        tick: float = TICK_SECONDS,
        per_process: int = PER_PROCESS,
        per_owner: int = PER_OWNER,
    ) -> None:
        self.watcher = Watcher(records, monotonic, tick, per_process, per_owner)
        self._records = records
        self._clock = clock_of(records, clock)
        self._monotonic = monotonic
        self._retain = retain

    # Saying

    def publish(self, stream: str, data: Any, event: str = "message") -> int:
        """Tell everybody who listens to a stream, now or soon; the event's id.

        `data` is JSON-like and arrives as JSON. A stream begins with its first event. Raises
        StreamEnded if it has ended, EventRefused if the event has no proper name or is too large,
        and NotEncodable.
        """
        number = self._add(_checked(stream), event, data)
        if number is None:
            raise StreamEnded(stream)
        return number

    def broadcast(self, data: Any, event: str = "message") -> int:
        """Tell everybody who listens to any stream, jobs' too; the id. Raises as `publish`."""
        return self._add(BROADCASTS, event, data) or 0

    def end(self, stream: str, data: Any = None, event: str = "end") -> int | None:
        """End a stream with a last event, whose id is returned; None if it had ended before.

        Listeners hear the end and are let go. The name can be used again after `forget`, or when
        the stream has been forgotten by itself.
        """
        number = self._add(_checked(stream), event, data, ends=True)
        if number:
            log.info("stream %s has ended", stream)
        return number

    def forget(self, stream: str) -> None:
        """Remove what is kept of a stream. Who listens goes on listening."""
        self._records.apply(Delete("stream", _checked(stream)))

    def _add(self, key: str, event: str, data: Any, *, ends: bool = False) -> int | None:
        """The id of the added event; None if the stream has ended."""
        line = _line(event, data)
        while True:
            record = self._records.read("stream", key)
            before = Buffer.read(record.value) if record else Buffer(int(self._clock() * 1000))
            if before.ended:
                return None
            after = replace(before.add(line), ended=ends)
            due = self._clock() + self._retain
            expect = record.version if record else NEW
            if self._records.apply(Put("stream", key, after.write(), due, expect)):
                return after.last

    # Listening

    def stream(
        self,
        name: str,
        last_event_id: str = "",
        owner: str | None = None,
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> Stream:
        """A named stream as `text/event-stream`, for one listener; see `listen`."""
        return self.listen(Named(_checked(name), self._clock), last_event_id, owner, keep_alive)

    def listen(
        self,
        source: Source,
        last_event_id: str = "",
        owner: str | None = None,
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> Stream:
        """The text for one listener, who has heard everything up to `last_event_id`.

        Without such an id they hear everything that is kept. What they should hear and is no longer
        kept, an event `missed` stands for. After `keep_alive` seconds of silence a comment is sent.
        Raises StreamsFull, or TooManyStreams if the owner listens too often in this process.
        """
        seen, heard = position(last_event_id)
        listener = Listener(
            Watch(source, seen),
            Watch(
                Named(BROADCASTS, self._clock), self._last_broadcast() if heard is None else heard
            ),
            keep_alive,
            owner,
            self._monotonic(),
        )
        self.watcher.add(listener)
        pieces = tell(listener, self._records, self._monotonic, lambda: self.watcher.stopping)
        return Stream(listener, pieces, self.watcher.remove)

    def stop(self) -> None:
        """Send everybody away who listens in this process, with a hint when to come back."""
        self.watcher.stop()

    def _last_broadcast(self) -> int:
        """Where somebody new begins: at what is broadcast from now on."""
        record = self._records.read("stream", BROADCASTS)
        return Buffer.read(record.value).last if record else 0


def _checked(stream: str) -> str:
    if not stream:
        raise EventRefused("A stream needs a name.")
    return stream


def _line(event: str, data: Any) -> bytes:
    if not EVENT_NAME.fullmatch(event):
        raise EventRefused(f"{event!r} is no name for an event: use letters, digits and _ . : -")
    line = f"{event} ".encode() + dump(plain(data, "data"))
    if len(line) > KEPT_BYTES:
        raise EventRefused(f"An event holds at most {KEPT_BYTES:,} bytes.")
    return line
