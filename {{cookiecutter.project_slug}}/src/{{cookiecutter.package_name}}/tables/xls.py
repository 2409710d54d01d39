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

_SHEET, _PASSWORD, _BEGIN, _END = 0x85, 0x2F, 0x809, 0x0A
_DIMENSIONS = 0x200
_FORMULA, _BOOL_OR_ERROR, _MANY = 0x06, 0x205, 0xBD
_CELLS = frozenset({0x203, 0x204, 0x27E, 0xFD, 0xD6, _FORMULA, _BOOL_OR_ERROR, _MANY})
_LARGEST = 65_536 * 256
"""Cells of the largest sheet there can be."""


def survey(path: PathLike[str], name: str) -> list[Survey]:
    """What each sheet holds, in order. Raises `UserError` for a damaged or protected workbook."""
    stream = _workbook(path, name)
    starts = []
    for kind, data in _records(stream, 0):
        if kind == _PASSWORD:
            raise UserError(f"{name} is password-protected. Remove the password first.")
        if kind == _SHEET and len(data) >= 6:
            starts.append(int.from_bytes(data[:4], "little"))
        elif kind == _END:
            break
    return [_sheet(stream, start, name) for start in starts]


def _workbook(path: PathLike[str], name: str) -> bytes:
    """The stream that holds the cells."""
    try:
        file = CompoundFile(Path(path).read_bytes())
        if "ENCRYPTEDPACKAGE" in file.names:
            raise UserError(f"{name} is password-protected. Remove the password first.")
        inside = next((stream for stream in ("WORKBOOK", "BOOK") if stream in file.names), None)
        if inside is None:
            raise UserError(f"{name} is an older Office file, but not a workbook.")
        return file.stream(inside)
    except (NotSound, struct.error) as error:
        raise damaged(name) from error


def _records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Type and data of each record from an offset, up to the first that is cut off."""
    header, end = struct.Struct("<HH"), len(stream)
    while at + 4 <= end:
        kind, size = header.unpack_from(stream, at)
        yield kind, stream[at + 4 : at + 4 + size]
        at += 4 + size


def _sheet(stream: bytes, start: int, name: str) -> Survey:
    """Count the cells of one sheet, not those of the charts that lie inside it."""
    found, depth = Survey(), 0
    rows: set[int] = set()
    columns: set[int] = set()
    for kind, data in _records(stream, start):
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
        elif depth == 1 and kind == _DIMENSIONS:
            _check_dimensions(data, name)
    found.cover(rows, columns)
    found.filled = bool(rows)
    return found


def _is_error(kind: int, data: bytes) -> bool:
    if kind == _BOOL_OR_ERROR:
        return len(data) >= 8 and data[7] == 1
    return kind == _FORMULA and len(data) >= 14 and data[6] == 2 and data[12:14] == b"\xff\xff"


def _check_dimensions(data: bytes, name: str) -> None:
    """The native reader reserves memory for the area that is declared, whatever is in it."""
    if len(data) >= 14:
        top, bottom, left, right = struct.unpack_from("<IIHH", data)
        if (bottom - top) * (right - left) > _LARGEST:
            raise UserError(f"{name} is damaged: a sheet declares more cells than a sheet has.")
