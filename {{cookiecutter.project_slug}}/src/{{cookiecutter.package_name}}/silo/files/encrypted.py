"""Files that are encrypted before a place keeps them: see `sealing` for how they look then.

Encrypted are the bytes of files, parts among them. Labels, sizes and times are not.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from ..errors import PartMoved, UnreadableFile
from .keyring import Keyring
from .place import Place, PlainPlace, Served
from .sealing import (
    HEAD_BYTES,
    TEXT_BYTES,
    Index,
    Seal,
    Unauthentic,
    index_of,
    record_of,
    regular_index,
)

log = logging.getLogger(__name__)

SUFFIX = ".sealed"
"""Of the names that the place inside knows: what was kept before encryption was turned on, or after
it was turned off, is not there, and never taken for what it is not."""


class EncryptedPlace(Place):
    """Keeps files in another place, encrypted with the first of `keys`; reads those of each.

    Addresses lead to what is encrypted. Whatever reads a file raises UnreadableFile: at once if its
    end is not there, else where it comes to what is damaged. A part ends where it is authentic, so
    what a crash has torn off is not there, and is cut off when the part goes on.
    """

    def __init__(self, inner: PlainPlace, keys: Keyring) -> None:
        self._inner = inner
        self._keys = keys
        self.shared = inner.shared

    def check(self) -> None:
        self._inner.check()

    def put(
        self, folder: str, name: str, data: BinaryIO, label: str, served: Served | None = None
    ) -> str:
        seal = Seal.new(self._keys, f"{folder}/{name}")
        sealed = Sealing(seal, data, 0, seal.head, whole=True)
        return self._inner.put(folder, name + SUFFIX, cast(BinaryIO, sealed), label)

    def begin(self, folder: str, name: str) -> None:
        self._inner.begin(folder, name + SUFFIX)  # the header comes with the first bytes

    def append(self, folder: str, name: str, offset: int, data: BinaryIO) -> int:
        found = self._survey(folder, name)
        if found.index.closed:  # a crash came between the last record and the end of `finish`
            found.index.drop()
        if found.index.size != offset:
            raise PartMoved(found.index.size)
        sealed = Sealing(found.seal, data, offset, found.missing)
        self._add(folder, name, found, cast(BinaryIO, sealed))
        return sealed.at

    def part_size(self, folder: str, name: str) -> int | None:
        """None, too, for a part that cannot be read and so not go on."""
        try:
            return self._survey(folder, name).index.size
        except (FileNotFoundError, UnreadableFile):
            return None

    def open_part(self, folder: str, name: str) -> BinaryIO:
        return self._open(folder, name, self._inner.open_part(folder, name + SUFFIX))

    def finish(self, folder: str, name: str, label: str) -> None:
        found = self._survey(folder, name)
        if not found.index.closed:
            last = found.missing + found.seal.close(found.index.size)
            self._add(folder, name, found, io.BytesIO(last))
        self._inner.finish(folder, name + SUFFIX, label)

    def open(self, folder: str, name: str) -> BinaryIO:
        return self._open(folder, name, self._inner.open(folder, name + SUFFIX), whole=True)

    def address(self, folder: str, name: str) -> str | None:
        return self._inner.address(folder, name + SUFFIX)

    def labels(self, folder: str) -> list[str]:
        return self._inner.labels(folder)

    def names(self, folder: str) -> list[str]:
        return [name.removesuffix(SUFFIX) for name in self._inner.names(folder)]

    def remove(self, folder: str, name: str) -> None:
        self._inner.remove(folder, name + SUFFIX)
        self._inner.remove(folder, name)  # from before encryption was turned on

    def remove_folder(self, folder: str) -> None:
        self._inner.remove_folder(folder)

    def folders(self) -> Iterator[str]:
        return self._inner.folders()

    def folder_address(self, folder: str) -> str:
        return self._inner.folder_address(folder)

    def size(self) -> int:
        return self._inner.size()

    def free(self) -> int | None:
        return self._inner.free()

    def _survey(self, folder: str, name: str) -> Found:
        with self._inner.open_part(folder, name + SUFFIX) as stream, told(name):
            return survey(stream, self._keys, f"{folder}/{name}")

    def _open(self, folder: str, name: str, stream: BinaryIO, whole: bool = False) -> BinaryIO:
        try:
            with told(name):
                found = survey(stream, self._keys, f"{folder}/{name}")
                if whole and not (found.index.closed and found.index.end == found.size):
                    raise Unauthentic("its end is not there")
        except BaseException:
            stream.close()
            raise
        return io.BufferedReader(Opened(stream, found, name), TEXT_BYTES)

    def _add(self, folder: str, name: str, found: Found, sealed: BinaryIO) -> None:
        """Add what is encrypted already where the authentic part ends. Raises PartMoved."""
        end = 0 if found.missing else found.index.end
        try:
            if found.size > end:
                self._inner.cut(folder, name + SUFFIX, found.size, end)
            self._inner.append(folder, name + SUFFIX, end, sealed)
        except PartMoved as error:
            size = self.part_size(folder, name)
            if size is None:
                raise FileNotFoundError(name) from error
            raise PartMoved(size) from error


@dataclass(frozen=True)
class Found:
    """What a stream of `size` bytes holds; `missing`: the header, if it is still to be written."""

    seal: Seal
    index: Index
    size: int
    missing: bytes = b""


def survey(stream: BinaryIO, keys: Keyring, file: str) -> Found:
    """What a stream holds, up to its last authentic record. Raises Unauthentic."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        seal = Seal.new(keys, file)
        return Found(seal, Index(), size, seal.head)
    seal = Seal.of(keys, head, file)
    index = regular_index(stream, size, seal) or index_of(stream, size)
    while len(index):
        try:
            record_of(stream, seal, index, len(index) - 1)
            break
        except Unauthentic:
            index.drop()
    return Found(seal, index, size)


class Sealing:
    """A stream of what `data` becomes when it is encrypted, from byte `at` of its file on."""

    def __init__(
        self, seal: Seal, data: BinaryIO, at: int, head: bytes, whole: bool = False
    ) -> None:
        self._seal = seal
        self._data = data
        self._ready = head
        self._whole = whole
        self.at = at

    def read(self, size: int) -> bytes:
        """Up to `size` bytes. What `data` raises comes through once what it gave before is read."""
        if not self._ready:
            self._ready = self._next()
        piece, self._ready = self._ready[:size], self._ready[size:]
        return piece

    def _next(self) -> bytes:
        text = self._data.read(TEXT_BYTES)
        if text:
            record = self._seal.close(self.at, text)
            self.at += len(text)
            return record
        last, self._whole = self._whole, False
        return self._seal.close(self.at) if last else b""


class Opened(io.RawIOBase):
    """What a stream holds, decrypted record by record. Closes the stream with itself."""

    def __init__(self, stream: BinaryIO, found: Found, name: str) -> None:
        self._stream = stream
        self._found = found
        self._name = name
        self._at = 0
        self._number, self._text = -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._found.index.size}
        if origin[whence] + offset < 0:
            raise OSError(errno.EINVAL, "Before the beginning")
        self._at = origin[whence] + offset
        return self._at

    def readinto(self, buffer: object) -> int:
        """Raises UnreadableFile."""
        view, index = memoryview(cast(bytearray, buffer)), self._found.index
        if self._at >= index.size:
            return 0
        number = index.at(self._at)
        if number != self._number:
            with told(self._name):
                self._text = record_of(self._stream, self._found.seal, index, number)
            self._number = number
        begin = self._at - index.texts[number]
        piece = self._text[begin : begin + len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()


@contextlib.contextmanager
def told(name: str) -> Iterator[None]:
    """Say in the log why a file cannot be read."""
    try:
        yield
    except Unauthentic as error:
        log.error("stored file %s cannot be read: %s", name, error)
        raise UnreadableFile from error
