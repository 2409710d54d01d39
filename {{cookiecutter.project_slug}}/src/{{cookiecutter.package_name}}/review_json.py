"""A review as bytes, from which it comes back as it was, and as the page gets it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO

from .report_json import cell
from .review import Review, ReviewColumn
from .values import Cell, clean

READERS: dict[str, Any] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
}
"""JSON has no like of these, so each is stored as an object of one such name."""


def dump(review: Review) -> bytes:
    """The review, to be stored."""
    columns = [packed_column(column) for column in review.columns]
    rows = [[packed(value) for value in row] for row in review.rows]
    return json.dumps([review.title, columns, rows, list(review.notes)]).encode()


def load(stream: BinaryIO) -> Review:
    """The review that was stored."""
    title, columns, rows, notes = json.load(stream)
    return Review(
        title,
        [ReviewColumn(**{name: unpacked(v) for name, v in each.items()}) for each in columns],
        [[unpacked(value) for value in row] for row in rows],
        notes,
    )


def packed_column(column: ReviewColumn) -> dict[str, Any]:
    told = asdict(column)
    return told | {name: packed(told[name]) for name in ("least", "most")}


def packed(value: Cell) -> Any:
    if isinstance(value, timedelta):
        return {"timedelta": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, date | time):  # a datetime is a date
        return {kind_of(value): value.isoformat()}
    return value


def kind_of(value: date | time) -> str:
    """Its type's name, or that of the type it is made from."""
    return next(each.__name__ for each in type(value).__mro__ if each.__name__ in READERS)


def unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        [(name, text)] = value.items()
        return READERS[name](text)
    return value


def page_of(review: Review, offset: int, limit: int) -> dict[str, Any]:
    """Some rows of the review as strict JSON, with all that is told of it."""
    rows: Sequence[Sequence[Cell]] = review.rows[offset : offset + limit]
    there = range(offset, offset + len(rows))
    return {
        "title": clean(review.title),
        "notes": [clean(note) for note in review.notes],
        "columns": [column_json(column) for column in review.columns],
        "row_count": len(review.rows),
        "offset": offset,
        "rows": [[cell(value) for value in row] for row in rows],
        "edited": [
            {"row": row, "column": name} for row, name in sorted(review.edited) if row in there
        ],
        "edits": len(review.edited),
    }


def column_json(column: ReviewColumn) -> dict[str, Any]:
    told = asdict(column)
    return told | {
        "choices": list(column.choices),
        "least": cell(column.least),
        "most": cell(column.most),
    }
