"""A table's chart as a worksheet draws it: bars, lines or a pie, over the table's own cells."""

from __future__ import annotations

from typing import Any, cast

from openpyxl.chart import BarChart, LineChart, PieChart, Reference
from openpyxl.chart._chart import ChartBase
from openpyxl.chart.axis import ChartLines
from openpyxl.chart.label import DataLabelList
from openpyxl.chart.marker import DataPoint, Marker
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
from openpyxl.worksheet.worksheet import Worksheet

from .cells import GENERAL
from .report import Chart, Table
from .values import clean, numbers

COLOURS = ["3B6EA8", "C8553D", "2E8B7A", "D9A441", "7A5AA6", "8A8F98", "5FA8D3", "A63B6E"]
"""Of the series, or of a pie's slices, from the first on and then again."""
GRID = "D9DEE5"
SAMPLED_ROWS = 200
MARKED_ROWS = 50
WIDE, HIGH = 18.0, 9.0
"""Of a chart, in centimetres."""


def draw(sheet: Worksheet, table: Table, chart: Chart) -> ChartBase:
    """The chart over the rows that the table will have on this sheet, under its header row."""
    names = [column.name for column in table.columns]
    last = min(len(table.rows), chart.rows) + 1
    drawing = DRAWERS[table.chart_kind() or "bar"](table, chart, last - 1)
    for name in chart.series:
        place = names.index(name) + 1
        drawing.add_data(Reference(sheet, place, 1, place, last), titles_from_data=True)
    place = names.index(chart.labels) + 1
    drawing.set_categories(Reference(sheet, place, 2, place, last))
    drawing.title = chart_title(chart.title, 1300)
    if len(chart.series) == 1 and not isinstance(drawing, PieChart):
        drawing.legend = None
    colour(drawing, last - 1)
    return drawing


def bars(table: Table, chart: Chart, rows: int) -> ChartBase:
    """Horizontal bars, the first row on top, so that long labels can be read."""
    drawing = BarChart()
    drawing.type = "bar"
    drawing.gapWidth = 40
    set_axes(drawing, table, chart)
    drawing.x_axis.scaling.orientation = "maxMin"
    drawing.y_axis.crosses = "max"  # the other axis is turned, so this is the bottom
    return sized(drawing, 3.5 + 0.7 * rows * len(chart.series))


def lines(table: Table, chart: Chart, rows: int) -> ChartBase:
    drawing = LineChart()
    set_axes(drawing, table, chart)
    return sized(drawing, HIGH)


def pie(table: Table, chart: Chart, rows: int) -> ChartBase:
    """Slices with their shares; the legend says what they are."""
    drawing = PieChart()
    drawing.dataLabels = DataLabelList(
        showPercent=True, showVal=False, showSerName=False, showCatName=False, showLegendKey=False
    )
    return sized(drawing, HIGH)


DRAWERS = {"bar": bars, "line": lines, "pie": pie}


def sized(drawing: Any, height: float) -> ChartBase:
    drawing.width, drawing.height = WIDE, height  # the stub takes whole centimetres only
    return cast(ChartBase, drawing)


def set_axes(drawing: BarChart | LineChart, table: Table, chart: Chart) -> None:
    drawing.x_axis.delete = drawing.y_axis.delete = False  # openpyxl's default shows neither
    drawing.x_axis.tickLblPos = "low"  # out of the way of negative values
    drawing.y_axis.number_format = axis_format(table, chart)
    if len(chart.series) == 1:
        drawing.y_axis.title = chart_title(chart.series[0], 1000)
    grid = GraphicalProperties(ln=LineProperties(solidFill=GRID))
    drawing.y_axis.majorGridlines = ChartLines(spPr=grid)


def colour(drawing: ChartBase, rows: int) -> None:
    """Give each series its colour, or each slice of a pie."""
    for number, series in enumerate(drawing.series):
        tone = COLOURS[number % len(COLOURS)]
        if isinstance(drawing, PieChart):
            series.data_points = [slice_of(place) for place in range(rows)]
        elif isinstance(drawing, LineChart):
            series.smooth = False
            series.marker = marker(tone) if rows <= MARKED_ROWS else Marker("none")
            series.graphicalProperties = GraphicalProperties(ln=LineProperties(solidFill=tone))
        else:
            series.graphicalProperties = GraphicalProperties(solidFill=tone)


def marker(tone: str) -> Marker:
    """A dot, without which a number between two gaps would not be seen."""
    dot = GraphicalProperties(solidFill=tone, ln=LineProperties(solidFill=tone))
    return Marker("circle", size=5, spPr=dot)


def slice_of(place: int) -> DataPoint:
    point = DataPoint(idx=place)
    point.graphicalProperties = GraphicalProperties(solidFill=COLOURS[place % len(COLOURS)])
    return point


def chart_title(text: str, size: int) -> Title:
    """A title beside the plot, not over it; `size` is in hundredths of a point."""
    run = RegularTextRun(t=" ".join(clean(text).split()))
    look = ParagraphProperties(defRPr=CharacterProperties(sz=size, b=True))
    return Title(Text(rich=RichText(p=[Paragraph(pPr=look, r=[run])])), overlay=False)


def axis_format(table: Table, chart: Chart) -> str:
    """Whole numbers along the axis, unless all that is drawn is small."""
    places = [n for n, column in enumerate(table.columns) if column.name in chart.series]
    if all(table.columns[place].kind == "percent" for place in places):
        return "0%"
    drawn = numbers(row[place] for row in table.rows[:SAMPLED_ROWS] for place in places)
    return "#,##0" if any(abs(number) >= 10 for number in drawn) else GENERAL
