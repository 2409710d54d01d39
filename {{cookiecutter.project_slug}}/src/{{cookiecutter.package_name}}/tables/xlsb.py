"""xlsb: where its sheets are and what they hold (MS-XLSB 2.1.4: records of type, length, data)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .archives import Archive, Damaged
from .ooxml import Place, relationships
from .survey import Survey

_ROW, _ERROR, _FORMULA_ERROR, _RICH_TEXT = 0, 3, 11, 62
_FILLED = frozenset({2, 4, 5, 6, 7, 8, 9, 10})
_SHEET = 156


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
    """Collects one binary worksheet; `close` counts what it holds."""

    def __init__(self) -> None:
        self._data = bytearray()

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
            elif kind in (_ERROR, _FORMULA_ERROR):
                survey.errors += 1
            elif kind == _RICH_TEXT:
                survey.unread += 1
        self._data.clear()
        survey.cover(rows, columns)
        survey.filled = bool(rows)
        return survey
