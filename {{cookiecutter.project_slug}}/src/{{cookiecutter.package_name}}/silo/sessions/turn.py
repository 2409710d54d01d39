"""One writer at a time, in order."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from .lockfile import LockFile

if sys.platform != "win32":
    import fcntl


class Turn:
    """One writer at a time: among this process's threads, then among this machine's processes."""

    def __init__(self, path: Path) -> None:
        self._file = LockFile(path)
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()
        if sys.platform != "win32":
            try:
                fcntl.flock(self._file.descriptor(), fcntl.LOCK_EX)
            except BaseException:
                self._lock.release()
                raise

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32":
            fcntl.flock(self._file.descriptor(), fcntl.LOCK_UN)
        self._lock.release()

    def close(self) -> None:
        """Let go of the file; the next turn opens it anew."""
        with self._lock:
            self._file.close()
