"""From a grid of cells to a sheet: which row is the header, what the columns are called.

The rule for the header: of the first 50 rows that hold anything, take the typical (upper median)
number of filled cells and the typical position of the last one. The header is the first row that
reaches past half of that position and fills at least half of that number; rows above it are titles
and are named in `skipped`, word for word. If that row has nothing but numbers, dates or booleans,
it is data, as is all from the first such row on: the row above that is the header if it reaches as
far, or else there is none, and the columns are numbered. A lone row of one cell is data, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from operator import itemgetter
from statistics import median_high

from ..values import Cell, unique
from .model import Sheet
from .survey import count

SEARCH = 50
"""Rows that are looked at to find the header."""

_QUOTED = 1_000
"""Characters of the titles that are quoted."""

Row = Sequence[Cell]


def header_index(rows: Sequence[Row]) -> int:
    """The index of the header among `rows`, the first ones that are not blank."""
    sample = rows[:SEARCH]
    filled = [sum(cell is not None for cell in row) for row in sample]
    reach = [_reach(row) for row in sample]
    typical_filled, typical_reach = median_high(filled), median_high(reach)
    for index in range(len(sample)):
        if reach[index] * 2 > typical_reach and filled[index] * 2 >= typical_filled:
            return index
    return 0


def find_header(rows: Sequence[Row], names: Callable[[Row], bool]) -> tuple[int, bool]:
    """How many of the rows are titles, and whether the next is a header, by the rule above.

    `names` says of a row whether it can name columns.
    """
    at = header_index(rows)
    if not names(rows[at]):
        at = next(n for n, row in enumerate(rows) if not names(row))
        if at and _reach(rows[at - 1]) >= _reach(rows[at]):
            at -= 1
    alone = len(rows) == 1 and sum(cell is not None for cell in rows[0]) == 1
    return at, names(rows[at]) and not alone


def _reach(row: Row) -> int:
    return next((at for at in range(len(row), 0, -1) if row[at - 1] is not None), 0)


def is_header(row: Row) -> bool:
    """Whether a row can name columns: some cell of it is text."""
    return any(isinstance(cell, str) for cell in row)


def titles(rows: Sequence[Row]) -> list[str]:
    """A sentence that quotes the rows above the header."""
    if not rows:
        return []
    texts = [" | ".join(str(cell) for cell in row if cell is not None) for row in rows]
    quoted = "; ".join(f"“{' '.join(text.split())}”" for text in texts)
    if len(quoted) > _QUOTED:
        quoted = quoted[:_QUOTED] + "…"
    what = count(len(rows), "row above the header is", "rows above the header are")
    return [f"{what} not part of the table: {quoted}"]


def blank_rows(number: int) -> list[str]:
    """A sentence about the blank rows between the others."""
    if not number:
        return []
    return [count(number, "blank row was", "blank rows were") + " left out."]


def unique_names(cells: Sequence[Cell], numbers: Sequence[int]) -> list[str]:
    """Names of columns: text on one line, unique, `Column 3` for a blank in the third column.

    Names that differ in case alone count as equal, because a spreadsheet's table says so.
    """
    texts = zip(map(_text, cells), numbers, strict=True)
    names = (" ".join(text.split()) or f"Column {number}" for text, number in texts)
    return unique(names, str.casefold)


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def lay_out(
    file: str, name: str, rows: list[list[Cell]], *, blank: int, told: list[str], hidden: bool
) -> Sheet:
    """Make a sheet of its rows, none of them blank, at least one; `told` is what to say besides.

    Takes the rows over. `blank` is how many blank rows stood between them.
    """
    at, named = find_header(rows, is_header)
    above = titles(rows[:at])
    header: Row = rows[at] if named else []
    del rows[: at + 1 if named else at]
    width = max(map(len, [header, *rows]))
    header = [*header, *[None] * (width - len(header))]
    for row in rows:
        if len(row) < width:
            row.extend([None] * (width - len(row)))
    used = [
        column
        for column in range(width)
        if header[column] is not None or any(row[column] is not None for row in rows)
    ]
    if len(used) < width:
        rows = [[row[column] for column in used] for row in rows]
    unify(rows, len(used))
    names = unique_names([header[c] for c in used], [c + 1 for c in used])
    return Sheet(file, name, names, rows, [*above, *told, *blank_rows(blank)], hidden)


def unify(rows: list[list[Cell]], width: int) -> None:
    """Make the dates of a column that also holds points in time points in time, at midnight, and
    its times of day durations if it holds one: the two kinds cannot be compared with each other.
    """
    for column in range(width):
        kinds = set(map(type, map(itemgetter(column), rows)))
        if {date, datetime} <= kinds or {time, timedelta} <= kinds:
            for row in rows:
                row[column] = _widened(row[column], kinds)


def _widened(cell: Cell, kinds: set[type]) -> Cell:
    if type(cell) is date and datetime in kinds:
        return datetime.combine(cell, time.min)
    if isinstance(cell, time) and timedelta in kinds:
        return timedelta(
            hours=cell.hour,
            minutes=cell.minute,
            seconds=cell.second,
            microseconds=cell.microsecond,
        )
    return cell
