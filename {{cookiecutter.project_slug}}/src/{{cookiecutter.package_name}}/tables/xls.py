"""xls: what its sheets hold (MS-XLS 2.1: records of type, length, data)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from ..step import UserError
from .archives import damaged
from .ole import CompoundFile, NotSound
from .survey import Survey
from .xls_copy import OLD_FORMULAS, Copy

_SHEET, _PASSWORD, _BEGIN, _END = 0x85, 0x2F, 0x809, 0x0A
_DIMENSIONS = 0x200
_CALCULATED_BY = 0x1C1
_NUMBER, _RK, _MANY, _BOOL_OR_ERROR = 0x203, 0x27E, 0xBD, 0x205
_FORMULAS = OLD_FORMULAS | {0x06}
_CELLS = _FORMULAS | {0x204, 0xFD, 0xD6, _NUMBER, _RK, _MANY, _BOOL_OR_ERROR}
_NAMES = ("Workbook", "Book", "WORKBOOK", "BOOK")
"""Of the stream that holds the cells, in the order in which the native reader looks for them."""
_CALCULATE = 0x02
"""Of the flags of a formula: it is to be worked out when the file is loaded."""
_LARGEST = 65_536 * 256
"""Cells of the largest sheet there can be."""


def survey(path: PathLike[str], name: str) -> tuple[list[Survey], bytes | None]:
    """What each sheet holds, in order, and the file that the native reader reads instead, if any.

    Raises `UserError` for a damaged or protected workbook.
    """
    stream, copy = _workbook(path, name)
    starts, calculated = [], False
    for at, kind, data in _records(stream, 0):
        copy.head(at, kind, data)
        calculated = calculated or kind == _CALCULATED_BY
        if kind == _PASSWORD:
            raise UserError(f"{name} is password-protected. Remove the password first.")
        if kind == _SHEET and len(data) >= 6:
            starts.append(int.from_bytes(data[:4], "little"))
        elif kind == _END:
            break
    copy.headed()
    found = [_sheet(stream, start, copy, name, calculated=calculated) for start in starts]
    return found, copy.file()


def _workbook(path: PathLike[str], name: str) -> tuple[bytes, Copy]:
    """The stream that holds the cells, and how it is mended."""
    try:
        file = CompoundFile(Path(path).read_bytes())
        if "ENCRYPTEDPACKAGE" in file.streams:
            raise UserError(f"{name} is password-protected. Remove the password first.")
        inside = next((stream for stream in ("WORKBOOK", "BOOK") if stream in file.streams), None)
        if inside is None:
            raise UserError(f"{name} is an older Office file, but not a workbook.")
        stream = file.stream(inside)
    except (NotSound, struct.error) as error:
        raise damaged(name) from error
    named = (entry for name in _NAMES for entry in file.entries if entry.name == name)
    return stream, Copy(stream, needed=next(named, None) is not file.streams[inside])


def _records(stream: bytes, at: int) -> Iterator[tuple[int, int, bytes]]:
    """Where the data of each record is, its type and data, up to the first that is cut off."""
    header, end = struct.Struct("<HH"), len(stream)
    while at + 4 <= end:
        kind, size = header.unpack_from(stream, at)
        yield at + 4, kind, stream[at + 4 : at + 4 + size]
        at += 4 + size


def _sheet(stream: bytes, start: int, copy: Copy, name: str, *, calculated: bool) -> Survey:
    """Count the cells of one sheet, not those of the charts that lie inside it.

    `calculated` tells whether the program that saved the workbook says that it worked it out.
    """
    found, results, depth = Survey(), _Results(), 0
    rows: set[int] = set()
    columns: set[int] = set()
    for at, kind, data in _records(stream, start):
        if kind == _BEGIN:
            depth += 1
        elif kind == _END:
            depth -= 1
            if depth <= 0:
                break
        elif depth == 1 and kind in _CELLS and len(data) >= 6:
            row, column = struct.unpack_from("<HH", data)
            last = int.from_bytes(data[-2:], "little") if kind == _MANY else column
            rows.add(row)
            columns |= {column, last}
            found.errors += _is_error(kind, data)
            if kind in _FORMULAS:
                results.take(data)
            if kind in OLD_FORMULAS:
                copy.formula(at, data, found)
            if copy.dates:
                for column, xf, value in _negative(kind, data):
                    if xf in copy.dates:
                        found.before_zero(row, column, value)
        elif depth == 1 and kind == _DIMENSIONS:
            _check_dimensions(data, name)
    found.cover(rows, columns)
    found.filled = bool(rows)
    found.unsaved = results.unsaved(calculated=calculated)
    return found


class _Results:
    """Tells formulas that were never worked out from those whose result is an empty text.

    Their records are alike, but for a mark that is seldom set.
    """

    def __init__(self) -> None:
        self._all = self._empty = self._marked = 0

    def take(self, data: bytes) -> None:
        """Take the record of a formula."""
        self._all += 1
        if len(data) >= 16 and data[6] == 3 and data[12:14] == b"\xff\xff":
            self._empty += 1
            self._marked += bool(data[14] & _CALCULATE)

    def unsaved(self, *, calculated: bool) -> int:
        """Those without a result: all if none has one in a file that nothing has worked out."""
        return self._empty if self._empty == self._all and not calculated else self._marked


def _is_error(kind: int, data: bytes) -> bool:
    if kind == _BOOL_OR_ERROR:
        return len(data) >= 8 and data[7] == 1
    return kind in _FORMULAS and len(data) >= 14 and data[6] == 2 and data[12:14] == b"\xff\xff"


def _negative(kind: int, data: bytes) -> Iterator[tuple[int, int, float]]:
    """Column, format and value of each cell of a record with a negative number."""
    if kind == _NUMBER or (kind in _FORMULAS and data[12:14] != b"\xff\xff"):
        if len(data) >= 14 and data[13] & 0x80:
            yield struct.unpack_from("<2xHHd", data)
    elif kind in (_RK, _MANY):
        (column,) = struct.unpack_from("<2xH", data)
        for at in range(4, len(data) - 5, 6):
            if data[at + 5] & 0x80:
                xf, number = struct.unpack_from("<Hi", data, at)
                yield column + at // 6, xf, short_number(number)


def short_number(number: int) -> float:
    """The number in four bytes: an integer or the upper half of a float, perhaps of hundredths."""
    value: float = number >> 2
    if not number & 2:
        (value,) = struct.unpack("<d", struct.pack("<ii", 0, number & ~3))
    return value / 100 if number & 1 else value


def _check_dimensions(data: bytes, name: str) -> None:
    """The native reader reserves memory for the area that is declared, whatever is in it."""
    if len(data) >= 14:
        top, bottom, left, right = struct.unpack_from("<IIHH", data)
        if (bottom - top) * (right - left) > _LARGEST:
            raise UserError(f"{name} is damaged: a sheet declares more cells than a sheet has.")
