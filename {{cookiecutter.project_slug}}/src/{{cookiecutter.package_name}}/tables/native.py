"""The first reader: python-calamine. It lays each sheet out as a full rectangle.

It is native code. An ordinary failure is an exception, a bug in it a panic, which is no
`Exception`; both end here as `Unreadable`. An abort ends the process, which its parent has to tell
the person.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from io import BytesIO
from itertools import islice
from os import PathLike, fspath

from python_calamine import (
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetMetadata,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from ..step import UserError
from ..values import Cell
from .grid import Budget, Grid, Unreadable
from .progress import Fraction, part
from .survey import Survey, match

_BATCH_ROWS, _BATCH_CELLS = 1_000, 64_000

Row = list[int | float | str | bool | time | date | datetime | timedelta]

# A list, because these native values cannot be hashed.
_KINDS = [
    (SheetTypeEnum.ChartSheet, "chart sheet"),
    (SheetTypeEnum.DialogSheet, "dialog sheet"),
    (SheetTypeEnum.MacroSheet, "macro sheet"),
    (SheetTypeEnum.Vba, "program module"),
]


def read(
    file: PathLike[str] | bytes, name: str, surveys: list[Survey], progress: Fraction
) -> list[Grid]:
    """Every sheet in its order. Raises `Unreadable`, or `UserError` over the budget."""
    budget, grids = Budget(name), []
    with _native(name):
        book = _open(file)
        sheets: list[SheetMetadata] = book.sheets_metadata
    matched = match(surveys, [sheet.name for sheet in sheets])
    for index, (sheet, survey) in enumerate(zip(sheets, matched, strict=True)):
        progress(index / len(sheets))
        grid = Grid(sheet.name, sheet.visible != SheetVisibleEnum.Visible)
        grid.kind = next((name for kind, name in _KINDS if kind == sheet.typ), "")
        if not grid.kind:
            with _native(name):
                cells = book.get_sheet_by_index(index)
            own = part(progress, index / len(sheets), (index + 1) / len(sheets))
            _fill(grid, cells, _Signs(survey, cells), budget, own)
        grids.append(grid)
    return grids


def _open(file: PathLike[str] | bytes) -> CalamineWorkbook:
    if isinstance(file, bytes):
        return CalamineWorkbook.from_filelike(BytesIO(file))
    return CalamineWorkbook.from_path(fspath(file))


def _fill(
    grid: Grid, cells: CalamineSheet, signs: _Signs, budget: Budget, progress: Fraction
) -> None:
    rows, done = iter(cells.iter_rows()), 0
    size = max(1, min(_BATCH_ROWS, _BATCH_CELLS // max(1, cells.width)))
    while batch := _take(rows, size, budget.name):
        budget.spend(len(batch) * cells.width)
        columns = map(budget.clean_column, zip(*batch, strict=True))
        grid.extend(signs.give(done, [*map(list, zip(*columns, strict=True))]))
        done += len(batch)
        progress(done / max(1, cells.height))
    grid.times = budget.times


class _Signs:
    """Makes negative times durations: the reader takes them for times of day.

    It gives rows from the first of the sheet on, but columns from the first that is filled on.
    """

    def __init__(self, survey: Survey, cells: CalamineSheet) -> None:
        self._survey = survey
        _top, self._left = cells.start or (0, 0)
        self._rows: dict[int, list[int]] = {}
        for row, column in survey.negative:
            self._rows.setdefault(row, []).append(column)

    def give(self, done: int, rows: list[list[Cell]]) -> list[list[Cell]]:
        """The rows, mended; `done` is how many went before them."""
        if self._rows:
            for number in self._rows.keys() & range(done, done + len(rows)):
                for column in self._rows[number]:
                    self._mend(number, column, rows[number - done])
        return rows

    def _mend(self, number: int, column: int, row: list[Cell]) -> None:
        at = column - self._left
        if 0 <= at < len(row) and isinstance(row[at], time):
            row[at] = timedelta(days=self._survey.negative[number, column])


def _take(rows: Iterator[Row], size: int, name: str) -> list[Row]:
    with _native(name):
        return list(islice(rows, size))


@contextmanager
def _native(name: str) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except PasswordError as error:
        raise UserError(f"{name} is password-protected. Remove the password first.") from error
    except BaseException as error:
        raise Unreadable(str(error)) from error
