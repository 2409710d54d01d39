"""One writer at a time, in order."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Turn:
    """One writer at a time: among this process's threads, then among this machine's processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._pid = 0
        self._descriptor = -1

    def __enter__(self) -> None:
        self._lock.acquire()
        if sys.platform != "win32":
            try:
                fcntl.flock(self._file(), fcntl.LOCK_EX)
            except BaseException:
                self._lock.release()
                raise

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32":
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._lock.release()

    def close(self) -> None:
        """Let go of the file; the next turn opens it anew."""
        with self._lock:
            if self._pid == os.getpid():
                os.close(self._descriptor)
            self._pid = 0

    def _file(self) -> int:
        """The file to lock, opened anew after a fork: a lock belongs to the opening of a file."""
        if self._pid != os.getpid():
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._pid = os.getpid()
        return self._descriptor
