"""Locks that the operating system frees when their holder dies, however it dies.

One file, in which a lock is a byte at the place that its key names; the file itself stays empty.
On Linux the locks belong to this opening of the file (`F_OFD_SETLK`), so that nobody else in this
process can let them go by closing the file; elsewhere they belong to the process.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

DIGITS = 15
"""How much of a key, in hex, is its place in the file: as far as a file may reach, 2^60 bytes."""


class FileLocks:
    """Any number of locks in one file. `key` begins with 15 hexadecimal digits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._held: set[str] = set()
        self._pid = 0
        self._descriptor = -1

    def take(self, key: str) -> bool:
        """Take a lock if it is free, without waiting. Raises OSError."""
        with self._guard:
            if key in self._held:
                return False
            try:
                _lock(self._file(), int(key[:DIGITS], 16))
            except (BlockingIOError, PermissionError):
                return False
            self._held.add(key)
            return True

    def free(self, key: str) -> None:
        """Let go of a lock that this process holds."""
        with self._guard:
            if key in self._held:
                self._held.remove(key)
                _unlock(self._file(), int(key[:DIGITS], 16))

    def close(self) -> None:
        """Let go of all locks."""
        with self._guard:
            self._held.clear()
            if self._pid == os.getpid():
                os.close(self._descriptor)
            self._pid = 0

    def _file(self) -> int:
        """The file, opened anew after a fork: what the parent holds is not the child's."""
        if self._pid != os.getpid():
            self._held.clear()
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._pid = os.getpid()
        return self._descriptor


if sys.platform == "win32":

    def _lock(descriptor: int, place: int) -> None:
        os.lseek(descriptor, place, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int, place: int) -> None:
        os.lseek(descriptor, place, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

elif sys.platform == "linux":

    def _lock(descriptor: int, place: int) -> None:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, place))

    def _unlock(descriptor: int, place: int) -> None:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, place))

    def _flock(kind: int, place: int) -> bytes:
        """The `struct flock` of fcntl(2): type, whence, start, length, process."""
        return struct.pack("hhqqi", kind, os.SEEK_SET, place, 1, 0)

else:

    def _lock(descriptor: int, place: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)

    def _unlock(descriptor: int, place: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, place)
