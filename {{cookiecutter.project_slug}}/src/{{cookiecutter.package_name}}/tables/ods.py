"""ods: what its sheets hold (OpenDocument 1.2, part 1), read from `content.xml` by a real parser.

Cells and rows say how often they repeat, so a few bytes can stand for billions of cells.
"""

from __future__ import annotations

import re
from array import array
from datetime import time, timedelta
from xml.parsers import expat

from ..values import Cell
from .archives import NOT_XML
from .survey import Survey

CONTENT = "content.xml"
MIME_TYPE = "application/vnd.oasis.opendocument.spreadsheet"

TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0 "
OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0 "
TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0 "
_CALC = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0 "

_DURATION = re.compile(r"(-?)P(?:(\d{1,6})D)?T(\d{1,6})H(\d{1,2})M(\d{1,2}(?:\.\d+)?)S", re.ASCII)

_SHEET_DEPTH = 4
"""A table within office:spreadsheet; deeper ones lie in cells."""

PREFIXES = {
    OFFICE: "office",
    TABLE: "table",
    TEXT: "text",
    "urn:oasis:names:tc:opendocument:xmlns:style:1.0 ": "style",
}
"""Of the names that the native reader knows, which looks at no namespace."""

_LOST = (TEXT + "tab", TEXT + "line-break")

CELLS = (TABLE + "table-cell", TABLE + "covered-table-cell")

_ERROR = re.compile(r"\s*(?:#[¡¿]?[^\W\d]\S{0,30}[!?]|#N/[A-Z]{1,2}|#NV|Err\s?:\s?\d{3})\s*")
"""How an error is shown by programs that save a 0 beside it and no type of its own."""

_LONGEST_ERROR = 40

_RESULTS = {
    OFFICE + name for name in ("value", "date-value", "time-value", "boolean-value", "string-value")
}
"""The attributes of which a cell has one, unless its value is its text."""


def read_durations(rows: list[list[Cell]]) -> None:
    """Make times durations that the native reader leaves as text: those of a day or longer, and
    any that are not written with two digits a number, as in `PT26H3M4S`."""
    for row in rows:
        for index, cell in enumerate(row):
            if isinstance(cell, str) and (found := _DURATION.fullmatch(cell)):
                sign, days, hours, minutes, seconds = found.groups(default="0")
                length = timedelta(int(days), float(seconds), 0, 0, int(minutes), int(hours))
                row[index] = _time(-length if sign == "-" else length)


def _time(length: timedelta) -> Cell:
    """A time of day, as the native reader makes of a length of less than a day."""
    if timedelta(0) <= length < timedelta(days=1):
        minutes, seconds = divmod(length.seconds, 60)
        return time(*divmod(minutes, 60), seconds, length.microseconds)
    return length


class ContentScan:
    """Follows the tables of `content.xml`; call `close` after the last chunk.

    `surveys` has one a sheet, in order; `depth` is the deepest nesting; `spaces` the longest run of
    spaces, which are written as a number too; `sound` tells whether it is XML to its end, without
    which the native reader may never come to one; `lossy` whether it holds what this reader would
    lose or get wrong; `broken` are the cells that hold an error and look like others, by how many
    cells stand before them.
    """

    def __init__(self) -> None:
        self.surveys: list[Survey] = []
        self.sound = True
        self.lossy = False
        self.broken = array("Q")
        self.depth = 0
        self.spaces = 0
        self._open = 0
        self._inside = 0
        self._untyped = False
        self._unsaved = 0
        self._zero = False
        self._shown = ""
        self._cells = self._repeats = 0
        self._row = self._row_repeats = self._column = 0
        self._filled: list[int] = []
        self._span = (0, 0)
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartNamespaceDeclHandler = self._named
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def __call__(self, chunk: bytes) -> None:
        self._feed(chunk, last=False)

    def close(self) -> None:
        """Say that no chunk follows; the parser knows only then whether an element is left open."""
        self._feed(b"", last=True)

    def _feed(self, chunk: bytes, *, last: bool) -> None:
        if self.sound:
            try:
                self._parser.Parse(chunk, last)
            except NOT_XML:
                self.sound = False

    def _named(self, prefix: str | None, namespace: str) -> None:
        usual = PREFIXES.get(namespace + " ")
        self.lossy = self.lossy or (usual is not None and usual != prefix)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._open += 1
        self.depth = max(self.depth, self._open)
        if tag in CELLS:
            self._cell(attributes)
        elif tag == TABLE + "table-row":
            self._row_repeats = _number(attributes, TABLE + "number-rows-repeated")
            self._column = 0
            self._filled = []
        elif tag == TABLE + "table" and self._open == _SHEET_DEPTH:
            self.surveys.append(Survey(attributes.get(TABLE + "name", "")))
            self._row = 0
        elif tag == TEXT + "s":
            self.spaces = max(self.spaces, _number(attributes, TEXT + "c"))
        elif tag in _LOST:
            self.lossy = True
        elif tag == TEXT + "p" and self._open == self._inside + 1:
            self._paragraph()

    def _cell(self, attributes: dict[str, str]) -> None:
        repeats = _number(attributes, TABLE + "number-columns-repeated")
        self._span = (self._column, self._column + repeats - 1)
        self._inside = self._open
        self._untyped = OFFICE + "value-type" not in attributes
        self._unsaved = 0
        self._zero = False
        self._cells += 1
        self._repeats = repeats * self._row_repeats
        if attributes.get(_CALC + "value-type") == "error":
            self._error(told=attributes.get(OFFICE + "string-value") == "")
        else:
            if TABLE + "formula" in attributes and _RESULTS.isdisjoint(attributes):
                self._unsaved = self._repeats
            elif TABLE + "formula" in attributes:
                self._zero = attributes.get(OFFICE + "value") == "0"
            if not self._untyped:
                self._filled += self._span
        self._column += repeats

    def _paragraph(self) -> None:
        """Take the start of a cell's own text."""
        self._unsaved = 0
        if self._untyped:
            self.lossy = True
            self._filled += self._span
        if self._zero:
            self._shown = ""
            self._parser.CharacterDataHandler = self._characters

    def _characters(self, text: str) -> None:
        if len(self._shown) < _LONGEST_ERROR:
            self._shown += text

    def _error(self, *, told: bool) -> None:
        """Count the cell as an error; the native reader takes it for a value unless it is told."""
        if self.surveys:
            self.surveys[-1].errors += self._repeats
        if not told:
            self.lossy = True
            self.broken.append(self._cells - 1)

    def _end(self, tag: str) -> None:
        self._open -= 1
        if tag in CELLS:
            self._inside = 0
            if self._unsaved and self.surveys:
                self.surveys[-1].unsaved += self._unsaved
            self._unsaved = 0
        elif tag == TEXT + "p" and self._zero and self._open == self._inside:
            self._parser.CharacterDataHandler = None
            if _ERROR.fullmatch(self._shown):
                self._error(told=False)
            self._zero = False
        elif tag == TABLE + "table-row":
            if self._filled and self.surveys:
                survey = self.surveys[-1]
                survey.filled = True
                survey.cover((self._row, self._row + self._row_repeats - 1), self._filled)
            self._row += self._row_repeats


def _number(attributes: dict[str, str], name: str) -> int:
    """A count, one where it is left out; the readers stop at what is no number."""
    value = attributes.get(name, "1")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else 1
