"""A file of this machine to lock, for as long as its process lives."""

from __future__ import annotations

import os
import threading
from pathlib import Path


class LockFile:
    """Opened when it is first needed, and anew after a fork: locks belong to an opening."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: tuple[int, int] | None = None
        self._opening = threading.Lock()

    def descriptor(self) -> int:
        """The file's, made if need be, for this user alone. Raises OSError."""
        if self._opened is None or self._opened[0] != os.getpid():
            with self._opening:
                if self._opened is None or self._opened[0] != os.getpid():
                    flags = os.O_RDWR | os.O_CREAT
                    self._opened = os.getpid(), os.open(self._path, flags, 0o600)
        return self._opened[1]

    def close(self) -> None:
        """Let go of the file and its locks; the next to need it opens it anew."""
        with self._opening:
            if self._opened and self._opened[0] == os.getpid():
                os.close(self._opened[1])
            self._opened = None
