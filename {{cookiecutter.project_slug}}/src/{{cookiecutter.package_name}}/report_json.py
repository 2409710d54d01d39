"""A report as the page gets it: strict JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Any

from .report import Attachment, Chart, Column, Figure, Report, Shown, Table
from .values import Cell, clean, duration, exact

Json = str | int | float | bool | None

JSON_ROWS = 500
JSON_CHARS = 2**22
CELL_CHARS = 1000
"""The page gets at most this many rows of a table, about so many characters of all tables, and of a
text so much of its beginning; the workbook has all. A few bytes of a file may be a cell of 32,000
characters a million times, which the browser, and who sends it, would have to hold."""


def to_json(report: Report) -> dict[str, Any]:
    """The report as strict JSON: ISO 8601 dates, no NaN, and no more rows than a page can show.

    `row_count` is the true number of rows, `totals` are over all of them, sizes are in bytes.
    """
    room = JSON_CHARS // max(1, len(report.tables))
    return {
        "title": clean(report.title),
        "figures": [_figure(figure) for figure in report.figures],
        "warnings": [clean(warning) for warning in report.warnings],
        "notes": [clean(note) for note in report.notes],
        "workbook": report.has_workbook,
        "files": [_file(file) for file in report.files],
        "tables": [_table(table, room) for table in report.tables],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {"label": clean(figure.label), "value": _shown(figure.value), **_look(figure)}


def _file(file: Attachment) -> dict[str, Any]:
    return {"name": clean(file.name), "size": file.size}


def _table(table: Table, room: int) -> dict[str, Any]:
    totals = table.totals()
    return {
        "name": clean(table.name),
        "columns": [_column(column) for column in table.columns],
        "rows": list(_rows(table, room)),
        "row_count": len(table.rows),
        "totals": totals and [_shown(value) for value in totals],
        "chart": table.chart and {**_chart(table.chart), "kind": table.chart_kind()},
    }


def _rows(table: Table, room: int) -> Iterator[list[Json]]:
    """The first rows, one at least, as long as they take no more than so many characters."""
    for number, row in enumerate(table.rows[:JSON_ROWS]):
        shown = [_shown(value) for value in row]
        room -= sum(len(str(value)) for value in shown)
        if number and room < 0:
            return
        yield shown


def _column(column: Column) -> dict[str, Any]:
    return {"name": _cut(clean(column.name)), **_look(column)}


def _look(shown: Shown) -> dict[str, Any]:
    return {"kind": shown.kind, "decimals": shown.decimals, "unit": clean(shown.unit)}


def _chart(chart: Chart) -> dict[str, Any]:
    return {
        "title": clean(chart.title),
        "labels": _cut(clean(chart.labels)),
        "values": [_cut(clean(name)) for name in chart.series],
        "limit": chart.rows,
    }


def _shown(value: Cell) -> Json:
    found = cell(value)
    return _cut(found) if isinstance(found, str) else found


def _cut(text: str) -> str:
    return text if len(text) <= CELL_CHARS else f"{text[:CELL_CHARS]}…"


def cell(value: Cell) -> Json:
    """The value if JSON has its like, else its text."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return None if value is None else exact(value)
