"""CleanupDaemon: a thread that calls the store's cleanup now and then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .sessions.base import SessionStore

log = logging.getLogger(__name__)


class CleanupDaemon:
    """Runs `store.cleanup()` every `interval` seconds (the store's own, if not given).

    `first` is done once before, in the same thread. A pass that fails is logged, and the next one
    is tried all the same.
    """

    def __init__(
        self,
        store: SessionStore,
        interval: float | None = None,
        first: Callable[[], object] | None = None,
    ) -> None:
        self._store = store
        self._interval = store.cleanup_interval if interval is None else interval
        self._first = first
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the thread is at work."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; nothing happens if it runs."""
        if self.running:
            return
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="silo-cleanup", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for it; nothing happens if it does not run."""
        self._stopping.set()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None

    def _run(self) -> None:
        if self._first:
            self._try(self._first)
        while not self._stopping.wait(self._interval):
            self._try(self._store.cleanup)

    def _try(self, task: Callable[[], object]) -> None:
        try:
            task()
        except Exception:
            log.exception("a cleanup pass failed; the next one comes in %s s", self._interval)
