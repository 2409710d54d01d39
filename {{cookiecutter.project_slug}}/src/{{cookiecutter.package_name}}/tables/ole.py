"""The container of xls: finds a stream in an OLE compound file (MS-CFB).

The native reader follows chains of sectors without asking whether they end, and believes the header
about their number. So whatever it will read is followed here first; what makes no sense is
`NotSound`.
"""

from __future__ import annotations

import struct

_FREE = 0xFFFFFFFA
"""Sector numbers from here on are marks, not sectors."""

_ENTRY = 128
_ROOT, _STREAM = 5, 2

Words = tuple[int, ...]


class NotSound(Exception):
    """The file's tables make no sense."""


class CompoundFile:
    """The streams of a compound file by name in upper case. Raises `NotSound`."""

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
        self._entries = self._directory(directory)
        self._small = self._chain(self._entries[""][0])
        self._small_table = _words(self._chain(small_table))

    @property
    def names(self) -> set[str]:
        return set(self._entries)

    def stream(self, name: str) -> bytes:
        """The bytes of a stream. Raises `KeyError` without it."""
        start, size = self._entries[name]
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

    def _directory(self, sector: int) -> dict[str, tuple[int, int]]:
        """First sector and size of each stream by its name; of the root under no name."""
        found: dict[str, tuple[int, int]] = {}
        pages = self._chain(sector)
        for at in range(0, len(pages), _ENTRY):
            length, kind = struct.unpack_from("<HB", pages, at + 64)
            name = pages[at : at + max(2, min(length, 64)) - 2].decode("utf-16-le", "replace")
            if kind in (_ROOT, _STREAM):
                key = "" if kind == _ROOT else name.upper()
                found.setdefault(key, struct.unpack_from("<II", pages, at + 116))
        if "" not in found:
            raise NotSound("no root")
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
