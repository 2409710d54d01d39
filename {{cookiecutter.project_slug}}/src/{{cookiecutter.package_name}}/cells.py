"""What a worksheet can hold: the rules that keep a workbook whole, exact and harmless.

Nothing in it is alive: text stays text, whatever it starts with. What a worksheet cannot hold is
written as text that a person can read: NaN and infinity, whole numbers beyond 2**53, dates before
March 1900, times with a zone, negative durations. Text too long for a cell ends with an ellipsis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

from openpyxl.cell import Cell as SheetCell
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.worksheet.worksheet import Worksheet

from .report import NUMERIC, Shown
from .values import Cell, clean, duration, exact, unique

CELL_LENGTH = 32_767
NAME_LENGTH = 31
UNIT_LENGTH = 100
"""Limits of Excel, which counts UTF-16 units: an emoji is two."""
IN_QUOTES = str.maketrans({'"': "''", "\n": " ", ";": ","})
FIRST_MONTH = (1900, 3)
"""Excel believes in 29 February 1900, so programs disagree about the days before."""

GENERAL = "General"
SCIENTIFIC = "0.00E+00"
DATE, DATETIME, TIME, DURATION = "yyyy-mm-dd", "yyyy-mm-dd hh:mm", "hh:mm:ss", "[h]:mm:ss"

FACE = "Calibri"
INK, PAPER = "1F3A5F", "FFFFFF"
PLAIN = Font(FACE, 11)
STRONG = Font(FACE, 11, bold=True)
RULE = Border(top=Side("thin", color=INK))
HEADING = Font(FACE, 11, bold=True, color=PAPER)
HEADING_FILL = PatternFill("solid", fgColor=INK)
SIDES: dict[bool, dict[str, Any]] = {
    True: {"horizontal": "right"},
    False: {"horizontal": "left", "indent": 1},
}
"""Where a cell stands: right in a column of numbers, else left with some air before it."""

FORBIDDEN_IN_NAMES = re.compile(r"[\[\]:*?/\\\s]+")
LOOKS_ESCAPED = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
STARTS_FORMULA = ("=", "+", "-", "@")


def sheet_names(names: Iterable[str]) -> list[str]:
    """Names that Excel takes, in order: legal, at most 31 long, and no two alike but for case."""
    legal = (FORBIDDEN_IN_NAMES.sub(" ", clean(name)).strip(" '") or "Table" for name in names)

    def numbered(name: str, number: str) -> str:
        return cut(name, NAME_LENGTH - len(number)).rstrip(" '") + number

    return unique(legal, str.casefold, numbered, taken={"history"})  # which Excel keeps for itself


def cut(text: str, units: int) -> str:
    """The text, or as much of it as fits in so many UTF-16 units with an ellipsis at its end."""
    if 2 * len(text) <= units or len(text.encode("utf-16-le")) <= 2 * units:
        return text
    return text.encode("utf-16-le")[: 2 * units - 2].decode("utf-16-le", "ignore") + "…"


def stored_text(text: str) -> str:
    """The text as a worksheet stores it; `_x0041_` would be read as "A" if it were not escaped."""
    return cut(LOOKS_ESCAPED.sub("_x005F_", clean(text)), CELL_LENGTH)


def stored(value: Cell) -> Cell:
    """The value as a worksheet can hold it: itself, or its text."""
    if isinstance(value, str):
        return stored_text(value)
    if isinstance(value, int | float):
        return exact(value)
    if isinstance(value, datetime | time) and value.tzinfo is not None:
        return value.isoformat()
    if isinstance(value, date) and (value.year, value.month) < FIRST_MONTH:
        return value.isoformat()
    if isinstance(value, timedelta) and value < timedelta():
        return duration(value)
    return value


def number_format(value: Cell, shown: Shown) -> str:
    """How a cell is shown: as its column says, or plainly where it is of another kind."""
    if isinstance(value, datetime) and shown.kind != "date":
        return DATETIME
    if isinstance(value, date):
        return DATE
    if isinstance(value, time | timedelta):
        return TIME if isinstance(value, time) else DURATION
    if isinstance(value, bool) or not isinstance(value, int | float) or shown.kind not in NUMERIC:
        return GENERAL
    if shown.kind == "integer" and value != int(value):
        return with_unit(GENERAL, shown.unit)
    least = 0.005 if shown.decimals is None else 0
    if shown.kind == "number" and value and not least <= abs(value) < 1e15:
        return with_unit(SCIENTIFIC, shown.unit)  # else nothing would be seen, or too many digits
    return with_unit(numbers_format(shown), shown.unit)


def numbers_format(shown: Shown) -> str:
    """How the numbers of a column are shown, without their unit."""
    if shown.kind == "integer":
        return "#,##0"
    percent = shown.kind == "percent"
    places = (1 if percent else 2) if shown.decimals is None else shown.decimals
    return ("0" if percent else "#,##0") + ("." + "0" * places if places else "") + "%" * percent


def with_unit(form: str, unit: str) -> str:
    """The unit stands in quotes, where nothing in it is a sign of the format's own.

    A semicolon is one to some readers even there, and the number becomes a date to them.
    """
    text = cut(clean(unit).translate(IN_QUOTES), UNIT_LENGTH)
    return f'{form}" {text}"' if text else form


class Pen:
    """Makes the cells of one sheet. A cell of a table is reused for the next value of its style,
    because a new one a value takes three times as long."""

    def __init__(self, sheet: Worksheet) -> None:
        self.sheet = sheet
        self._cells: dict[tuple[str, bool, bool], SheetCell] = {}

    def cell(self, value: Cell, shown: Shown) -> SheetCell | None:
        """The cell to append before the next one is asked for; None for an empty one."""
        value = stored(value)
        if value is None:
            return None
        quoted = isinstance(value, str) and value.startswith(STARTS_FORMULA)
        key = (number_format(value, shown), quoted, shown.kind in NUMERIC)
        cell = self._cells.get(key) or self._cells.setdefault(key, self._new(*key))
        _put(cell, value)
        return cell

    def strong(self, value: Cell, shown: Shown, is_number: bool = True) -> SheetCell:
        """A bold cell of its own, on the right unless it stands in a column of text."""
        value = stored(value)
        quoted = isinstance(value, str) and value.startswith(STARTS_FORMULA)
        cell = self._new(number_format(value, shown), quoted, is_number)
        _put(cell, value)
        cell.font = STRONG
        return cell

    def total(self, value: Cell, shown: Shown) -> SheetCell:
        """A cell of the row of totals, empty or not."""
        cell = self.strong(value, shown, shown.kind in NUMERIC)
        cell.border = RULE
        return cell

    def heading(self, text: str, is_number: bool = False) -> SheetCell:
        cell = self.text(text, HEADING)
        cell.fill = HEADING_FILL
        cell.alignment = Alignment(wrap_text=True, vertical="center", **SIDES[is_number])
        return cell

    def text(self, text: str, font: Font = PLAIN) -> SheetCell:
        cell = WriteOnlyCell(self.sheet)
        _put(cell, stored_text(text))
        cell.font = font
        cell.alignment = Alignment(wrap_text=True, vertical="top", **SIDES[False])
        return cell

    def _new(self, shown_as: str, quoted: bool, is_number: bool) -> SheetCell:
        cell = WriteOnlyCell(self.sheet)
        cell.number_format = shown_as
        cell.quotePrefix = quoted  # so that it is text even after somebody has edited the cell
        # Every cell has a style: openpyxl recycles those that have none, under our hands.
        cell.alignment = Alignment(vertical="top", **SIDES[is_number])
        return cell


def _put(cell: SheetCell, value: Cell) -> None:
    if isinstance(value, float):
        cell.value = float.__repr__(value)  # openpyxl would write 16 digits, which is not enough
        cell.data_type = "n"
        return
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"  # openpyxl takes "=1+1" for a formula and "#N/A" for an error
