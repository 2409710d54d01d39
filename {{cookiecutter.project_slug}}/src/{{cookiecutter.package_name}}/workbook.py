"""The report as an Excel workbook: a summary, then a sheet a table with its chart.

It holds no formula, link or macro; `cells.py` says how text and numbers are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from .about import TITLE
from .cells import (
    FACE,
    GENERAL,
    INK,
    PLAIN,
    SCIENTIFIC,
    Pen,
    number_format,
    sheet_names,
    stored,
    stored_text,
)
from .charts import draw
from .report import NUMERIC, Column, Figure, Report, Shown, Table
from .values import Cell, clean

TITLE_FONT = Font(FACE, 18, bold=True, color=INK)
WARNING_FONT = Font(FACE, 11, bold=True, color="A8201A")
ROWS = Column("Rows", "integer")
SAMPLED_ROWS = 200
WIDEST = 48
SUMMARY_WIDTH = 90
TALLEST = 409
"""Points; a row can be no higher."""


def write_workbook(report: Report, path: Path | BinaryIO) -> None:
    """Write the report to a file or an open binary stream; memory does not grow with the rows."""
    book = Workbook(write_only=True)
    book.properties.title = stored_text(report.title)
    book.properties.creator = TITLE
    titles = sheet_names(["Summary", *(table.name for table in report.tables)])
    summary, *sheets = (book.create_sheet(title) for title in titles)
    _write_summary(summary, report)
    summary.close()
    for table, sheet in zip(report.tables, sheets, strict=True):
        _write_table(sheet, table)
        sheet.close()  # or each keeps a file open until the book is saved
    book.save(path)


def _write_summary(sheet: Worksheet, report: Report) -> None:
    sheet.sheet_view.showGridLines = False
    sheet.column_dimensions["A"].width = SUMMARY_WIDTH
    sheet.column_dimensions["B"].width = 12
    _fit_page_width(sheet)
    pen = Pen(sheet)
    sheet.row_dimensions[1].height = height(report.title, SUMMARY_WIDTH / 2, 24)
    sheet.append([pen.text(report.title, TITLE_FONT)])
    sheet.append([])
    texts = [
        *((text, WARNING_FONT) for text in report.warnings),
        *((text, PLAIN) for text in report.notes),
    ]
    for row, (text, font) in enumerate(texts, start=3):
        sheet.row_dimensions[row].height = height(text, SUMMARY_WIDTH)
        sheet.append([pen.text(text, font)])
    sheet.append([])
    _append_figures(sheet, pen, report.figures)
    sheet.append([pen.heading("Table"), pen.heading("Rows", is_number=True)])
    for table in report.tables:
        sheet.append([pen.text(table.name), pen.cell(len(table.rows), ROWS)])


def _append_figures(sheet: Worksheet, pen: Pen, figures: Sequence[Figure]) -> None:
    if not figures:
        return
    sheet.append([pen.heading("Key figures"), pen.heading("", is_number=True)])
    for figure in figures:
        sheet.append([pen.text(figure.label), pen.strong(figure.value, figure)])
    sheet.append([])


def _write_table(sheet: Worksheet, table: Table) -> None:
    """The sheet's set-up comes before its first row: what is written cannot be changed."""
    last = get_column_letter(len(table.columns))
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{last}{len(table.rows) + 1}"
    sheet.print_title_rows = "1:1"
    sheet.page_setup.orientation = "landscape"
    if len(table.columns) <= 12:
        _fit_page_width(sheet)
    totals = table.totals()
    for number, column in enumerate(table.columns):
        letter = get_column_letter(number + 1)
        cells = [row[number] for row in table.rows[:SAMPLED_ROWS]]
        cells += [totals[number]] if totals else []
        sheet.column_dimensions[letter].width = width(column, cells)
    if table.chart and table.rows:
        sheet.add_chart(draw(sheet, table, table.chart), _anchor(table))
    _append(sheet, table, totals)


def _fit_page_width(sheet: Worksheet) -> None:
    sheet.page_setup.fitToHeight = 0  # as many pages down as it takes
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)


def _append(sheet: Worksheet, table: Table, totals: Sequence[Cell] | None) -> None:
    pen = Pen(sheet)
    sheet.row_dimensions[1].height = max(height(column.name, WIDEST) for column in table.columns)
    sheet.append([pen.heading(column.name, column.kind in NUMERIC) for column in table.columns])
    for row in table.rows:
        cells = (pen.cell(value, look) for value, look in zip(row, table.columns, strict=True))
        sheet.append(cells)  # type: ignore[arg-type]  # the stub knows no generator expression
    if totals:
        sheet.append([pen.total(*pair) for pair in zip(totals, table.columns, strict=True)])


def _anchor(table: Table) -> str:
    """Where the chart goes: beside the table, or under it if it is wide and not long."""
    if len(table.columns) > 8 and len(table.rows) <= 60:
        return f"A{len(table.rows) + 4}"
    return f"{get_column_letter(len(table.columns) + 2)}2"


def width(column: Column, cells: Iterable[Cell]) -> float:
    """Wide enough for these cells and for the heading with its filter arrow, within reason."""
    longest = max((len(seen(value, column)) for value in cells), default=0)
    return min(max(longest + 2, len(column.name) + 5, 8), WIDEST)


def height(text: str, width: float, line: float = 15) -> float:
    """The points that wrapped text takes in a column; not every program works that out itself."""
    lines = sum(1 + int(len(part) / (0.9 * width)) for part in clean(text).split("\n"))
    return min(lines * line, TALLEST)


def seen(value: Cell, shown: Shown) -> str:
    """About what the cell looks like."""
    value = stored(value)
    form = number_format(value, shown)
    if isinstance(value, int | float) and form.startswith("#,##0"):
        places = (2 if shown.decimals is None else shown.decimals) if shown.kind == "number" else 0
        return f"{value:,.{places}f} {shown.unit}".strip()
    if form.startswith((GENERAL, SCIENTIFIC)):
        return max("" if value is None else str(value)[:WIDEST].splitlines(), key=len, default="")
    return form
