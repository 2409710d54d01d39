"""The corrections of a review, as a session keeps them, and how those of several tabs meet.

A session keeps only what was changed: `{"3": {"Category": "Travel"}}`, by row and column, in JSON's
own types. Edits of different cells always add up. An edit may say what value it `was` made upon; if
the cell has another by then, somebody else was there first, and whoever comes second is told which
value stands there now.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from .report_json import cell
from .review import MAX_ROWS, Review
from .silo import BackgroundTask
from .values import Cell

NAMESPACE = "review"
AWAITS = "review"
"""What a job returns that has made a review, and no report yet."""
MOST_EDITS = 5000
MOST_BYTES = 2**18
"""Of all edits of a session, which each of its calls reads."""
MOST_AT_ONCE = 1000

Value = str | int | float | bool | None
Kept = dict[str, dict[str, Value]]


class Edit(BaseModel):
    """A new value of a cell; rows count from 0, dates are ISO 8601, null is empty.

    `was` is the value that the person saw there: the edit is refused if it has changed since.
    """

    model_config = ConfigDict(extra="forbid")

    row: int = Field(ge=0, lt=MAX_ROWS)
    column: str
    value: Value
    was: Value = None


class Edits(BaseModel):
    """Edits that are kept all together, or not at all; `review` is the id of what they are for."""

    model_config = ConfigDict(extra="forbid")

    edits: list[Edit] = Field(min_length=1, max_length=MOST_AT_ONCE)
    review: str | None = None


class Refused(Exception):
    """Edits that cannot be kept; `errors` say why, each with its row and column."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        self.errors = errors
        super().__init__(" ".join(told(each) for each in errors[:5]))


class Misfitting(Refused):
    """Values that their columns do not take."""


class Overtaken(Refused):
    """Cells that were changed meanwhile; each error has the `value` that stands there."""


class TooMany(Exception):
    """More edits than a session keeps; the text says so to the person."""


def first_state() -> dict[str, Any]:
    """What a session begins with: edits of no review.

    `job` has made the review that they belong to, `finish` makes the report of it.
    """
    return {"job": None, "finish": None, "edits": {}}


def review_of(task: BackgroundTask, kept: dict[str, Any]) -> str | None:
    """The id of the review that a session has: the job that has made it."""
    state = task.state
    if state.complete and task.result == AWAITS:
        return state.id
    return kept["job"] if state.id and state.id == kept["finish"] else None


def edits_of(kept: dict[str, Any], job: str) -> Kept:
    """The edits of this very review."""
    found: Kept = kept["edits"] if kept["job"] == job else {}
    return found


def edited(review: Review, edits: Kept) -> Review:
    """The review with these edits."""
    rows: list[Sequence[Cell]] = list(review.rows)
    for number, changed in edits.items():
        row = list(rows[int(number)])
        for name, value in changed.items():
            place = review.place(name)
            row[place] = review.columns[place].parse(value)
        rows[int(number)] = row
    cells = frozenset((int(number), name) for number, row in edits.items() for name in row)
    return replace(review, rows=rows, edited=cells)


def merged(review: Review, edits: Kept, more: Sequence[Edit]) -> Kept:
    """The edits with more of them; a value that the step itself gave is none.

    Raises Misfitting, Overtaken or TooMany.
    """
    new = checked(review, more)
    now = {number: dict(row) for number, row in edits.items()}
    clashes = []
    for edit, value in zip(more, new, strict=True):
        row = now.setdefault(str(edit.row), {})
        given = cell(review.rows[edit.row][review.place(edit.column)])
        current = row.get(edit.column, given)
        if "was" in edit.model_fields_set and current not in (edit.was, value):
            clashes.append(error(edit, "Somebody else has changed this meanwhile.", value=current))
        row[edit.column] = value
        if value == given:
            del row[edit.column]
    if clashes:
        raise Overtaken(clashes)
    now = {number: row for number, row in now.items() if row}
    check_size(now)
    return now


def checked(review: Review, more: Sequence[Edit]) -> list[Value]:
    """The values of edits as they are kept. Raises Misfitting."""
    values, wrong = [], []
    for edit in more:
        try:
            values.append(value_of(review, edit))
        except ValueError as misfit:
            wrong.append(error(edit, str(misfit)))
    if wrong:
        raise Misfitting(wrong)
    return values


def value_of(review: Review, edit: Edit) -> Value:
    """Raises ValueError: a sentence."""
    column = next((each for each in review.columns if each.name == edit.column), None)
    if column is None or edit.row >= len(review.rows):
        raise ValueError("There is no such cell.")
    if not column.editable:
        raise ValueError("This cannot be changed.")
    return cell(column.parse(edit.value))


def check_size(edits: Kept) -> None:
    """Raises TooMany."""
    if sum(map(len, edits.values())) > MOST_EDITS or len(json.dumps(edits)) > MOST_BYTES:
        raise TooMany(
            f"At most {MOST_EDITS:,} values can be corrected, of {MOST_BYTES // 1024} kB in all. "
            "Make the report, and correct the rest in the workbook."
        )


def error(edit: Edit, message: str, **more: Any) -> dict[str, Any]:
    return {"row": edit.row, "column": edit.column, "message": message, **more}


def told(error: dict[str, Any]) -> str:
    """An error as a sentence; people count rows from 1."""
    return f"Row {error['row'] + 1}, {error['column'][:100]}: {error['message']}"
