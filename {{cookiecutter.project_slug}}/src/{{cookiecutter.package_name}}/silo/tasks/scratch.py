"""Folders for the temporary files of one process each, which may hold what people sent."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Scratch:
    """A new folder below `root`, for this user alone, that is locked until it is removed.

    The system lets go of the lock when this process dies, in whatever way; then `sweep` removes the
    folder. Where the system has no such locks, nothing is swept.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(dir=root))
        while (lock := _locked(self.path)) is None:  # a sweep came between
            self.path = Path(tempfile.mkdtemp(dir=root))
        self._lock = lock

    def remove(self) -> None:
        """Remove the folder and all in it; nothing happens if that is done already."""
        if self.path.exists():
            shutil.rmtree(self.path, ignore_errors=True)
            self._lock.close()


def sweep(root: Path) -> None:
    """Remove the folders below `root` whose processes died without doing so."""
    for path in root.glob("*") if sys.platform != "win32" else ():
        if lock := _locked(path):
            with lock:
                shutil.rmtree(path, ignore_errors=True)


def _locked(path: Path) -> contextlib.ExitStack | None:
    """Holds the folder until it is closed; None if somebody else does, or it is gone."""
    with contextlib.ExitStack() as stack:
        if sys.platform != "win32":
            try:
                descriptor = os.open(path, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return None
        return stack.pop_all() if path.is_dir() else None
