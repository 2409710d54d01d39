"""xlsb: where its sheets are and what they hold (MS-XLSB 2.1.4: records of type, length, data)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from . import formats
from .archives import Archive, Damaged
from .ooxml import Place, related, relationships
from .survey import Survey
from .xls import short_number

_ROW, _RK, _ERROR, _FORMULA_ERROR, _RICH_TEXT = 0, 2, 3, 11, 62
_NUMBERS = frozenset({_RK, 5, 9})
_FILLED = _NUMBERS | {4, 6, 7, 8, 10}
_SHEET, _FORMAT, _XF, _CELL_XFS, _CELL_XFS_END = 156, 44, 47, 617, 618


def places(archive: Archive, workbook: str) -> list[Place]:
    """The sheets of an xlsb workbook in its order; none if its parts make no sense."""
    targets = relationships(archive, workbook)
    try:
        bundles = [data for kind, data in records(archive.read(workbook)) if kind == _SHEET]
        found = []
        for data in bundles:
            relation, at = _wide(data, 8)
            name, _at = _wide(data, at)
            found.append(Place(name, targets.get(relation, ("", ""))[0]))
    except (KeyError, Damaged, struct.error):
        return []
    return found


def dates(archive: Archive, workbook: str) -> frozenset[int]:
    """The formats of cells, by their place in the list, that show a number as a date or a time."""
    kinds: dict[int, int] = {}
    found, at, inside = set(), 0, False
    try:
        for kind, data in records(archive.read(related(archive, workbook, "/styles"))):
            if kind == _FORMAT:
                kinds[int.from_bytes(data[:2], "little")] = formats.kind(_wide(data, 2)[0])
            elif kind in (_CELL_XFS, _CELL_XFS_END):
                inside = kind == _CELL_XFS
            elif kind == _XF and inside:
                number = int.from_bytes(data[2:4], "little")
                if kinds.get(number, formats.built_in(number)) == formats.DATE:
                    found.add(at)
                at += 1
    except (KeyError, Damaged, struct.error):
        return frozenset()
    return frozenset(found)


def _wide(data: bytes, at: int) -> tuple[str, int]:
    """A string with its length before it, and where it ends."""
    (length,) = struct.unpack_from("<I", data, at)
    end = at + 4 + 2 * length
    return data[at + 4 : end].decode("utf-16-le", "replace"), end


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and data of each record, up to the first that is cut off."""
    at, end = 0, len(data)
    while at < end:
        kind = data[at]
        at += 1
        if kind & 0x80 and at < end:
            kind = (kind & 0x7F) | (data[at] << 7)
            at += 1
        size = shift = 0
        while at < end:
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift == 28:
                break
        if at + size > end:
            return
        yield kind, data[at : at + size]
        at += size


class SheetScan:
    """Collects one binary worksheet; `close` counts what it holds.

    `dates` are the formats that show a number as a date or a time.
    """

    def __init__(self, dates: frozenset[int] = frozenset()) -> None:
        self._data = bytearray()
        self._dates = dates

    def __call__(self, chunk: bytes) -> None:
        self._data += chunk

    def close(self) -> Survey:
        survey, columns, row = Survey(), set(), 0
        rows = set()
        for kind, data in records(bytes(self._data)):
            if kind == _ROW and len(data) >= 4:
                row = int.from_bytes(data[:4], "little")
            elif kind in _FILLED and len(data) >= 4:
                rows.add(row)
                columns.add(int.from_bytes(data[:4], "little"))
                if self._dates and kind in _NUMBERS:
                    self._sign(survey, row, kind, data)
            elif kind in (_ERROR, _FORMULA_ERROR):
                survey.errors += 1
            elif kind == _RICH_TEXT:
                survey.unread += 1
        self._data.clear()
        survey.cover(rows, columns)
        survey.filled = bool(rows)
        return survey

    def _sign(self, survey: Survey, row: int, kind: int, data: bytes) -> None:
        """Note a negative number that is shown as a date or a time."""
        form, end = ("<i", 12) if kind == _RK else ("<d", 16)
        if len(data) >= end and int.from_bytes(data[4:7], "little") in self._dates:
            (value,) = struct.unpack_from(form, data, 8)
            if value < 0:
                days = short_number(value) if kind == _RK else value
                survey.before_zero(row, int.from_bytes(data[:4], "little"), days)
