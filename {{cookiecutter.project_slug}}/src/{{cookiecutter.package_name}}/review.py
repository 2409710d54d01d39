"""What a step returns that wants its rows looked over by a person before the report is made.

`process` returns a `Review`; the person corrects values on the page; `finish(review, options)`
gets the same review with the corrected rows and returns the report. A review is checked where it
is built, as a report is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, cast, get_args

from .report import lone_rows, lone_texts, repeated
from .values import MAX_WHOLE, Cell, clean

__all__ = ["Review", "ReviewColumn"]

ReviewKind = Literal["text", "integer", "number", "date", "boolean", "choice"]

MAX_ROWS = 10_000
MAX_COLUMNS = 50
"""More nobody looks over."""
MAX_CHOICES = 200
MAX_CHARS = 1000
"""Of a text that a person enters, unless its column says otherwise."""

IS_OF: dict[ReviewKind, Callable[[Cell], bool]] = {
    "text": lambda cell: isinstance(cell, str),
    "choice": lambda cell: isinstance(cell, str),
    "boolean": lambda cell: isinstance(cell, bool),
    "date": lambda cell: isinstance(cell, date) and not isinstance(cell, datetime),
    "integer": lambda cell: isinstance(cell, int) and _is_number(cell),
    "number": lambda cell: _is_number(cell),
}
ASKED: dict[ReviewKind, str] = {
    "text": "Enter a text.",
    "choice": "Choose one of those offered.",
    "boolean": "Answer yes or no.",
    "date": "Enter a date, such as 2025-01-31.",
    "integer": "Enter a whole number.",
    "number": "Enter a number.",
}
"""What to say to somebody who entered something else."""


@dataclass(frozen=True)
class ReviewColumn:
    """A column of a review: its heading, the kind of its values, and whether they may be changed.

    `choices` are what a column of kind "choice" offers. `least` and `most` bound numbers and
    dates, `longest` is how many characters a text may have. In a `required` column no cell may be
    empty when the report is made, so the person has to fill those that the step left empty.
    """

    name: str
    kind: ReviewKind = "text"
    editable: bool = False
    choices: Sequence[str] = ()
    least: int | float | date | None = None
    most: int | float | date | None = None
    longest: int = MAX_CHARS
    required: bool = False

    def __post_init__(self) -> None:
        for problem in self._misfits():
            raise ValueError(f"Column {self.name!r}: {problem}.")

    def parse(self, given: object) -> Cell:
        """What a person entered, as a cell; None is empty. Raises ValueError: a sentence for them.

        Dates are given as text, "2025-01-31".
        """
        if given is None or given == "":
            if self.required:
                raise ValueError("This must not be empty.")
            return None
        cell: Any = _read_date(given) if self.kind == "date" else given
        if not isinstance(cell, get_args(Cell)) or not IS_OF[self.kind](cell):
            raise ValueError(ASKED[self.kind])
        if isinstance(cell, str):
            return self._checked_text(clean(cell))
        self._check_bounds(cell)
        return cast(Cell, cell)

    def misfit(self, cell: Cell) -> str | None:
        """What is wrong with a cell of the step's own; empty ones are for the person to fill."""
        if not self.editable or cell is None:
            return None
        if not IS_OF[self.kind](cell):
            return f"{cell!r} is no {self.kind}"
        if self.kind == "choice" and cell not in self.choices:
            return f"{cell!r} is none of its choices"
        return None

    def _checked_text(self, text: str) -> str:
        if self.kind == "choice" and text not in self.choices:
            raise ValueError(ASKED["choice"])
        if len(text) > self.longest:
            raise ValueError(f"At most {self.longest:,} characters fit here.")
        return text

    def _check_bounds(self, cell: Any) -> None:
        if self.least is not None and cell < self.least:
            raise ValueError(f"It must be {_said(self.least)} at least.")
        if self.most is not None and cell > self.most:
            raise ValueError(f"It must be {_said(self.most)} at most.")

    def _misfits(self) -> Iterable[str]:
        if self.kind not in get_args(ReviewKind):
            yield f"kind {self.kind!r} is none of {get_args(ReviewKind)}"
        if (self.kind == "choice") != bool(self.choices):
            yield "choices belong to kind 'choice', which needs them"
        if not all(isinstance(each, str) and each for each in self.choices):
            yield "its choices are texts, none of them empty"
        if len(self.choices) > MAX_CHOICES:
            yield f"it has {len(self.choices):,} choices, more than {MAX_CHOICES}"
        yield from lone_texts(choices=self.choices)
        if twice := repeated(self.choices):
            yield f"it offers {twice!r} twice"
        for bound in (self.least, self.most):
            if bound is not None and (self.kind not in BOUNDED or not IS_OF[self.kind](bound)):
                yield f"{bound!r} is no bound of a {self.kind}"
        if self.required and not self.editable:
            yield "what is required must be editable"


BOUNDED: tuple[ReviewKind, ...] = ("integer", "number", "date")


@dataclass(frozen=True)
class Review:
    """Rows for a person to look over, as wide as `columns`, and what to tell them about it.

    `edited` are the cells that the person has changed, by row (from 0) and name of the column: it
    is empty where `process` makes the review, and `finish` may read it. Raises `ValueError` for
    rows of another width, an editable cell of another kind than its column, or too many rows.
    """

    title: str
    columns: Sequence[ReviewColumn]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    edited: frozenset[tuple[int, str]] = frozenset()

    def __post_init__(self) -> None:
        for problem in self._misfits():
            raise ValueError(f"Review {self.title!r}: {problem}.")

    def place(self, name: str) -> int:
        """Where the column of this name stands. Raises ValueError if there is none."""
        return [column.name for column in self.columns].index(name)

    def missing(self) -> list[tuple[int, str]]:
        """The cells that are empty and must not be, by row and column."""
        required = [n for n, column in enumerate(self.columns) if column.required]
        return [
            (number, self.columns[place].name)
            for number, row in enumerate(self.rows)
            for place in required
            if row[place] in (None, "")
        ]

    def _misfits(self) -> Iterable[str]:
        if not 1 <= len(self.columns) <= MAX_COLUMNS:
            yield f"it has {len(self.columns)} columns, not 1 to {MAX_COLUMNS}"
        if twice := repeated(column.name for column in self.columns):
            yield f"two columns are named {twice!r}"
        if len(self.rows) > MAX_ROWS:
            yield f"it has {len(self.rows):,} rows, more than {MAX_ROWS:,}"
        yield from lone_texts(notes=self.notes)
        yield from lone_rows(self.rows)
        for number, row in enumerate(self.rows):
            yield from self._row_misfits(number, row)

    def _row_misfits(self, number: int, row: Sequence[Cell]) -> Iterable[str]:
        if len(row) != len(self.columns):
            yield f"row {number} has {len(row)} cells for {len(self.columns)} columns"
        for column, cell in zip(self.columns, row, strict=False):
            if not isinstance(cell, get_args(Cell)):
                yield f"a cell is a {type(cell).__name__}, which a review cannot show"
            if problem := column.misfit(cell):
                yield f"row {number}, column {column.name!r}: {problem}"


def _is_number(cell: Cell) -> bool:
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return False
    return abs(cell) <= MAX_WHOLE if isinstance(cell, int) else math.isfinite(cell)


def _said(bound: float | date) -> str:
    return str(bound) if isinstance(bound, date) else f"{bound:,}"


def _read_date(given: object) -> date | None:
    try:
        return date.fromisoformat(given) if isinstance(given, str) and len(given) == 10 else None
    except ValueError:
        return None
