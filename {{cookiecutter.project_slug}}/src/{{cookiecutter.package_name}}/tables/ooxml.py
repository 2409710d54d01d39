"""xlsx, xlsm and xlsb: where the sheets are, and what xlsx sheets hold (ECMA-376).

Sheets are looked through with regular expressions, not a parser: a few percent of the reader's own
time instead of a multiple. What they count is named to the person; no value is taken from it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from posixpath import join, normpath
from xml.parsers import expat

from . import formats, limits
from .archives import NOT_XML, Archive, Damaged, Prolog, normal
from .survey import Survey

CONTENT_TYPES = "[content_types].xml"

_TAG = rb"<(?:\w{1,20}:)?"
# Attributes of a cell are few; the bound keeps a hostile part from being searched again and again.
# So does `\s*+`, which gives nothing back, where one run of blanks may follow another.
_MORE = rb"[^<>]{0,200}"
_CELL = re.compile(
    rb"r=[\"']([A-Za-z]{1,3}+)(\d{1,7}+)[\"']" + _MORE + rb"+>\s*+<(?:\w{1,20}:)?[vif]"
)
_VALUE = re.compile(_TAG + rb"(?:v|t)(?:\s" + _MORE + rb")?>[^<]")
_ERROR = re.compile(_TAG + rb"c\s" + _MORE + rb"\bt=[\"']e[\"']")
_FORMULA = (
    _TAG + rb"c((?:\s" + _MORE + rb")?)>\s*"
    rb"<(?:\w{1,20}:)?f(?:\s" + _MORE + rb")?(?:/>|>[^<]*</(?:\w{1,20}:)?f>)\s*+"
)
_UNSAVED = re.compile(
    _FORMULA + rb"(<(?:\w{1,20}:)?v\s*/>|<(?:\w{1,20}:)?v>\s*</(?:\w{1,20}:)?v>)?"
    rb"\s*</(?:\w{1,20}:)?c>"
)
_ZERO = re.compile(_FORMULA + rb"<(?:\w{1,20}:)?v>0</")
_TYPED = re.compile(rb"\bt=[\"']")
_TEXT = re.compile(rb"\bt=[\"']str[\"']")
_STRINGS = re.compile(_TAG + rb"sst\s[^<>]{0,4000}\buniqueCount\s*=\s*[\"'](\d{1,20})")
_LONGEST_FORMULA = 64 * 1024
_LONGEST_CELL = 4 * 1024 * 1024
_END = 4 * 1024
"""Bytes at either end of a chunk that hold a few cells."""

_STYLE = re.compile(rb"\ss=[\"'](\d{1,9})[\"']")
_REFERENCE = re.compile(rb"\sr=[\"']([A-Za-z]{1,3})(\d{1,7})[\"']")
_SIGNED = re.compile(rb"-[0-9.]{1,30}(?:[eE][-+]?[0-9]{1,3})?(?=</)")

# Compiled patterns, because they look for a literal at twice the speed of `in`.
_IS_ERROR = re.compile(rb"t=[\"']e[\"']")
_NEGATIVE = re.compile(rb"v>-")
_FORMULAS = (re.compile(rb"<f"), re.compile(rb":f"))


@dataclass(frozen=True)
class Place:
    """Where one sheet of the workbook lies: the normal name of its part."""

    name: str
    part: str


def main_part(archive: Archive) -> str | None:
    """The normal name of the container's main part: the workbook, in a workbook."""
    for target, kind in relationships(archive, "").values():
        if kind.endswith("/officeDocument"):
            return target
    return None


def places(archive: Archive, workbook: str) -> list[Place]:
    """The sheets of an xlsx workbook in its order; none if its parts make no sense."""
    targets = relationships(archive, workbook)
    found = []
    for tag, attributes in _elements(archive, workbook):
        if tag == "sheet":
            ids = [value for key, value in attributes.items() if key.endswith(" id")]
            target, _kind = targets.get(ids[0] if ids else "", ("", ""))
            found.append(Place(attributes.get("name", ""), target))
    return found


def relationships(archive: Archive, part: str) -> dict[str, tuple[str, str]]:
    """Target (a normal name) and type of each relationship of a part; of the package for ""."""
    folder, _slash, file = part.rpartition("/")
    found = {}
    for _tag, attributes in _elements(archive, join(folder, "_rels", f"{file}.rels")):
        target = attributes.get("Target", "").replace("\\", "/")
        base = "" if target.startswith("/") else folder
        whole = normal(normpath(join(base, target.lstrip("/"))))
        found[attributes.get("Id", "")] = (whole, attributes.get("Type", ""))
    return found


def _elements(archive: Archive, part: str) -> list[tuple[str, dict[str, str]]]:
    """Every element of a small part, as far as it can be read: its local name and attributes.

    Strict and transitional workbooks differ in their namespaces and in nothing that matters here.
    """
    found: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda tag, attributes: found.append(
        (tag.rpartition(" ")[2], attributes)
    )
    with suppress(KeyError, Damaged, *NOT_XML):
        data = archive.read(part)
        if not Prolog().declares_type(data):
            parser.Parse(data, True)
    return found


def dates(archive: Archive, workbook: str) -> frozenset[int]:
    """The formats of cells, by their place in the list, that show a number as a date or a time."""
    kinds: dict[str, int] = {}
    found, at, inside = set(), 0, ""
    for tag, attributes in _elements(archive, related(archive, workbook, "/styles")):
        if tag in ("cellXfs", "cellStyleXfs", "dxfs"):
            inside = tag
        elif tag == "numFmt" and not inside:
            kinds[attributes.get("numFmtId", "")] = formats.kind(attributes.get("formatCode", ""))
        elif tag == "xf" and inside == "cellXfs":
            number = attributes.get("numFmtId", "")
            usual = formats.built_in(int(number)) if number.isdigit() else formats.NUMBER
            if kinds.get(number, usual) == formats.DATE:
                found.add(at)
            at += 1
    return frozenset(found)


def related(archive: Archive, part: str, kind: str) -> str:
    """The normal name of the part that another has a relationship of this kind with, or nothing."""
    parts = relationships(archive, part).values()
    return next((target for target, whole in parts if whole.endswith(kind)), "")


def is_stale(archive: Archive, workbook: str) -> bool:
    """Whether the workbook asks to have all formulas worked out when it is opened."""
    return any(
        tag == "calcPr" and attributes.get("fullCalcOnLoad") in ("1", "true")
        for tag, attributes in _elements(archive, workbook)
    )


class _CellScan(ABC):
    """Looks through the cells of one worksheet part, chunk by chunk, at none in two halves.

    Call `close` after the last.
    """

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self._rest = b""

    def __call__(self, chunk: bytes) -> None:
        data = self._rest + chunk
        cut = max(_last_cell(data), len(data) - _LONGEST_CELL)
        self._rest = data[cut:]
        self._look(data[:cut])

    def close(self) -> Survey:
        self._look(self._rest)
        self._rest = b""
        return self.survey

    @abstractmethod
    def _look(self, data: bytes) -> None:
        """Take some whole cells."""


class SheetScan(_CellScan):
    """Notes what the cells hold, and where.

    In a workbook that is `stale` a result of 0 may be what a program wrote that works nothing out.
    """

    def __init__(self, *, stale: bool = False) -> None:
        super().__init__(Survey())
        self._stale = stale

    def _look(self, data: bytes) -> None:
        survey = self.survey
        self._cover(data)
        survey.filled = survey.filled or bool(_VALUE.search(data))
        if _IS_ERROR.search(data):
            survey.errors += len(_ERROR.findall(data))
        if any(formula.search(data) for formula in _FORMULAS):
            cells = _UNSAVED.findall(data)
            survey.unsaved += sum(1 for cell, value in cells if not (value and _TEXT.search(cell)))
            if self._stale:
                cells = _ZERO.findall(data)
                survey.zeros += sum(1 for cell in cells if not _TYPED.search(cell))

    def _cover(self, data: bytes) -> None:
        """Widen the rectangle to the filled cells of a chunk.

        Most often the cells at its ends, with all those from A1 on, span the others: a search for
        one that lies beyond finds none, and takes a fraction of looking at each.
        """
        survey = self.survey
        ends = _CELL.findall(data[:_END]) + _CELL.findall(data[-_END:])
        if len(data) > 2 * _END and ends:
            bottom = max(survey.bottom, *(int(row) for _, row in ends))
            columns = {column_number(column) for column, _ in ends}
            right = max(survey.right, *columns)
            small = bottom * (right + 1) <= limits.sheet_cells() and 2 * min(columns) <= right
            if small and not beyond(right, bottom, data):
                survey.cover((1, bottom), (0, right))
                return
        if found := _CELL.findall(data):
            letters, rows = map(set, zip(*found, strict=True))
            survey.cover(map(int, rows), map(column_number, letters))


def beyond(right: int, bottom: int, data: bytes) -> bool:
    """Whether a reference in it lies right of a column (from zero) or below a row (from one)."""
    columns = _greater(column_letters(right), b"A-Z", b"Z")
    rows = _greater(b"%d" % bottom, b"0-9", b"9")
    pattern = rb"r=[\"'](?:[A-Z]{0,2}[a-z]|%s|[A-Z]{1,3}(?:%s))" % (columns, rows)
    return bool(re.search(pattern, data))


def _greater(number: bytes, digits: bytes, last: bytes) -> bytes:
    """What matches the start of a number with more digits, or with as many and one greater."""
    found = [b"[%s]{%d}" % (digits, len(number) + 1)]
    for at, digit in enumerate(number):
        if digit < last[0]:
            more = b"[%c-%s][%s]{%d}" % (digit + 1, last, digits, len(number) - at - 1)
            found.append(number[:at] + more)
    return b"|".join(found)


def _last_cell(data: bytes, start: int = 0, end: int | None = None) -> int:
    """Where the last cell starts, so that no cell is looked at in two halves."""
    plain = data.rfind(b"<c ", start, end)
    if plain >= 0:
        return plain
    return max(0, data.rfind(b"<", start, max(0, data.rfind(b":c ", start, end))))


def column_number(letters: bytes) -> int:
    """`A` is 0, `XFD` is 16383."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number - 1


def column_letters(number: int) -> bytes:
    """0 is `A`, 16383 is `XFD`."""
    letters = b""
    while number >= 0:
        letters = b"%c" % (65 + number % 26) + letters
        number = number // 26 - 1
    return letters


class SignScan(_CellScan):
    """Notes the negative numbers that are shown as dates or times.

    `dates` are the formats that do. One more search takes percents of the reader's own time, so
    this is no part of `SheetScan`.
    """

    def __init__(self, survey: Survey, dates: frozenset[int]) -> None:
        super().__init__(survey)
        self._dates = {b"%d" % at for at in dates}

    def _look(self, data: bytes) -> None:
        for found in _NEGATIVE.finditer(data):
            start = _last_cell(data, max(0, found.start() - _LONGEST_FORMULA), found.start())
            cell = data[start : data.find(b">", start)]
            style, value = _STYLE.search(cell), _SIGNED.match(data, found.end() - 1)
            if style and style[1] in self._dates and value:
                self._note(_REFERENCE.search(cell), float(value[0]))

    def _note(self, reference: re.Match[bytes] | None, days: float) -> None:
        if reference:
            column, row = column_number(reference[1]), int(reference[2]) - 1
            self.survey.before_zero(row, column, days)
        else:
            self.survey.signless += 1


class StringsScan:
    """Compares how many shared strings the part declares with how many it has room for.

    The native reader reserves memory for as many as are declared; a lie kills the process.
    """

    def __init__(self) -> None:
        self._declared = 0
        self._size = 0
        self._head = b""

    def __call__(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if len(self._head) < limits.HEAD:
            self._head += chunk[: limits.HEAD]
            found = _STRINGS.search(self._head)
            self._declared = int(found[1]) if found else 0

    @property
    def honest(self) -> bool:
        return self._declared * len(b"<si/>") <= self._size
