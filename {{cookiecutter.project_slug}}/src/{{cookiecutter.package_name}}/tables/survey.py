"""What the bytes of one sheet say about its cells, counted before a reader lays them out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_REMEMBERED = 100_000
"""Cells with a negative time in one sheet; as many take about 20 MB."""


@dataclass
class Survey:
    """Counts of one sheet, and the rectangle that its filled cells span (from zero).

    `name` is empty where it is not known.
    `errors` are cells that hold an error such as #REF!, which readers turn into blank cells.
    `unsaved` are formulas without a saved result; `zeros` are those with a 0 that may stand for
    none. `unread` are cells of a kind no reader knows.
    `negative` are the days of times before zero, which the native reader takes for times of day,
    by row and column; `signless` is how many there are besides.
    """

    name: str = ""
    errors: int = 0
    unsaved: int = 0
    zeros: int = 0
    unread: int = 0
    negative: dict[tuple[int, int], float] = field(default_factory=dict)
    signless: int = 0
    filled: bool = False
    top: int = 2**32
    bottom: int = -1
    left: int = 2**32
    right: int = -1

    def cover(self, rows: Iterable[int], columns: Iterable[int]) -> None:
        """Widen the rectangle to these rows and columns."""
        for row in rows:
            self.top, self.bottom = min(self.top, row), max(self.bottom, row)
        for column in columns:
            self.left, self.right = min(self.left, column), max(self.right, column)

    def before_zero(self, row: int, column: int, days: float) -> None:
        """Note a negative number that its format shows as a time or a date."""
        if len(self.negative) < _REMEMBERED:
            self.negative[row, column] = days
        else:
            self.signless += 1

    @property
    def area(self) -> int:
        """Cells of the rectangle, blank ones included: what a reader that lays out full takes."""
        return max(0, self.bottom - self.top + 1) * max(0, self.right - self.left + 1)

    def sentences(self) -> list[str]:
        """What must be said of the sheet beside its rows."""
        told = []
        if self.errors:
            told.append(count(self.errors, "cell holds", "cells hold") + _ERROR)
        if self.unsaved:
            told.append(count(self.unsaved, "formula has", "formulas have") + _UNSAVED)
        if self.zeros:
            told.append(count(self.zeros, "formula has", "formulas have") + _ZERO)
        if self.unread:
            told.append(count(self.unread, "cell is", "cells are") + " of a kind that is not read.")
        if self.signless:
            told.append(count(self.signless, "time or date is", "times or dates are") + _NEGATIVE)
        return told


_ERROR = " an error such as #REF! or #N/A; read as blank."
_SAVE = " Open the file in a spreadsheet program and save it to have the results."
_UNSAVED = " no saved result; read as blank." + _SAVE
_ZERO = " 0 for a result and may never have been calculated; read as 0." + _SAVE
_NEGATIVE = (
    " negative and was read as a time of day, which is wrong. Format such cells as numbers or as "
    "[h]:mm, and save the file again."
)


def match(surveys: list[Survey], names: Sequence[str]) -> list[Survey]:
    """The survey of each sheet by its name, an empty one where they do not fit together."""
    if len(surveys) == len(names):
        return surveys
    found = {survey.name: survey for survey in surveys if survey.name}
    return [found.get(name) or Survey() for name in names]


def count(number: int, one: str, many: str) -> str:
    """A number with its words: `1 row`, `4,266 rows`."""
    return f"{number:,} {one if number == 1 else many}"
