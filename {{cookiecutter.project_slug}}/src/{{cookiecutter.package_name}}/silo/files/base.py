"""FileStore: each session's own files, over places that can keep bytes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from ..errors import SiloError
from ..sessions.ids import SessionKey, session_key
from .keyring import Keyring

KEY = re.compile(r"[0-9a-f]{64}")
"""The folder of a session."""


@dataclass(frozen=True)
class Served:
    """What a browser is told of a file that it gets straight from its place."""

    name: str
    media: str


class Place(ABC):
    """Where bytes are kept: files in folders, whose names are safe texts of ours.

    `shared`: whether other machines reach the same files.
    """

    shared = False

    def check(self) -> None:  # noqa: B027 - a place may have nothing that can be wrong
        """Raises SiloError if the place cannot be used, and says why. May take seconds."""

    @abstractmethod
    def put(
        self, folder: str, name: str, data: BinaryIO, label: str, served: Served | None = None
    ) -> str:
        """Keep all of `data`, or nothing if that fails; `label` is kept beside it.

        Replaces what stood under the name. Returns its address. `served` is for `link`. Raises
        OSError.
        """

    @abstractmethod
    def begin(self, folder: str, name: str) -> None:
        """Begin a part: bytes that arrive bit by bit, and are no file before `finish`."""

    @abstractmethod
    def append(self, folder: str, name: str, offset: int, data: BinaryIO) -> int:
        """Add `data` to a part that ends at `offset`; returns where it ends then.

        What came before `data` broke off stays, forced to disk like the rest. Of two that add at
        one place one is told, by PartMoved, where the part ends by then; so what is there came in
        order from those who were not. Raises FileNotFoundError if the part is or goes away, and
        OSError.
        """

    @abstractmethod
    def part_size(self, folder: str, name: str) -> int | None:
        """Where a part ends, in bytes, or the file that it became; None if there is neither."""

    @abstractmethod
    def open_part(self, folder: str, name: str) -> BinaryIO:
        """What has come of a part, or the file that it became. Raises FileNotFoundError."""

    @abstractmethod
    def finish(self, folder: str, name: str, label: str) -> None:
        """Make a part a file, in one step; nothing happens if it is one already.

        Raises FileNotFoundError if there is no such part.
        """

    @abstractmethod
    def open(self, folder: str, name: str) -> BinaryIO:
        """The bytes, to read and to seek in. Raises FileNotFoundError."""

    @contextlib.contextmanager
    def local(self, folder: str, name: str) -> Iterator[Path]:
        """The bytes as a file of this machine while the block lasts. Raises FileNotFoundError.

        A place that has no such file lends a copy, which only this user may read.
        """
        descriptor, path = tempfile.mkstemp()
        try:
            with os.fdopen(descriptor, "wb") as copy, self.open(folder, name) as stream:
                shutil.copyfileobj(stream, copy)
            yield Path(path)
        finally:
            Path(path).unlink(missing_ok=True)

    @abstractmethod
    def address(self, folder: str, name: str) -> str | None:
        """The file's own path, or its URL in a bucket; None if it is not there."""

    def link(self, folder: str, name: str, seconds: int) -> str | None:
        """A URL that anybody may get a file from, as it was `served` to `put`, for so many seconds.

        None from a place that serves nobody, and for a file that is not there or was not served.
        """
        return None

    @abstractmethod
    def labels(self, folder: str) -> list[str]:
        """The labels of a folder's files."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """The names in a folder, those of files that were never completed among them."""

    @abstractmethod
    def remove(self, folder: str, name: str) -> None:
        """Remove a file and its part; nothing happens if they are not there."""

    @abstractmethod
    def remove_folder(self, folder: str) -> None:
        """Remove a folder and all in it; nothing happens if it is not there."""

    @abstractmethod
    def folders(self) -> Iterator[str]:
        """Every folder. Grows with their number, so not for every day."""

    @abstractmethod
    def folder_address(self, folder: str) -> str:
        """The folder's own path, made if need be, or its URL in a bucket."""

    @abstractmethod
    def size(self) -> int:
        """Bytes kept in all. Grows with the number of files."""

    @abstractmethod
    def free(self) -> int | None:
        """Bytes that there is room for, None where nobody knows."""


@dataclass(frozen=True)
class Entry:
    """A file with its label, or a part, which has none yet."""

    name: str
    label: str = ""
    is_part: bool = False


class PlainPlace(Place):
    """A place that keeps bytes as they are, and that encryption may stand in front of."""

    @abstractmethod
    def entries(self, folder: str) -> Iterator[Entry]:
        """All that is kept in a folder, for moving it; nothing if there is no such folder."""

    @abstractmethod
    def cut(self, folder: str, name: str, end: int, to: int) -> None:
        """Let a part that ends at `end` end earlier. Raises PartMoved and FileNotFoundError."""


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
    """A stream that asks before each piece whether there is room for more."""

    def __init__(self, stream: BinaryIO, check: Callable[[], None]) -> None:
        self._stream = stream
        self._check = check

    def read(self, size: int = -1) -> bytes:
        self._check()
        return self._stream.read(size)


PLACES = {
    "": "files.local:LocalPlace",
    "file": "files.local:LocalPlace",
    "s3": "files.objects:ObjectPlace",
    "gs": "files.objects:ObjectPlace",
    "az": "files.objects:ObjectPlace",
}
EXTRAS = {"s3": "obstore", "gs": "obstore", "az": "obstore"}
"""What must be installed besides, and is the extra `objects`."""


def open_place(location: str, keys: str = "") -> Place:
    """The place behind a path or URL, encrypted if there are `keys`, which commas separate.

    Raises SiloError for a scheme nobody serves, and if what it needs is not installed. A bucket is
    not asked yet whether it is there: `check` does that.
    """
    return encrypted(plain_place(location), keys) if keys else plain_place(location)


def encrypted(place: PlainPlace, keys: str) -> Place:
    try:
        from .encrypted import EncryptedPlace
    except ModuleNotFoundError as error:
        raise SiloError(
            "Encryption needs a package that is not installed: pip install cryptography"
        ) from error
    return EncryptedPlace(place, Keyring(keys))


def plain_place(location: str) -> PlainPlace:
    scheme = urlsplit(location).scheme
    if len(scheme) == 1:  # a drive of Windows
        scheme = ""
    if scheme not in PLACES:
        known = ", ".join(f"{name}://" for name in PLACES if name)
        raise SiloError(f"{location!r} is no place for files: give a path, or one of {known}.")
    module, _, name = PLACES[scheme].partition(":")
    if package := missing_extra(location):
        raise SiloError(f"{scheme}:// needs a package that is not installed: pip install {package}")
    place: Callable[[str], PlainPlace] = getattr(import_module(f"..{module}", __package__), name)
    return place(location)


def missing_extra(location: str) -> str:
    """The package that a place needs and that is not installed, if any."""
    package = EXTRAS.get(urlsplit(location).scheme, "")
    return package if package and find_spec(package) is None else ""


def _stored_name(filename: str) -> str:
    return hashlib.sha256(filename.encode("utf-8", "surrogatepass")).hexdigest()[:40]
