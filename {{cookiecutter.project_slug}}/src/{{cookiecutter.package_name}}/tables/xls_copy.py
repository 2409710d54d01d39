"""What of an .xls the native reader gets wrong, mended in a copy of its stream.

- It looks for the stream in every storage, and may find that of an embedded workbook.
- It believes the code page of a BIFF8 file, whose text has none.
- It knows no formats of the file's own under numbers that are built in, or beyond 382, and takes
  their numbers for dates or dates for numbers.
- It passes over formulas under the record types of older versions.

What is mended has the length of what it replaces: records stay where others say they are. Nothing
is copied before there is something to mend.
"""

from __future__ import annotations

import struct

from . import formats, ole
from .survey import Survey

_CODE_PAGE, _FORMAT, _XF = 0x42, 0x41E, 0xE0
_FORMULA = 0x06
OLD_FORMULAS = frozenset({0x206, 0x406})

_BIFF8, _UTF16 = 0x600, 1200
_OWN = frozenset((*range(5, 9), *range(23, 27), *range(41, 45), *range(63, 67), *range(164, 383)))
"""Numbers of the formats whose codes the native reader looks at."""

_MOST = 0x10000
"""Formats of cells that a cell can name."""


class Copy:
    """The stream of a workbook, as its records are gone through: `file` gives the mended copy.

    `dates` are the formats of cells that show a number as a date or a time, once it is `headed`.
    """

    def __init__(self, stream: bytes, *, needed: bool) -> None:
        self._stream = stream
        self._copy = bytearray(stream) if needed else None
        self._biff8 = stream[4:6] == _BIFF8.to_bytes(2, "little")
        self._kinds: dict[int, int] = {}
        self._xfs: list[tuple[int, int]] = []
        self.dates: set[int] = set()

    def head(self, at: int, kind: int, data: bytes) -> None:
        """Take a record of the workbook, before those of its sheets."""
        if kind == _CODE_PAGE and self._biff8 and data != _UTF16.to_bytes(2, "little"):
            self._write(at, struct.pack("<H", _UTF16)[: len(data)])
        elif kind == _FORMAT and self._biff8 and len(data) >= 5:
            number, length, wide = struct.unpack_from("<HHB", data)
            text = data[5 : 5 + length * (2 if wide & 1 else 1)]
            code = text.decode("utf-16-le" if wide & 1 else "latin-1", "replace")
            self._kinds[number] = formats.kind(code)
        elif kind == _XF and len(data) >= 4 and len(self._xfs) < _MOST:
            self._xfs.append((at, int.from_bytes(data[2:4], "little")))

    def headed(self) -> None:
        """Say that the workbook's own records are over."""
        for index, (at, number) in enumerate(self._xfs):
            usual = formats.built_in(number)
            kind = self._kinds.get(number, usual) if number else usual
            if kind != usual and number not in _OWN:
                self._write(at + 2, struct.pack("<H", kind))
            if kind == formats.DATE:
                self.dates.add(index)

    def formula(self, at: int, data: bytes, found: Survey) -> None:
        """Take a formula of an older version, and count it if it is none.

        Its result is kept. Its tokens go: whether they are those of this version is unknown.
        """
        if len(data) < 22:
            found.unread += 1
        else:
            self._write(at - 4, struct.pack("<H", _FORMULA))
            self._write(at + 20, bytes(2))

    def _write(self, at: int, data: bytes) -> None:
        if self._copy is None:
            self._copy = bytearray(self._stream)
        self._copy[at : at + len(data)] = data

    def file(self) -> bytes | None:
        """A compound file with the mended stream; nothing if the reader gets all of it right."""
        return None if self._copy is None else ole.compound("Workbook", self._copy)
