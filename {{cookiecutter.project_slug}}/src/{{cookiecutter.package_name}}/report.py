"""What a processing step returns, and its JSON for the page; `workbook.py` writes it as a file.

A report is checked where it is built: a mistake in it is a `ValueError` that names the table,
raised in the step's own tests and not when somebody downloads the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

Cell = str | int | float | bool | datetime | date | time | timedelta | None
Kind = Literal["text", "integer", "number", "percent", "date", "datetime", "boolean"]

JSON_ROWS = 500
"""The page gets at most this many rows of a table; the workbook has them all."""
MAX_ROWS = 1_048_575
MAX_COLUMNS = 16_384
"""What fits on a worksheet under its header row."""
MAX_WHOLE = 2**53
"""Beyond it neither a worksheet nor JavaScript holds every whole number."""
MAX_NUMBER = 9.99999999999999e307
"""The largest number in a worksheet."""

ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
LINE_END = re.compile("\r\n?")


@dataclass(frozen=True)
class Column:
    """A column's heading, and how its numbers and dates are shown.

    A percent is a fraction: 0.25 is shown as 25%. A cell that is of another kind is shown as it is.
    """

    name: str
    kind: Kind = "text"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(
                f"Column {self.name!r}: kind {self.kind!r} is none of {get_args(Kind)}."
            )


@dataclass(frozen=True)
class Chart:
    """Bars for the first `limit` rows of a table; `labels` and `values` name two of its columns."""

    title: str
    labels: str
    values: str
    kind: Literal["bar"] = "bar"
    limit: int = 20


@dataclass(frozen=True)
class Table:
    """Rows as wide as `columns`, in a list or a tuple: they are read more than once.

    Raises `ValueError` for rows of another width, cells of another type than `Cell`, two columns of
    one name, more than a worksheet holds, or a chart that does not fit the columns.
    """

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    chart: Chart | None = None

    def __post_init__(self) -> None:
        for problem in chain(self._misfits(), self._chart_misfits()):
            raise ValueError(f"Table {self.name!r}: {problem}.")

    def _misfits(self) -> Iterable[str]:
        width = len(self.columns)
        if not 1 <= width <= MAX_COLUMNS:
            yield f"it has {width} columns, not 1 to {MAX_COLUMNS:,}"
        if twice := repeated(column.name for column in self.columns):
            yield f"two columns are named {twice!r}"
        if not isinstance(self.rows, list | tuple):
            yield "rows must be a list or a tuple, because they are read more than once"
        if len(self.rows) > MAX_ROWS:
            yield f"it has {len(self.rows):,} rows, more than the {MAX_ROWS:,} of a worksheet"
        for number, row in enumerate(self.rows):
            if len(row) != width:
                yield f"row {number} has {len(row)} cells for {width} columns"
        for kind in set(map(type, chain.from_iterable(self.rows))):
            if not issubclass(kind, get_args(Cell)):
                yield f"a cell is a {kind.__name__}, which a report cannot show"

    def _chart_misfits(self) -> Iterable[str]:
        if self.chart is None:
            return
        kinds = {column.name: column.kind for column in self.columns}
        for name in (self.chart.labels, self.chart.values):
            if name not in kinds:
                yield f"its chart names a column {name!r} that it does not have"
        if kinds.get(self.chart.values) not in ("integer", "number", "percent"):
            yield f"its chart draws {self.chart.values!r}, which is not a column of numbers"
        if self.chart.limit < 1:
            yield "its chart has no room for a bar"


@dataclass(frozen=True)
class Attachment:
    """A file that the step made and that belongs to the report."""

    name: str
    path: Path


@dataclass(frozen=True)
class Report:
    """What the person gets. Raises `ValueError` for two tables of one name."""

    title: str
    tables: Sequence[Table]
    notes: Sequence[str] = ()
    files: Sequence[Attachment] = ()

    def __post_init__(self) -> None:
        if twice := repeated(table.name for table in self.tables):
            raise ValueError(f"Two tables are named {twice!r}.")


def repeated(names: Iterable[str]) -> str | None:
    """The first name that stands more than once, if any."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def unique(names: Iterable[str]) -> list[str]:
    """The same names in order, where a repeated one gets a number: "Total", "Total (2)"."""
    taken: dict[str, None] = {}
    copies: Counter[str] = Counter()  # so that a thousand equal names are no million questions
    for name in names:
        free = name
        while free in taken:
            copies[name] += 1
            free = f"{name} ({copies[name] + 1})"
        taken[free] = None
    return list(taken)


def clean(text: str) -> str:
    """The text without the characters that XML forbids, its line ends as `\\n`."""
    return LINE_END.sub("\n", ILLEGAL.sub("", text))


def exact(number: int | float) -> int | float | str:
    """The number, or its text where a worksheet or JSON would change it: NaN, 2**53 + 1."""
    if isinstance(number, int):
        return number if abs(number) <= MAX_WHOLE else str(number)
    if abs(number) <= MAX_NUMBER:
        return number
    return str(number).replace("inf", "Infinity").replace("nan", "NaN")


def duration(value: timedelta) -> str:
    """Hours, minutes and seconds, as a worksheet shows them: "26:03:04"."""
    seconds = abs(value) // timedelta(seconds=1)
    sign = "-" if value < timedelta() else ""
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def to_json(report: Report) -> dict[str, Any]:
    """The report as strict JSON: ISO 8601 dates, no NaN, at most `JSON_ROWS` rows a table.

    `row_count` is the true number of rows.
    """
    return {
        "title": clean(report.title),
        "notes": [clean(note) for note in report.notes],
        "files": [clean(file.name) for file in report.files],
        "tables": [_table(table) for table in report.tables],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": clean(table.name),
        "columns": [{"name": clean(c.name), "kind": c.kind} for c in table.columns],
        "rows": [[_cell(value) for value in row] for row in table.rows[:JSON_ROWS]],
        "row_count": len(table.rows),
        "chart": table.chart and _chart(table.chart),
    }


def _chart(chart: Chart) -> dict[str, Any]:
    return {
        "kind": chart.kind,
        "title": clean(chart.title),
        "labels": clean(chart.labels),
        "values": clean(chart.values),
        "limit": chart.limit,
    }


def _cell(value: Cell) -> str | int | float | bool | None:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return None if value is None else exact(value)
