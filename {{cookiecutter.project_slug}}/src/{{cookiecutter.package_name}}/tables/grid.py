"""One sheet as a reader gives it, before it is laid out."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from ..step import UserError
from . import limits
from .inspection import over_budget
from .model import Cell

EXACT = 2**53
"""Up to here every whole number has its own float."""


_SHARED = 100_000


class Unreadable(Exception):
    """A reader gave up on the file; another may not."""


@dataclass
class Grid:
    """The rows of one sheet without blank ones. `kind` is set for a sheet that holds no cells."""

    name: str
    hidden: bool = False
    kind: str = ""
    rows: list[list[Cell]] = field(default_factory=list)
    blank: int = 0
    errors: int = 0
    _pending: int = 0

    def add(self, row: list[Cell]) -> None:
        """Add a row; a blank one is only counted, and only if another row follows it."""
        if row.count(None) == len(row):
            self._pending += bool(self.rows)
        else:
            self.rows.append(row)
            self.blank, self._pending = self.blank + self._pending, 0


class Budget:
    """Counts the cells of one file and refuses what is too much, with a sentence."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._cells = 0
        self._texts: dict[str, str] = {}

    def spend(self, cells: int) -> None:
        self._cells += cells
        if self._cells > limits.MAX_SHEET_CELLS:
            raise over_budget(self.name)

    def clean(self, value: Cell) -> Cell:
        """A cell's value by our rules: text without a visible character is blank, a whole float
        is an integer where that is exact, and what is no finite number is text."""
        if isinstance(value, str):
            if len(value) > limits.MAX_TEXT:
                raise too_long(self.name)
            return self._shared(value) if value and not value.isspace() else None
        if isinstance(value, float):
            if value.is_integer() and -EXACT <= value <= EXACT:
                return int(value)
            return value if isfinite(value) else str(value)
        return value

    def _shared(self, text: str) -> str:
        """One object for equal texts: a column of categories takes no memory of its own."""
        if len(self._texts) > _SHARED:
            self._texts.clear()
        return self._texts.setdefault(text, text)


def too_long(name: str) -> UserError:
    """The sentence for a cell with too much text."""
    return UserError(
        f"{name} has a cell of more than {limits.MAX_TEXT:,} characters, which is more than can be "
        "read."
    )
