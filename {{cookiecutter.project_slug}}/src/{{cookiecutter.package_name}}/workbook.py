"""The report as an Excel workbook: a summary, then a sheet a table with its chart.

It holds no formula, link or macro; `cells.py` says how text and numbers are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from openpyxl import Workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.chart.axis import ChartLines
from openpyxl.chart.shapes import GraphicalProperties
from openpyxl.chart.text import RichText, Text
from openpyxl.chart.title import Title
from openpyxl.drawing.line import LineProperties
from openpyxl.drawing.text import (
    CharacterProperties,
    Paragraph,
    ParagraphProperties,
    RegularTextRun,
)
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from .about import TITLE
from .cells import (
    FACE,
    GENERAL,
    INK,
    NUMBERS,
    SCIENTIFIC,
    Pen,
    number_format,
    sheet_names,
    stored_text,
)
from .report import Cell, Chart, Column, Kind, Report, Table, clean

TITLE_FONT = Font(FACE, 18, bold=True, color=INK)
BAR, GRID = "3B6EA8", "D9DEE5"
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
    for table, sheet in zip(report.tables, sheets, strict=True):
        _write_table(sheet, table)
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
    for row, note in enumerate(report.notes, start=3):
        sheet.row_dimensions[row].height = height(note, SUMMARY_WIDTH)
        sheet.append([pen.text(note)])
    sheet.append([])
    sheet.append([pen.heading("Table"), pen.heading("Rows", "integer")])
    for table in report.tables:
        sheet.append([pen.text(table.name), pen.cell(len(table.rows), "integer")])


def _write_table(sheet: Worksheet, table: Table) -> None:
    """The sheet's set-up comes before its first row: what is written cannot be changed."""
    last = get_column_letter(len(table.columns))
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{last}{len(table.rows) + 1}"
    sheet.print_title_rows = "1:1"
    sheet.page_setup.orientation = "landscape"
    if len(table.columns) <= 12:
        _fit_page_width(sheet)
    for number, column in enumerate(table.columns):
        letter = get_column_letter(number + 1)
        cells = [row[number] for row in table.rows[:SAMPLED_ROWS]]
        sheet.column_dimensions[letter].width = width(column, cells)
    if table.chart and table.rows:
        sheet.add_chart(bar_chart(sheet, table, table.chart), _anchor(table))
    _append(sheet, table)


def _fit_page_width(sheet: Worksheet) -> None:
    sheet.page_setup.fitToHeight = 0  # as many pages down as it takes
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)


def _append(sheet: Worksheet, table: Table) -> None:
    pen = Pen(sheet)
    sheet.row_dimensions[1].height = max(height(column.name, WIDEST) for column in table.columns)
    sheet.append([pen.heading(column.name, column.kind) for column in table.columns])
    kinds = [column.kind for column in table.columns]
    for row in table.rows:
        cells = (pen.cell(value, kind) for value, kind in zip(row, kinds, strict=True))
        sheet.append(cells)  # type: ignore[arg-type]  # the stub knows no generator expression


def _anchor(table: Table) -> str:
    """Where the chart goes: beside the table, or under it if it is wide and not long."""
    if len(table.columns) > 8 and len(table.rows) <= 60:
        return f"A{len(table.rows) + 4}"
    return f"{get_column_letter(len(table.columns) + 2)}2"


def width(column: Column, cells: Iterable[Cell]) -> float:
    """Wide enough for these cells and for the heading with its filter arrow, within reason."""
    longest = max((len(shown(value, column.kind)) for value in cells), default=0)
    return min(max(longest + 2, len(column.name) + 5, 8), WIDEST)


def height(text: str, width: float, line: float = 15) -> float:
    """The points that wrapped text takes in a column; not every program works that out itself."""
    lines = sum(1 + int(len(part) / (0.9 * width)) for part in clean(text).split("\n"))
    return min(lines * line, TALLEST)


def shown(value: Cell, kind: Kind) -> str:
    """About what the cell looks like."""
    form = number_format(value, kind)
    if form == NUMBERS["number"]:
        return f"{value:,.2f}"
    if form == NUMBERS["integer"]:
        return f"{value:,}"
    if form in (GENERAL, SCIENTIFIC):
        return max("" if value is None else str(value)[:WIDEST].splitlines(), key=len, default="")
    return form


def bar_chart(sheet: Worksheet, table: Table, chart: Chart) -> BarChart:
    """Horizontal bars, the first row on top, so that long labels can be read."""
    names = [column.name for column in table.columns]
    labels, values = names.index(chart.labels) + 1, names.index(chart.values) + 1
    last = min(len(table.rows), chart.limit) + 1
    drawing = BarChart()
    drawing.type = "bar"
    drawing.title = chart_title(chart.title, 1300)
    drawing.legend = None
    drawing.gapWidth = 40
    drawing.add_data(Reference(sheet, values, 1, values, last), titles_from_data=True)
    drawing.set_categories(Reference(sheet, labels, 2, labels, last))
    drawing.series[0].graphicalProperties = GraphicalProperties(solidFill=BAR)
    drawing.x_axis.delete = drawing.y_axis.delete = False  # openpyxl's default shows neither
    drawing.x_axis.scaling.orientation = "maxMin"
    drawing.x_axis.tickLblPos = "low"  # out of the way of negative bars
    drawing.y_axis.crosses = "max"  # the other axis is turned, so this is the bottom
    drawing.y_axis.number_format = axis_format(table, values - 1)
    drawing.y_axis.title = chart_title(chart.values, 1000)
    grid = GraphicalProperties(ln=LineProperties(solidFill=GRID))
    drawing.y_axis.majorGridlines = ChartLines(spPr=grid)
    drawing.width, drawing.height = 18, 3.5 + 0.7 * (last - 1)
    return drawing


def chart_title(text: str, size: int) -> Title:
    """A title beside the plot, not over it; `size` is in hundredths of a point."""
    run = RegularTextRun(t=" ".join(clean(text).split()))
    look = ParagraphProperties(defRPr=CharacterProperties(sz=size, b=True))
    return Title(Text(rich=RichText(p=[Paragraph(pPr=look, r=[run])])), overlay=False)


def axis_format(table: Table, place: int) -> str:
    numbers = [row[place] for row in table.rows[:SAMPLED_ROWS]]
    if table.columns[place].kind == "percent":
        return "0%"
    return "#,##0" if any(abs(n) >= 10 for n in numbers if isinstance(n, int | float)) else GENERAL
