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

from .lockfile import LockFile

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

DIGITS = 15
"""How much of a key, in hex, is its place in the file: as far as a file may reach, 2^60 bytes."""


class FileLocks:
    """Any number of locks in one file. `key` begins with 15 hexadecimal digits."""

    def __init__(self, path: Path) -> None:
        self._file = LockFile(path)
        self._held: dict[tuple[int, str], object] = {}

    def take(self, key: str) -> bool:
        """Take a lock if it is free, without waiting. Raises OSError."""
        descriptor, own, mine = self._file.descriptor(), _own(key), object()
        if self._held.setdefault(own, mine) is not mine:
            return False  # the system would grant it to this process once more
        try:
            _lock(descriptor, int(key[:DIGITS], 16))
        except OSError as error:
            del self._held[own]
            if isinstance(error, (BlockingIOError, PermissionError)):
                return False
            raise
        return True

    def free(self, key: str) -> None:
        """Let go of a lock that this process holds."""
        own = _own(key)
        if own in self._held:
            _unlock(self._file.descriptor(), int(key[:DIGITS], 16))
            self._held.pop(own, None)

    def close(self) -> None:
        """Let go of all locks."""
        self._file.close()
        self._held.clear()


def _own(key: str) -> tuple[int, str]:
    """What a parent holds is not its forked child's."""
    return os.getpid(), key


if sys.platform == "win32":
    _seeking = threading.Lock()
    """A lock is where the file stands, and all threads share that."""

    def _lock(descriptor: int, place: int) -> None:
        _at(descriptor, place, msvcrt.LK_NBLCK)

    def _unlock(descriptor: int, place: int) -> None:
        _at(descriptor, place, msvcrt.LK_UNLCK)

    def _at(descriptor: int, place: int, mode: int) -> None:
        with _seeking:
            os.lseek(descriptor, place, os.SEEK_SET)
            msvcrt.locking(descriptor, mode, 1)

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
