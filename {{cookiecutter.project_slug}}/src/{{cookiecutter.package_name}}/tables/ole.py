"""The container of xls: finds a stream in an OLE compound file (MS-CFB), and makes one of its own.

The native reader follows chains of sectors without asking whether they end, and believes the header
about their number. So whatever it will read is followed here first; what makes no sense is
`NotSound`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from .signatures import OLE

_FREE = 0xFFFFFFFA
"""Sector numbers from here on are marks, not sectors."""

_ENTRY = 128
_ROOT, _STREAM = 5, 2
_END, _TABLE, _NONE = 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
_SECTOR = 4096
"""Bytes of a sector of our own: few enough tables for the header to list them."""

Words = tuple[int, ...]


class NotSound(Exception):
    """The file's tables make no sense."""


class Entry(NamedTuple):
    """One entry of the directory: its name, and those beside and below it."""

    name: str
    kind: int
    left: int
    right: int
    child: int
    start: int
    size: int


class CompoundFile:
    """The streams of a compound file, but not of the storages in it. Raises `NotSound`."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 512:
            raise NotSound("shorter than its header")
        shift, small_shift = struct.unpack_from("<HH", data, 30)
        if shift not in (9, 12) or small_shift != 6:
            raise NotSound("unknown sector size")
        self._data = data
        self._size = 1 << shift
        self._most = len(data) // self._size + 1
        tables, directory = struct.unpack_from("<II", data, 44)
        self._cutoff, small_table, small_tables, more = struct.unpack_from("<4I", data, 56)
        if max(tables, small_tables) > self._most:
            raise NotSound("more tables than the file has room for")
        self._table = self._allocation(more)
        self.entries = self._directory(directory)
        root = next((entry for entry in self.entries if entry.kind == _ROOT), None)
        if root is None:
            raise NotSound("no root")
        self.streams = self._children(root)
        self._small = self._chain(root.start)
        self._small_table = _words(self._chain(small_table))

    def stream(self, name: str) -> bytes:
        """The bytes of a stream by its name in upper case. Raises `KeyError` without it."""
        start, size = self.streams[name][-2:]
        if size >= self._cutoff:
            return self._chain(start)[:size]
        sectors = _follow(self._small_table, start, len(self._small) // 64 + 1)
        return b"".join(self._small[at * 64 : at * 64 + 64] for at in sectors)[:size]

    def _allocation(self, more: int) -> Words:
        """The table that says which sector follows which."""
        sectors = list(struct.unpack_from("<109I", self._data, 76))
        while more < _FREE:
            *words, more = _words(self._sector(more))
            sectors += words
            if len(sectors) > self._most + self._size:
                raise NotSound("the list of tables does not end")
        used = [sector for sector in sectors if sector < _FREE]
        if len(used) > self._most:
            raise NotSound("more tables than the file has room for")
        return _words(b"".join(map(self._sector, used)))

    def _directory(self, sector: int) -> list[Entry]:
        found = []
        pages = self._chain(sector)
        for at in range(0, len(pages), _ENTRY):
            kind, _colour, *beside = struct.unpack_from("<BB3I", pages, at + 66)
            name = pages[at : at + 64].decode("utf-16-le", "replace").partition("\0")[0]
            found.append(Entry(name, kind, *beside, *struct.unpack_from("<II", pages, at + 116)))
        return found

    def _children(self, root: Entry) -> dict[str, Entry]:
        """The streams that lie in the root by their name in upper case."""
        found: dict[str, Entry] = {}
        ahead, seen = [root.child], set()
        while ahead:
            number = ahead.pop()
            if number < len(self.entries) and number not in seen:
                seen.add(number)
                entry = self.entries[number]
                ahead += (entry.left, entry.right)
                if entry.kind == _STREAM:
                    found.setdefault(entry.name.upper(), entry)
        return found

    def _chain(self, sector: int) -> bytes:
        return b"".join(map(self._sector, _follow(self._table, sector, self._most)))

    def _sector(self, number: int) -> bytes:
        start = (number + 1) * self._size
        if start >= len(self._data):
            raise NotSound("a sector lies outside the file")
        return self._data[start : start + self._size].ljust(self._size, b"\0")


def _follow(table: Words, sector: int, most: int) -> list[int]:
    """The sectors of a chain; one with a loop would have more than there are."""
    found: list[int] = []
    while sector < _FREE:
        if sector >= len(table) or len(found) >= most:
            raise NotSound("a chain leads outside the table or does not end")
        found.append(sector)
        sector = table[sector]
    return found


def _words(data: bytes) -> Words:
    return struct.unpack_from(f"<{len(data) // 4}I", data)


def compound(name: str, stream: bytes | bytearray) -> bytes:
    """A compound file with one stream. Raises `MemoryError` for one of more than 400 MB."""
    size = max(len(stream), _SECTOR)  # a shorter one would lie in a table of its own
    sectors = -(-size // _SECTOR)
    tables = -(-(sectors + 1) // (_SECTOR // 4 - 1))
    if tables > 109:
        raise MemoryError
    first = tables + 1
    header = struct.pack("<8s16xHHHHH6x", OLE, 62, 4, 0xFFFE, 12, 6)
    header += struct.pack("<9I", 1, tables, tables, 0, _SECTOR, _END, 0, _END, 0)
    header += struct.pack("<109I", *range(tables), *[_NONE] * (109 - tables))
    chain = [_TABLE] * tables + [_END, *range(first + 1, first + sectors), _END]
    chain += [_NONE] * (tables * (_SECTOR // 4) - len(chain))
    root = _entry("Root Entry", _ROOT, 1, _NONE, 0)  # _END would mean no root to the reader
    return b"".join(
        (
            header.ljust(_SECTOR, b"\0"),
            struct.pack(f"<{len(chain)}I", *chain),
            (root + _entry(name, _STREAM, _NONE, first, size)).ljust(_SECTOR, b"\0"),
            stream,
            bytes(sectors * _SECTOR - len(stream)),
        )
    )


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    data = name.encode("utf-16-le").ljust(64, b"\0")
    data += struct.pack("<HBB3I", 2 * len(name) + 2, kind, 1, _NONE, _NONE, child)
    return data + bytes(36) + struct.pack("<IQ", start, size)
