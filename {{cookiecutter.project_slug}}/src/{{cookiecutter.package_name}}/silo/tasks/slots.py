"""Slots: how many jobs may run at a time on this machine, however many processes serve the app."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Slots:
    """`count` slots, shared by all processes that name the same directory.

    A slot is a locked file, which the system lets go of when its holder dies, in whatever way.
    Without a directory, and where the system has no such locks, they are this process's own.
    """

    def __init__(self, count: int, directory: Path | None = None) -> None:
        self.count = count
        self._directory = None if sys.platform == "win32" else directory
        self._free = threading.BoundedSemaphore(count)
        if self._directory:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(self) -> int | None:
        """A slot to give to `free` later, or None if all are taken. Never waits."""
        if self._directory:
            return self._lock_one(self._directory)
        return -1 if self._free.acquire(blocking=False) else None

    def free(self, slot: int) -> None:
        """Give a slot back."""
        if self._directory:
            os.close(slot)
        else:
            self._free.release()

    if sys.platform != "win32":

        def _lock_one(self, directory: Path) -> int | None:
            for number in range(self.count):
                descriptor = os.open(directory / str(number), os.O_RDWR | os.O_CREAT, 0o600)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return descriptor
                except OSError:
                    os.close(descriptor)
            return None
