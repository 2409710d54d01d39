"""The job of every peer: profile and totals of a workbook, as a two-sheet report with a chart.

Read and written with openpyxl, which is what their users would take. Beside it there is nothing
here that a peer brings by itself; ours has a reader and a writer of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

from openpyxl import Workbook, load_workbook
from openpyxl.chart import BarChart, Reference

Row = Sequence[Any]
Progress = Callable[[float, str], object]

EVERY = 1000
"""Rows between two words of progress."""
READING = 80.0
"""Percent of the work that is reading."""
CATEGORY_MOST = 50
CHARTED = 10


def make_report(source: Path | BinaryIO, target: Path | BinaryIO, progress: Progress) -> None:
    """Write the report on the first sheet of a workbook; `progress` is told a percentage."""
    header, rows = read(source, progress)
    columns = [[row[place] for row in rows] for place in range(len(header))]
    progress(READING, "Profiling")
    profiles = [profile(name, cells) for name, cells in zip(header, columns, strict=True)]
    progress(90.0, "Adding up")
    totals = total(header, columns, profiles)
    progress(95.0, "Writing")
    write(target, totals, profiles)
    progress(100.0, "Done")


def read(source: Path | BinaryIO, progress: Progress) -> tuple[list[str], list[Row]]:
    sheet = load_workbook(source, read_only=True, data_only=True).worksheets[0]
    lines = sheet.iter_rows(values_only=True)
    header = [str(name) for name in next(lines)]
    rows: list[Row] = []
    for row in lines:
        rows.append(row)
        if len(rows) % EVERY == 0:
            count = sheet.max_row or len(rows)  # not every writer says how many there are
            progress(READING * len(rows) / count, f"Read {len(rows):,} rows")
    return header, rows


def kind(cells: Sequence[Any]) -> str:
    """What all cells are that are not empty."""
    kinds = set(map(type, cells))
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "integer"
    if kinds <= {int, float}:
        return "number"
    if all(issubclass(each, date) for each in kinds):
        return "date"
    return "text"


def profile(name: str, cells: Sequence[Any]) -> dict[str, Any]:
    filled = [cell for cell in cells if cell is not None]
    found = kind(filled)
    numeric, ordered = found in ("integer", "number"), found in ("integer", "number", "date")
    return {
        "Column": name,
        "Type": found,
        "Rows": len(cells),
        "Empty": len(cells) - len(filled),
        "Distinct": len(set(filled)),
        "Minimum": min(filled) if ordered and filled else None,
        "Maximum": max(filled) if ordered and filled else None,
        "Mean": sum(filled) / len(filled) if numeric and filled else None,
    }


def total(header: list[str], columns: list[list[Any]], profiles: list[dict[str, Any]]) -> list[Row]:
    """Rows and sums for each value of the first column with few texts, the largest first."""
    place = next(
        n
        for n, each in enumerate(profiles)
        if each["Type"] == "text" and each["Distinct"] <= CATEGORY_MOST
    )
    numeric = [n for n, each in enumerate(profiles) if each["Type"] in ("integer", "number")]
    counts: dict[Any, int] = defaultdict(int)
    sums: dict[Any, list[float]] = defaultdict(lambda: [0] * len(numeric))
    for number, category in enumerate(columns[place]):
        counts[category] += 1
        own = sums[category]
        for slot, column in enumerate(numeric):
            own[slot] += columns[column][number] or 0
    rows = [[category, counts[category], *sums[category]] for category in counts]
    rows.sort(key=lambda row: row[-1], reverse=True)
    return [[header[place], "Rows", *(f"Sum of {header[n]}" for n in numeric)], *rows]


def write(target: Path | BinaryIO, totals: list[Row], profiles: list[dict[str, Any]]) -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Totals"
    for row in totals:
        sheet.append(row)
    chart = BarChart()
    chart.title = f"{totals[0][-1]} by {totals[0][0]}"
    last, bottom = len(totals[0]), min(len(totals), CHARTED + 1)
    chart.add_data(Reference(sheet, last, 1, last, bottom), titles_from_data=True)
    chart.set_categories(Reference(sheet, 1, 2, 1, bottom))
    sheet.add_chart(chart, "J2")
    columns = book.create_sheet("Columns")
    columns.append(list(profiles[0]))
    for each in profiles:
        columns.append(list(each.values()))
    book.save(target)
