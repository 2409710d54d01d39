"""The container of xls: finds a stream in an OLE compound file (MS-CFB).

Every chain of sectors is followed for no more bytes than the file has, so a loop ends.
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
    """The streams of a compound file by name. Raises `NotSound`."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 512:
            raise NotSound("shorter than its header")
        shift, small_shift = struct.unpack_from("<HH", data, 30)
        if shift not in (9, 12) or small_shift != 6:
            raise NotSound("unknown sector size")
        self._data = data
        self._size = 1 << shift
        self._most = len(data) // self._size + 1
        directory, _, self._cutoff, small_table, small_count, more = struct.unpack_from(
            "<6I", data, 48
        )
        self._table = self._allocation(more)
        self._entries = self._directory(directory)
        self._small = self._chain(*self._entries[""])
        self._small_table = _words(self._chain(small_table, small_count * self._size))

    @property
    def names(self) -> set[str]:
        return set(self._entries)

    def stream(self, name: str) -> bytes:
        """The bytes of a stream. Raises `KeyError` without it."""
        start, size = self._entries[name]
        if size >= self._cutoff:
            return self._chain(start, size)
        found, sector = bytearray(), start
        while sector < _FREE and len(found) < min(size, len(self._data)):
            found += self._small[sector * 64 : sector * 64 + 64].ljust(64, b"\0")
            sector = _next(self._small_table, sector)
        return bytes(found[:size])

    def _allocation(self, more: int) -> Words:
        """The table that says which sector follows which."""
        sectors = list(struct.unpack_from("<109I", self._data, 76))
        for _step in range(self._most):
            if more >= _FREE:
                break
            *words, more = _words(self._sector(more))
            sectors += words
        used = [sector for sector in sectors if sector < _FREE][: self._most]
        return _words(b"".join(map(self._sector, used)))

    def _directory(self, sector: int) -> dict[str, tuple[int, int]]:
        """First sector and size of each stream by its name; of the root under no name."""
        found: dict[str, tuple[int, int]] = {}
        for _step in range(self._most):
            if sector >= _FREE:
                break
            page = self._sector(sector)
            for at in range(0, len(page), _ENTRY):
                length, kind = struct.unpack_from("<HB", page, at + 64)
                name = page[at : at + max(2, min(length, 64)) - 2].decode("utf-16-le", "replace")
                if kind in (_ROOT, _STREAM):
                    key = "" if kind == _ROOT else name
                    found.setdefault(key, struct.unpack_from("<II", page, at + 116))
            sector = _next(self._table, sector)
        if "" not in found:
            raise NotSound("no root")
        return found

    def _chain(self, sector: int, size: int) -> bytes:
        if size > len(self._data):
            raise NotSound("a stream is longer than the file")
        found = bytearray()
        while sector < _FREE and len(found) < size:
            found += self._sector(sector)
            sector = _next(self._table, sector)
        return bytes(found[:size])

    def _sector(self, number: int) -> bytes:
        start = (number + 1) * self._size
        if start >= len(self._data):
            raise NotSound("a sector lies outside the file")
        return self._data[start : start + self._size].ljust(self._size, b"\0")


def _words(data: bytes) -> Words:
    return struct.unpack_from(f"<{len(data) // 4}I", data)


def _next(table: Words, sector: int) -> int:
    if sector >= len(table):
        raise NotSound("a chain leads outside the table")
    return table[sector]
