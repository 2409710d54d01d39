"""The one thread of a process that looks for news on behalf of everybody who listens in it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from .errors import StreamsFull, TooManyStreams
from .records import Records
from .streams import Listener

log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
"""Between two looks at most: how late news may be."""
EAGER = 10
"""So many times in a tick it looks, if few listen."""
RESTS = 50
"""A look is followed by a rest so many times as long as it worked: a fiftieth of a core at most."""
AT_ONCE = 5
PAUSE_SECONDS = 0.002
"""So few are woken at a time, with a pause after: other calls would wait for a crowd to be done."""
PER_PROCESS = 2000
PER_OWNER = 8


class Watcher:
    """Asks the store for the versions of all watched records at once, and wakes whom it concerns.

    The thread runs while somebody listens, and looks the more often the fewer they are, at least
    every `tick` seconds. At most `per_process` may listen, and `per_owner` with the same owner.
    `monotonic` gives seconds, by which silent streams are kept alive.
    """

    def __init__(
        self,
        records: Records,
        monotonic: Callable[[], float] = time.monotonic,
        tick: float = TICK_SECONDS,
        per_process: int = PER_PROCESS,
        per_owner: int = PER_OWNER,
    ) -> None:
        self.per_process = per_process
        self.stopping = False
        self._records = records
        self._monotonic = monotonic
        self._tick = tick
        self._per_owner = per_owner
        self._failed = False
        self._listeners: dict[Listener, None] = {}
        self._owners: Counter[str] = Counter()
        self._lock = threading.RLock()  # a thread that holds it may come to collect old streams
        self._thread: threading.Thread | None = None

    @property
    def count(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def running(self) -> bool:
        """Whether the thread is at work."""
        return self._thread is not None

    def add(self, listener: Listener) -> None:
        """Wake this listener from now on. Raises StreamsFull or TooManyStreams."""
        with self._lock:
            if len(self._listeners) >= self.per_process:
                raise StreamsFull
            if listener.owner and self._owners[listener.owner] >= self._per_owner:
                raise TooManyStreams(self._per_owner)
            self._start()
            self._listeners[listener] = None
            self._owners.update([listener.owner] if listener.owner else [])

    def remove(self, listener: Listener) -> None:
        """Forget a listener; nothing happens if that has been done."""
        with self._lock:
            if listener not in self._listeners:
                return
            del self._listeners[listener]
            if listener.owner:
                self._owners[listener.owner] -= 1
                self._owners += Counter()  # without those that have no stream left

    def stop(self) -> None:
        """Send everybody away at the next look. Takes no lock: a signal's handler may call it."""
        self.stopping = True

    def look(self) -> None:
        """Wake those for whom something is new, and those who have heard nothing for long."""
        listeners = list(self._listeners)
        try:
            self._note_versions(listeners)
            self._failed = False
        except Exception:  # whoever listens sleeps until this thread wakes them
            if not self._failed:
                log.exception("the streams wait for the store")
            self._failed = True
        now = self._monotonic()
        due = [each for each in listeners if self.stopping or each.is_due(now)]
        for start in range(0, len(due), AT_ONCE):
            for listener in due[start : start + AT_ONCE]:
                listener.wake()
            if start + AT_ONCE < len(due):
                time.sleep(PAUSE_SECONDS)

    def _note_versions(self, listeners: Iterable[Listener]) -> None:
        """One question a kind of record, however many there are."""
        watched: defaultdict[str, set[str]] = defaultdict(set)
        watches = [watch for each in listeners for watch in (each.own, each.broadcasts)]
        for watch in watches:
            watched[watch.source.kind].add(watch.source.key)
        found = {kind: self._records.versions(kind, keys) for kind, keys in watched.items()}
        for watch in watches:
            watch.stored = found[watch.source.kind].get(watch.source.key, 0)

    def _start(self) -> None:
        """Start the thread if it does not run; it waits for the lock that the caller holds."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="silo-watch", daemon=True)
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        worked = 0.0
        while self._goes_on():
            rest = self._tick if self._failed else max(self._tick / EAGER, RESTS * worked)
            time.sleep(min(rest, self._tick))
            began = time.thread_time()
            self.look()
            worked = time.thread_time() - began

    def _goes_on(self) -> bool:
        """Whether somebody listens; if nobody does, the next to come starts a thread anew."""
        with self._lock:
            if not self._listeners:
                self._thread = None
            return self._thread is not None
