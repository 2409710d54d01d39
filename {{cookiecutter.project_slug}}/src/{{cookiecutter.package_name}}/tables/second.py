"""The second reader: openpyxl, for xlsx. Slower, but it does not lay a sheet out as a rectangle.

openpyxl uses defusedxml where it is installed, so entities and type definitions are refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, time
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import IO, Any

from openpyxl import load_workbook

from ..step import UserError
from ..values import Cell
from . import limits
from .grid import Budget, Grid, Unreadable
from .inspection import over_budget
from .progress import Fraction


def read(
    file: PathLike[str] | bytes,
    name: str,
    progress: Fraction,
    names: Container[str] | None = None,
) -> list[Grid]:
    """Every sheet in its order, or those of some names only.

    Raises `Unreadable`, or `UserError` over the budget.
    """
    with _open(file) as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _reader():
            book = load_workbook(opened, read_only=True, data_only=True)
            sheets = [book[title] for title in book.sheetnames if names is None or title in names]
        budget, grids = Budget(name), []
        for index, sheet in enumerate(sheets):
            grids.append(_grid(sheet, book.epoch, budget))
            progress((index + 1) / len(sheets))
        return grids


def _open(file: PathLike[str] | bytes) -> IO[bytes]:
    return BytesIO(file) if isinstance(file, bytes) else Path(file).open("rb")


def _grid(sheet: Any, epoch: datetime, budget: Budget) -> Grid:
    """Read one sheet; openpyxl's types do not tell a read-only sheet from others."""
    grid = Grid(sheet.title, sheet.sheet_state != "visible")
    if not hasattr(sheet, "reset_dimensions"):
        grid.kind = "chart sheet"
        return grid
    # Its reader believes the declared dimension and drops what lies outside.
    sheet.reset_dimensions()
    rows = enumerate(sheet.iter_rows(), 1)
    while True:
        with _reader():
            number, cells = next(rows, (0, None))
        if cells is None:
            return grid
        if number > limits.MAX_ROWS:  # it makes up all rows before one that claims a high number
            raise over_budget(budget.name)
        row = _row(cells, grid, epoch, budget)
        budget.spend(len(row))
        grid.add(row)


def _row(cells: Iterable[Any], grid: Grid, epoch: datetime, budget: Budget) -> list[Cell]:
    """The values of a row up to its last filled cell."""
    row: list[Cell] = []
    for cell in cells:
        value = cell.value
        if cell.data_type == "e":
            grid.errors += 1
            value = None
        elif isinstance(value, datetime) and value < epoch:
            value -= epoch  # a negative number, so a length of time
        elif isinstance(value, datetime) and value.time() == time.min:
            value = value.date()
        row.append(budget.clean(value))
    while row and row[-1] is None:
        row.pop()
    return row


@contextmanager
def _reader() -> Iterator[None]:
    try:
        yield
    except (MemoryError, UserError):
        raise
    except Exception as error:
        raise Unreadable(str(error)) from error
