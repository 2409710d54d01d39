"""FileStore: each session's own files, over places that can keep bytes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from ..sessions.ids import SessionKey, session_key
from .place import Place, Served
from .places import open_place

LOOK_BYTES = 2**20
"""Between looks at how much is free: each asks the system, and pieces are small."""


class FileStore:
    """Keeps files for sessions, under names made from the hash of what the client calls them.

    `location` is a directory, a URL such as `file:///var/lib/app` or `s3://bucket/prefix`, or what
    `open_place` gave. Every method takes a session's id or its key. Files are replaced as a whole
    and appear only when they are complete. Where they are encrypted, a path leads to what is
    encrypted, and whatever reads raises UnreadableFile for a file that is damaged or whose key is
    gone. A disk with fewer than `min_free` bytes free counts as full: OSError (ENOSPC). A bucket
    that cannot be reached: FilesUnavailable.
    """

    def __init__(self, location: str | Path | Place, min_free: int = 0) -> None:
        self._place = location if isinstance(location, Place) else open_place(str(location))
        self._min_free = min_free

    def check_room(self, size: int = 0) -> None:
        """Raises OSError unless so many bytes more leave enough free."""
        free = self._place.free() if self._min_free else None
        if free is not None and free - size < self._min_free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def session_dir(self, sid: str) -> str:
        """The path of the session's directory, made if need be, or its URL in a bucket."""
        return self._place.folder_address(session_key(sid))

    def save(
        self, sid: str, filename: str, data: BinaryIO | bytes, served: Served | None = None
    ) -> str:
        """Keep a file and return its path, or its URL in a bucket.

        `served` is what a `link` to it tells a browser. Raises OSError, with nothing kept.
        """
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        name = _stored_name(filename)
        return self._place.put(session_key(sid), name, self._watched(stream), filename, served)

    def begin(self, sid: str, filename: str) -> None:
        """Begin a part, to be appended to and finished; until then it is not among the files."""
        self._place.begin(session_key(sid), _stored_name(filename))

    def append(self, sid: str, filename: str, offset: int, data: BinaryIO) -> int:
        """Add to a part that ends at `offset`, up to the end of `data`; returns where it ends then.

        What came before an error stays. Raises PartMoved if the part ends elsewhere,
        FileNotFoundError if it is or goes away, and OSError.
        """
        watched = self._watched(data)
        return self._place.append(session_key(sid), _stored_name(filename), offset, watched)

    def part_size(self, sid: str, filename: str) -> int | None:
        """Where a part, or the file that it became, ends; None if there is neither."""
        return self._place.part_size(session_key(sid), _stored_name(filename))

    def open_part(self, sid: str, filename: str) -> BinaryIO:
        """What has come of a part, or the file that it became. Raises FileNotFoundError."""
        return self._place.open_part(session_key(sid), _stored_name(filename))

    def finish(self, sid: str, filename: str) -> None:
        """Make a part a file, if it is not one yet. Raises FileNotFoundError and OSError."""
        self._place.finish(session_key(sid), _stored_name(filename), filename)

    def get_path(self, sid: str, filename: str) -> str | None:
        """The file's path, or its URL in a bucket; None if it is not there.

        To read it anywhere, use `open` and `local`.
        """
        return self._place.address(session_key(sid), _stored_name(filename))

    def link(self, sid: str, filename: str, seconds: int) -> str | None:
        """A URL from which anybody gets a file that was saved as `served`, for so many seconds.

        None if it was not, is not there, or is kept where nobody can get it.
        """
        return self._place.link(session_key(sid), _stored_name(filename), seconds)

    def open(self, sid: str, filename: str) -> BinaryIO:
        """The file, to read. Raises FileNotFoundError."""
        return self._place.open(session_key(sid), _stored_name(filename))

    @contextlib.contextmanager
    def local(self, sid: str, filename: str) -> Iterator[Path]:
        """The file as a path on this machine, for as long as the block lasts, wherever it is kept.

        Raises FileNotFoundError.
        """
        with self._place.local(session_key(sid), _stored_name(filename)) as path:
            yield path

    def list_files(self, sid: str) -> list[str]:
        """The names of the session's files, sorted."""
        return sorted(self._place.labels(session_key(sid)))

    def remove(self, sid: str, *filenames: str) -> None:
        """Remove files and parts; those that are not there do not matter."""
        for filename in filenames:
            self._place.remove(session_key(sid), _stored_name(filename))

    def cleanup(self, sid: str) -> None:
        """Remove all of the session's files."""
        self._place.remove_folder(session_key(sid))

    def cleanup_all(self) -> None:
        """Remove the files of all sessions."""
        self.sweep(lambda _: False)

    def sweep(self, is_wanted: Callable[[SessionKey], bool]) -> None:
        """Remove the files of every session whose key is not wanted."""
        for folder in self._place.folders():
            if not is_wanted(SessionKey(folder)):
                self._place.remove_folder(folder)

    @property
    def shared(self) -> bool:
        """Whether other machines reach the same files."""
        return self._place.shared

    @property
    def total_size_bytes(self) -> int:
        """Bytes kept in all; counted anew at each call."""
        return self._place.size()

    def _watched(self, stream: BinaryIO) -> BinaryIO:
        return cast(BinaryIO, _Watched(stream, self.check_room)) if self._min_free else stream


class _Watched:
    """A stream that asks before each megabyte whether there is room for more."""

    def __init__(self, stream: BinaryIO, check: Callable[[], None]) -> None:
        self._stream = stream
        self._check = check
        self._allowed = 0

    def read(self, size: int = -1) -> bytes:
        if self._allowed <= 0:
            self._check()
            self._allowed = LOOK_BYTES
        piece = self._stream.read(size)
        self._allowed -= len(piece)
        return piece


def _stored_name(filename: str) -> str:
    return hashlib.sha256(filename.encode("utf-8", "surrogatepass")).hexdigest()[:40]
