"""A report as the page gets it: strict JSON."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Any

from .report import Attachment, Chart, Column, Figure, Report, Shown, Table
from .values import Cell, clean, duration, exact

JSON_ROWS = 500
"""The page gets at most this many rows of a table; the workbook has them all."""


def to_json(report: Report) -> dict[str, Any]:
    """The report as strict JSON: ISO 8601 dates, no NaN, at most `JSON_ROWS` rows a table.

    `row_count` is the true number of rows, `totals` are over all of them, sizes are in bytes.
    """
    return {
        "title": clean(report.title),
        "figures": [_figure(figure) for figure in report.figures],
        "warnings": [clean(warning) for warning in report.warnings],
        "notes": [clean(note) for note in report.notes],
        "workbook": report.has_workbook,
        "files": [_file(file) for file in report.files],
        "tables": [_table(table) for table in report.tables],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {"label": clean(figure.label), "value": cell(figure.value), **_look(figure)}


def _file(file: Attachment) -> dict[str, Any]:
    return {"name": clean(file.name), "size": file.size}


def _table(table: Table) -> dict[str, Any]:
    totals = table.totals()
    return {
        "name": clean(table.name),
        "columns": [_column(column) for column in table.columns],
        "rows": [[cell(value) for value in row] for row in table.rows[:JSON_ROWS]],
        "row_count": len(table.rows),
        "totals": totals and [cell(value) for value in totals],
        "chart": table.chart and {**_chart(table.chart), "kind": table.chart_kind()},
    }


def _column(column: Column) -> dict[str, Any]:
    return {"name": clean(column.name), **_look(column)}


def _look(shown: Shown) -> dict[str, Any]:
    return {"kind": shown.kind, "decimals": shown.decimals, "unit": clean(shown.unit)}


def _chart(chart: Chart) -> dict[str, Any]:
    return {
        "title": clean(chart.title),
        "labels": clean(chart.labels),
        "values": [clean(name) for name in chart.series],
        "limit": chart.rows,
    }


def cell(value: Cell) -> str | int | float | bool | None:
    """The value if JSON has its like, else its text."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return None if value is None else exact(value)
