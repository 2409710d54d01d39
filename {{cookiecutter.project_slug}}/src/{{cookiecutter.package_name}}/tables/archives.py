"""Zip containers, weighed by what they really inflate to before any reader sees them.

`zipfile` finds the entries; their bytes are inflated here, because its own stream ends where the
header says the part ends, which is what a lying header wants.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import SEEK_END, PathLike
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from ..step import UserError
from . import limits
from .progress import Fraction

_CHUNK = 1024 * 1024
_TAIL = 66_000
"""Bytes at the end that hold the end record: a comment of up to 65,535 bytes may follow it."""

NOT_XML = (expat.ExpatError, LookupError, ValueError)
"""What the parser raises: the latter two for an encoding that it does not know."""

Visitor = Callable[[bytes], None]


def normal(part: str) -> str:
    """A part's name as parts are compared: slashes, none in front, lower case."""
    return part.replace("\\", "/").lstrip("/").lower()


class Damaged(Exception):
    """The container's bytes contradict each other; the text says how."""


@contextmanager
def open_archive(path: PathLike[str], name: str) -> Iterator[Archive]:
    """Open a container. Raises `UserError` if its list of entries is damaged or too long."""
    with Path(path).open("rb") as raw:
        try:
            _check_directory(raw, name)
            opened = ZipFile(raw)
        except (BadZipFile, Damaged, struct.error, ValueError, NotImplementedError) as error:
            raise damaged(name) from error
        with opened:
            yield Archive(name, raw, opened)


def damaged(name: str) -> UserError:
    """The sentence for bytes that contradict each other."""
    return UserError(f"{name} is damaged or was not uploaded whole.")


def _check_directory(raw: BinaryIO, name: str) -> None:
    """Refuse a list of entries too long to be read, before `zipfile` reads it whole."""
    start = max(0, raw.seek(0, SEEK_END) - _TAIL)
    raw.seek(start)
    tail = raw.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise Damaged("no end of the list of entries")
    (length,) = struct.unpack_from("<I", tail, at + 12)
    if length == 0xFFFFFFFF:
        (record,) = struct.unpack_from("<Q", tail, at - 20 + 8)
        (length,) = struct.unpack_from("<Q", tail, record - start + 40)
    if length > limits.MAX_DIRECTORY:
        raise _too_many(name)


def _too_many(name: str) -> UserError:
    return UserError(f"{name} holds too many parts to be a spreadsheet.")


class Archive:
    """An open container: `parts` by normal name, inflated under a budget.

    Some writers use backslashes, and part names know no case: `normal` makes them equal. `wide`
    tells, once weighed, whether a part is UTF-16: the native reader finds nothing in such parts and
    says nothing.
    """

    def __init__(self, name: str, raw: BinaryIO, opened: ZipFile) -> None:
        self.name = name
        self.wide = False
        self._raw = raw
        self.parts = {normal(info.orig_filename): info for info in opened.infolist()}

    def read(self, part: str) -> bytes:
        """The bytes of a small part. Raises `KeyError` without it, `Damaged` if it is not sound."""
        found = bytearray()
        for chunk in self.inflate(self.parts[normal(part)]):
            found += chunk
            if len(found) > limits.MAX_INDEX_PART:
                raise Damaged(f"{part} is too large")
        return bytes(found)

    def inflate(self, info: ZipInfo) -> Iterator[bytes]:
        """The part's bytes in chunks, checked against its size and checksum: else `Damaged`."""
        size, checksum = 0, 0
        for chunk in self._chunks(info):
            size += len(chunk)
            if size > info.file_size:
                raise Damaged(f"{info.filename} is larger than it declares")
            checksum = zlib.crc32(chunk, checksum)
            yield chunk
        if size != info.file_size or checksum != info.CRC:
            raise Damaged(f"{info.filename} fails its checksum")

    def _chunks(self, info: ZipInfo) -> Iterator[bytes]:
        if info.flag_bits & 0x1:
            raise UserError(f"{self.name} is password-protected. Remove the password first.")
        if info.compress_type == ZIP_STORED:
            yield from self._stored(info)
        elif info.compress_type == ZIP_DEFLATED:
            yield from self._deflated(info)
        else:
            raise UserError(f"{self.name} is packed in a way that spreadsheets do not use.")

    def _stored(self, info: ZipInfo) -> Iterator[bytes]:
        at, left = self._start(info), info.compress_size
        while left:
            self._raw.seek(at)
            data = self._raw.read(min(left, _CHUNK))
            if not data:
                raise Damaged(f"{info.filename} is cut off")
            at, left = at + len(data), left - len(data)
            yield data

    def _deflated(self, info: ZipInfo) -> Iterator[bytes]:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for data in self._stored(info):
                rest = data
                while rest and not stream.eof:
                    yield stream.decompress(rest, _CHUNK)
                    rest = stream.unconsumed_tail
            yield stream.flush()
        except zlib.error as error:
            raise Damaged(f"{info.filename} does not inflate") from error
        if not stream.eof:
            raise Damaged(f"{info.filename} is cut off")

    def _start(self, info: ZipInfo) -> int:
        """Where the part's bytes begin, which only its local header tells."""
        if info.header_offset < 0:
            raise Damaged(f"{info.filename} lies before the file")
        self._raw.seek(info.header_offset)
        header = self._raw.read(30)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise Damaged(f"{info.filename} has no header")
        name, extra = struct.unpack_from("<HH", header, 26)
        return info.header_offset + 30 + int(name) + int(extra)

    def weigh(self, visitors: Mapping[str, Visitor], progress: Fraction) -> None:
        """Inflate every part once, showing the chunks of some to their visitor.

        Raises `UserError` for a bomb, a document type definition, and damage of any part: a part
        that fails its checksum may hold a number that is silently wrong.
        """
        if len(self.parts) > limits.MAX_PARTS:
            raise _too_many(self.name)
        total, declared = 0, 1 + sum(info.file_size for info in self.parts.values())
        for part, info in self.parts.items():
            size, visit, prolog = 0, visitors.get(part), _prolog(part)
            try:
                for chunk in self.inflate(info):
                    size += len(chunk)
                    self._check_weight(info, size, total + size)
                    self._look_at(prolog, chunk)
                    if visit:
                        visit(chunk)
                    progress((total + size) / declared)
            except Damaged as error:
                raise damaged(self.name) from error
            total += size

    def _look_at(self, prolog: Prolog | None, chunk: bytes) -> None:
        self.wide = self.wide or (prolog is not None and b"\0" in chunk[:4])
        if prolog and prolog.declares_type(chunk):
            raise UserError(
                f"{self.name} holds a document type definition (DTD), which no spreadsheet needs "
                "and which can do harm. It was not read."
            )

    def _check_weight(self, info: ZipInfo, size: int, total: int) -> None:
        if total > limits.MAX_INFLATED:
            raise UserError(
                f"{self.name} unpacks to more than {limits.MAX_INFLATED // 1024**2} MB, which is "
                "more than can be read. Split it into smaller files."
            )
        if size > limits.RATIO_FLOOR and size > limits.MAX_RATIO * max(1, info.compress_size):
            raise UserError(
                f"{self.name} unpacks to more than {limits.MAX_RATIO} times its size, as only a "
                "file made to do harm does. It was not read."
            )


def _prolog(part: str) -> Prolog | None:
    return Prolog() if part.endswith((".xml", ".rels")) else None


class Prolog:
    """Watches the start of one XML part for a document type definition.

    A real parser reads it, so that an encoding cannot hide it; only until the first element,
    because nothing after it can declare a type.
    """

    def __init__(self) -> None:
        self._found = False
        self._parser: expat.XMLParserType | None = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._element

    def _doctype(self, *_declaration: object) -> None:
        self._found = True
        raise StopIteration

    def _element(self, *_element: object) -> None:
        raise StopIteration

    def declares_type(self, chunk: bytes) -> bool:
        """Feed the next chunk; true once the part has declared a type."""
        if self._parser:
            try:
                self._parser.Parse(chunk)
            except (StopIteration, *NOT_XML):
                self._parser = None
        return self._found
