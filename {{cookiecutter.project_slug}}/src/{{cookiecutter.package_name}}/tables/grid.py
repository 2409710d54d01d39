"""One sheet as a reader gives it, before it is laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import time
from math import isfinite
from typing import Any

from ..step import UserError
from ..values import MAX_WHOLE, Cell
from . import limits
from .inspection import over_budget

_SHARED = 100_000


class Unreadable(Exception):
    """A reader gave up on the file; another may not."""


@dataclass
class Grid:
    """The rows of one sheet without blank ones. `kind` is set for a sheet that holds no cells.

    `times` tells of a time of day, which the native reader also makes of a negative time.
    """

    name: str
    hidden: bool = False
    kind: str = ""
    rows: list[list[Cell]] = field(default_factory=list)
    blank: int = 0
    errors: int = 0
    times: bool = False
    _pending: int = 0

    def add(self, row: list[Cell]) -> None:
        """Add a row; a blank one is only counted, and only if another row follows it."""
        if row.count(None) == len(row):
            self._pending += bool(self.rows)
        else:
            self.rows.append(row)
            self.blank, self._pending = self.blank + self._pending, 0

    def extend(self, rows: list[list[Cell]]) -> None:
        """Add rows of one width, at least one."""
        if [None] * len(rows[0]) in rows:
            for row in rows:
                self.add(row)
        else:
            self.rows += rows
            self.blank, self._pending = self.blank + self._pending, 0


class Budget:
    """Counts the cells of one file and refuses what is too much, with a sentence.

    Makes of its cells, as a reader gives them, values by our rules: text without a visible
    character is blank, a whole float is an integer where that is exact, and what is no finite
    number is text.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.times = False
        self._cells, self._most = 0, limits.sheet_cells()
        self._texts = _Texts(name)

    def spend(self, cells: int) -> None:
        self._cells += cells
        if self._cells > self._most:
            raise over_budget(self.name)

    def clean(self, value: Cell) -> Cell:
        """A cell's value."""
        if isinstance(value, str):
            return self._texts[value]
        return _number(value) if isinstance(value, float) else value

    def clean_column(self, cells: Sequence[Any]) -> Sequence[Cell]:
        """The values of many cells, which most often are of one type."""
        types = set(map(type, cells))
        if types == {str}:
            return [*map(self._texts.__getitem__, cells)]
        if types == {float}:
            return [*map(int if _all_whole(cells) else _number, cells)]
        self.times = self.times or time in types
        if types.isdisjoint((str, float)):
            return cells
        return [*map(self.clean, cells)]


def _all_whole(numbers: Sequence[float]) -> bool:
    return all(map(float.is_integer, numbers)) and max(map(abs, numbers)) <= MAX_WHOLE


def _number(number: float) -> Cell:
    if number.is_integer() and -MAX_WHOLE <= number <= MAX_WHOLE:
        return int(number)
    return number if isfinite(number) else str(number)


class _Texts(dict[str, str | None]):
    """One object for equal texts: a column of categories takes no memory of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, text: str) -> str | None:
        if len(text) > limits.MAX_TEXT:
            raise too_long(self._name)
        if len(self) >= _SHARED:
            self.clear()
        value = self[text] = text if text and not text.isspace() else None
        return value


def too_long(name: str) -> UserError:
    """The sentence for a cell with too much text."""
    return UserError(
        f"{name} has a cell of more than {limits.MAX_TEXT:,} characters, which is more than can be "
        "read."
    )
