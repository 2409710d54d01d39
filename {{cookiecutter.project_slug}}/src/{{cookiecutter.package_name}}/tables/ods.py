"""ods: what its sheets hold (OpenDocument 1.2, part 1), read from `content.xml` by a real parser.

Cells and rows say how often they repeat, so a few bytes can stand for billions of cells.
"""

from __future__ import annotations

from xml.parsers import expat

from .survey import Survey

CONTENT = "content.xml"
MIME_TYPE = "application/vnd.oasis.opendocument.spreadsheet"

_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0 "
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0 "
_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0 "
_CALC = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0 "

_CELLS = (_TABLE + "table-cell", _TABLE + "covered-table-cell")


class ContentScan:
    """Follows the tables of `content.xml`; `surveys` has one a table, in order."""

    def __init__(self) -> None:
        self.surveys: list[Survey] = []
        self.depth = 0
        self._open = 0
        self._row = self._row_repeats = self._column = 0
        self._filled: list[int] = []
        self._parser: expat.XMLParserType | None = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def __call__(self, chunk: bytes) -> None:
        if self._parser:
            try:
                self._parser.Parse(chunk)
            except expat.ExpatError:
                self._parser = None

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._open += 1
        self.depth = max(self.depth, self._open)
        if tag in _CELLS:
            self._cell(attributes)
        elif tag == _TABLE + "table-row":
            self._row_repeats = _repeats(attributes, "number-rows-repeated")
            self._column = 0
            self._filled = []
        elif tag == _TABLE + "table":
            self.surveys.append(Survey())
            self._row = 0

    def _cell(self, attributes: dict[str, str]) -> None:
        repeats = _repeats(attributes, "number-columns-repeated")
        if self.surveys and attributes.get(_CALC + "value-type") == "error":
            self.surveys[-1].errors += repeats * self._row_repeats
        elif _OFFICE + "value-type" in attributes:
            self._filled += (self._column, self._column + repeats - 1)
        self._column += repeats

    def _end(self, tag: str) -> None:
        self._open -= 1
        if tag == _TABLE + "table-row":
            if self._filled and self.surveys:
                survey = self.surveys[-1]
                survey.filled = True
                survey.cover((self._row, self._row + self._row_repeats - 1), self._filled)
            self._row += self._row_repeats


def _repeats(attributes: dict[str, str], name: str) -> int:
    value = attributes.get(_TABLE + name, "1")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 1
