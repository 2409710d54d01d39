"""The workbook that people download, as other programs read it."""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet
from python_calamine import CalamineWorkbook

from {{ cookiecutter.package_name }}.about import TITLE
from {{ cookiecutter.package_name }}.cells import CELL_LENGTH, cut, sheet_names
from {{ cookiecutter.package_name }}.report import (
    Chart,
    ChartKind,
    Column,
    Figure,
    Kind,
    Report,
    Table,
    Total,
)
from {{ cookiecutter.package_name }}.values import Cell, clean
from {{ cookiecutter.package_name }}.workbook import write_workbook

TEXT = st.text(st.characters(), max_size=40)  # lone surrogates and controls, too
FORMULA_LIKE = st.sampled_from("=+-@").flatmap(lambda sign: TEXT.map(lambda text: sign + text))
HOSTILE = (
    TEXT
    | FORMULA_LIKE
    | st.sampled_from(
        [
            "=1+1",
            '=HYPERLINK("http://example.com","here")',
            "=cmd|' /C calc'!A0",
            "@SUM(1)",
            "+1",
            "-1+1",
            "\t=1+1",
            "\r=1+1",
            "\n@SUM(1)",
            "\ufffe\uffff\ud800",
            "#N/A",
            "http://example.com",
            "_x0041_",
            "_x005F_",
            "  spaces  ",
            "<f>1</f>",
            "'",
        ]
    )
)


def written(report: Report) -> io.BytesIO:
    stream = io.BytesIO()
    write_workbook(report, stream)
    stream.seek(0)
    return stream


def sheet_of(table: Table) -> Worksheet:
    sheet = load_workbook(written(Report("R", [table]))).worksheets[1]
    assert isinstance(sheet, Worksheet)
    return sheet


def one_cell(value: Cell, kind: Kind = "text") -> Any:
    return sheet_of(Table("T", [Column("C", kind)], [[value]]))["A2"]


def chart_of(table: Table) -> Any:
    sheet: Any = sheet_of(table)
    [chart] = sheet._charts
    return chart


def sales(count: int = 3, limit: int = 20, width: int = 2) -> Table:
    more = [Column(f"More {number}", "number") for number in range(width - 2)]
    columns = [Column("Region"), Column("Sales", "integer"), *more]
    rows: list[tuple[Cell, ...]] = [
        (f"Region {n}", 1000 - n, *(n / 7 for _ in more)) for n in range(count)
    ]
    return Table("Sales", columns, rows, Chart("By region", "Region", "Sales", limit=limit))


def visible(text: str) -> str:
    """The text; nothing but spaces and line ends is as good as none, and readers drop it."""
    return "" if text.isspace() else text


def parts(stream: io.BytesIO) -> dict[str, str]:
    with zipfile.ZipFile(stream) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@settings(max_examples=60)
@given(texts=st.tuples(*[HOSTILE] * 6), cells=st.lists(HOSTILE, max_size=5))
def test_s28_text_is_never_a_formula_a_link_or_a_macro(
    texts: tuple[str, ...], cells: list[str]
) -> None:
    title, note, name, heading, drawn, label = texts
    columns = [Column("Text " + heading), Column(drawn, "integer")]
    assume(columns[0].name != drawn)
    rows: list[tuple[Cell, Cell]] = [(text, 1) for text in cells]
    table = Table(name, columns, rows, Chart(label, columns[0].name, drawn))
    stream = written(Report(title, [table], notes=[note]))
    found = parts(stream)
    for part, xml in found.items():
        root = ElementTree.fromstring(xml)
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not tags & {"hyperlink", "hyperlinks", "oleObject", "externalReference"}, part
        assert not (part.startswith("xl/worksheets/") and "f" in tags), part
        assert "TargetMode" not in xml
    assert not [part for part in found if re.search("vba|external|macro", part, re.IGNORECASE)]
    assert {part.rpartition(".")[2] for part in found} <= {"xml", "rels"}


@settings(max_examples=60)
@given(cells=st.lists(HOSTILE, min_size=1, max_size=20))
def test_s28_text_is_read_back_as_it_was(cells: list[str]) -> None:
    stream = written(
        Report("R", [Table("T", [Column("C"), Column("D")], [[c, "x"] for c in cells])])
    )
    expected = [visible(clean(text)) for text in cells]
    rows = CalamineWorkbook.from_filelike(stream).get_sheet_by_index(1).to_python()
    assert [visible(str(row[0])) for row in rows[1:]] == expected
    sheet = load_workbook(stream).worksheets[1]
    for row, text in enumerate(expected, start=2):
        value = sheet.cell(row, 1).value
        assert isinstance(value, str | None)
        # openpyxl does not undo the escape for text that looks like an escape.
        assert visible(re.sub("_x005F_(?=x[0-9A-Fa-f]{4}_)", "_", value or "")) == text
        assert sheet.cell(row, 1).data_type in ("s", "inlineStr", "n")


def test_s28_text_that_looks_like_a_formula_stays_text_when_somebody_edits_it() -> None:
    assert [one_cell(text).quotePrefix for text in ("=1", "+1", "-1", "@a")] == [True] * 4
    assert not one_cell("a=1").quotePrefix


@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(-(2**53), 2**53),
            st.none() | st.floats(-1e300, 1e300),
            st.none() | st.booleans(),
            st.none() | st.dates(date(1900, 3, 1)),
        ),
        max_size=8,
    )
)
def test_numbers_booleans_and_dates_are_read_back_as_they_were(rows: list[tuple[Any, ...]]) -> None:
    kinds: list[Kind] = ["integer", "number", "boolean", "date"]
    columns = [Column(kind, kind) for kind in kinds]
    sheet = sheet_of(Table("T", columns, rows))
    for row, expected in zip(sheet.iter_rows(min_row=2, values_only=True), rows, strict=False):
        whole, number, truth, day = row
        assert (whole, number, truth) == expected[:3]
        assert isinstance(truth, bool | None)
        assert (day.date() if isinstance(day, datetime) else day) == expected[3]


@pytest.mark.parametrize(
    ("value", "kind", "read", "shown_as"),
    [
        (1234, "integer", 1234, "#,##0"),
        (12.5, "integer", 12.5, "General"),
        (1234.5, "number", 1234.5, "#,##0.00"),
        (0.00012, "number", 0.00012, "0.00E+00"),
        (0, "number", 0, "#,##0.00"),
        (3e20, "number", 3e20, "0.00E+00"),
        (0.25, "percent", 0.25, "0.0%"),
        (2024, "text", 2024, "General"),
        (True, "integer", True, "General"),
        ("n/a", "number", "n/a", "General"),
        (date(2024, 2, 29), "date", datetime(2024, 2, 29), "yyyy-mm-dd"),  # noqa: DTZ001  # naive
        (date(1900, 2, 28), "date", "1900-02-28", "General"),
        (datetime(1899, 1, 1, 5), "datetime", "1899-01-01T05:00:00", "General"),  # noqa: DTZ001  # naive
        (
            datetime(2024, 2, 29, 7, 5),  # noqa: DTZ001  # naive
            "text",
            datetime(2024, 2, 29, 7, 5),  # noqa: DTZ001  # naive
            "yyyy-mm-dd hh:mm",
        ),
        (
            datetime(2024, 2, 29, 7, 5, tzinfo=UTC),
            "datetime",
            "2024-02-29T07:05:00+00:00",
            "General",
        ),
        (time(7, 5), "text", time(7, 5), "hh:mm:ss"),
        (time(7, 5, tzinfo=UTC), "text", "07:05:00+00:00", "General"),
        (timedelta(hours=30), "text", timedelta(hours=30), "[h]:mm:ss"),
        (timedelta(hours=-30), "text", "-30:00:00", "General"),
        (math.nan, "number", "NaN", "General"),
        (-math.inf, "number", "-Infinity", "General"),
        (1.7e308, "number", "1.7e+308", "General"),
        (2**53 + 1, "integer", "9007199254740993", "General"),
        (math.nan, "integer", "NaN", "General"),
        (-math.inf, "integer", "-Infinity", "General"),
        (10**400, "integer", f"1{'0' * 400}", "General"),
        pytest.param(
            -3 * 10**5000, "number", "-3.000000000000000E+5000", "General", id="no digits"
        ),
        ("#REF!", "text", "#REF!", "General"),
        ("", "text", None, "General"),
    ],
)
def test_a_cell_keeps_its_value_and_is_shown_by_its_kind(
    value: Cell, kind: Kind, read: Any, shown_as: str
) -> None:
    cell = one_cell(value, kind)
    assert (cell.value, cell.number_format) == (read, shown_as)
    assert type(cell.value) is type(read)


def test_s28_too_long_text_ends_with_an_ellipsis_and_counts_as_excel_does() -> None:
    assert one_cell("x" * CELL_LENGTH).value == "x" * CELL_LENGTH
    assert one_cell("x" * (CELL_LENGTH + 1)).value == "x" * (CELL_LENGTH - 1) + "…"
    emoji = one_cell("\N{BEAR FACE}" * CELL_LENGTH).value
    assert emoji == "\N{BEAR FACE}" * (CELL_LENGTH // 2) + "…"


@given(text=st.text(), units=st.integers(2, 50))
def test_cut_text_fits_and_keeps_its_start(text: str, units: int) -> None:
    kept = cut(text, units)
    assert len(kept.encode("utf-16-le")) <= 2 * units
    assert kept == text or (kept.endswith("…") and text.startswith(kept[:-1]))


@given(
    names=st.lists(HOSTILE | st.sampled_from(["History", "a" * 40, "A" * 40, "[]:*?/\\", "'x'"]))
)
def test_s28_sheet_names_are_legal_and_unique(names: list[str]) -> None:
    made = sheet_names(names)
    assert len(made) == len(names)
    assert len({name.casefold() for name in made}) == len(names)
    for name in made:
        assert 1 <= len(name.encode("utf-16-le")) // 2 <= 31
        assert not re.search(r"[\[\]:*?/\\\x00-\x1f\ud800-\udfff\ufffe\uffff]", name)
        assert name.strip() == name
        assert not name.startswith("'")
        assert not name.endswith("'")
        assert name.casefold() != "history"


def test_a_plain_sheet_name_stays_and_others_become_readable() -> None:
    assert sheet_names(["Sales", "sales", "a/b: c?", "  ", "History", "x" * 32]) == [
        "Sales",
        "sales (2)",
        "a b c",
        "Table",
        "History (2)",
        "x" * 30 + "…",
    ]


def test_s28_hostile_table_names_open_in_both_readers() -> None:
    names = ["../etc", "Summary", "SUMMARY", "'", "x" * 300, "\x00", "\N{BEAR FACE}" * 20, "=1+1"]
    report = Report("R", [Table(name, [Column("C")], [["here"]]) for name in names])
    stream = written(report)
    expected = sheet_names(["Summary", *names])
    assert CalamineWorkbook.from_filelike(stream).sheet_names == expected
    book = load_workbook(stream)
    assert book.sheetnames == expected
    assert [sheet["A2"].value for sheet in book.worksheets[1:]] == ["here"] * len(names)


def test_the_summary_says_the_title_the_notes_and_the_tables() -> None:
    report = Report("Q1 sales", [sales(5), Table("None", [Column("C")], [])], ["One note", "=2"])
    book = load_workbook(written(report))
    cells = [[cell for cell in row if cell] for row in book["Summary"].iter_rows(values_only=True)]
    assert [row for row in cells if row] == [
        ["Q1 sales"],
        ["One note"],
        ["=2"],
        ["Table", "Rows"],
        ["Sales", 5],
        ["None"],
    ]
    assert book["Summary"]["B8"].value == 0
    assert book.properties.title == "Q1 sales"
    assert book.properties.creator == TITLE


def test_rows_are_high_enough_for_the_lines_of_long_text() -> None:
    notes = ["Short", "A sentence of words. " * 20, "Two\nlines"]
    book = load_workbook(written(Report("R", [Table("T", [Column("Head " * 30)], [])], notes)))
    heights = {row: book["Summary"].row_dimensions[row].height for row in (3, 4, 5)}
    assert heights[3] == 15
    assert 5 * 15 <= heights[4] <= 8 * 15
    assert heights[5] == 30
    assert book["T"].row_dimensions[1].height >= 3 * 15
    assert book["T"].column_dimensions["A"].width < 60


def test_a_table_has_a_frozen_header_a_filter_and_columns_wide_enough() -> None:
    long = "A text of about forty characters, as it is"
    columns = [Column("Text"), Column("A heading longer than its cells", "integer"), Column("None")]
    sheet = sheet_of(Table("T", columns, [(long, 1, None), ("x" * 500, 2, None)]))
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:C3"
    assert sheet["A1"].font.b
    widths = {letter: sheet.column_dimensions[letter].width for letter in "ABC"}
    assert len(long) < widths["A"] < 60
    assert widths["B"] > len(columns[1].name)
    assert widths["C"] < 12


@pytest.mark.parametrize(
    ("count", "limit", "last"), [(3, 20, 4), (20, 20, 21), (21, 20, 21), (60, 7, 8)]
)
def test_the_chart_draws_the_first_rows_and_can_be_read(count: int, limit: int, last: int) -> None:
    chart = chart_of(sales(count, limit))
    [series] = chart.series
    assert series.val.numRef.f == f"'Sales'!$B$2:$B${last}"
    assert series.cat.numRef.f == f"'Sales'!$A$2:$A${last}"
    assert series.tx.strRef.f == "'Sales'!B1"
    assert chart.title.tx.rich.p[0].r[0].t == "By region"
    assert chart.y_axis.title.tx.rich.p[0].r[0].t == "Sales"
    assert (chart.x_axis.delete, chart.y_axis.delete) == (False, False)
    assert chart.x_axis.scaling.orientation == "maxMin"


@pytest.mark.parametrize(
    ("count", "width", "column", "row"), [(5, 2, 3, 1), (5, 12, 0, 8), (500, 12, 13, 1)]
)
def test_the_chart_covers_no_cell(count: int, width: int, column: int, row: int) -> None:
    chart = chart_of(sales(count, width=width))
    assert (chart.anchor._from.col, chart.anchor._from.row) == (column, row)


def test_a_table_without_rows_has_its_header_and_no_chart() -> None:
    stream = written(Report("R", [sales(0)]))
    assert [cell.value for cell in load_workbook(stream)["Sales"][1]] == ["Region", "Sales"]
    assert not [part for part in parts(stream) if "chart" in part or "drawing" in part]


def test_a_workbook_is_written_to_a_path_and_to_an_open_file(tmp_path: Path) -> None:
    report = Report("R", [sales()])
    write_workbook(report, tmp_path / "a.xlsx")
    with (tmp_path / "b.xlsx").open("wb") as file:
        write_workbook(report, file)
    for name in ("a.xlsx", "b.xlsx"):
        assert load_workbook(tmp_path / name)["Sales"]["B4"].value == 998


@pytest.mark.parametrize(
    ("column", "value", "shown_as"),
    [
        (Column("C", "number", decimals=0), 1234.5, "#,##0"),
        (Column("C", "number", decimals=4), 0.0001, "#,##0.0000"),
        (Column("C", "percent", decimals=2), 0.5, "0.00%"),
        (Column("C", "percent", decimals=0), 0.5, "0%"),
        (Column("C", "number", unit="EUR"), 1.5, '#,##0.00" EUR"'),
        (Column("C", "integer", unit='"x"'), 7, "#,##0\" ''x''\""),
        (Column("C", "number", unit="s; h"), 1.5, '#,##0.00" s, h"'),
        (Column("C", "number", unit="kg"), 1e-9, '0.00E+00" kg"'),
        (Column("C", "number", unit="kg"), "none", "General"),
    ],
)
def test_decimals_and_units_are_the_columns(column: Column, value: Cell, shown_as: str) -> None:
    cell = sheet_of(Table("T", [column], [[value]]))["A2"]
    assert (cell.value, cell.number_format) == (value, shown_as)


@settings(max_examples=30)
@given(unit=HOSTILE)
def test_any_unit_leaves_a_workbook_that_opens(unit: str) -> None:
    sheet = sheet_of(Table("T", [Column("C", "number", "sum", unit=unit)], [[1.5]]))
    assert sheet["A2"].value == 1.5
    form = sheet["A2"].number_format
    assert form == "#,##0.00" or re.fullmatch('#,##0[.]00" [^"]*"', form, re.DOTALL)


@pytest.mark.parametrize(("total", "expected"), [("sum", 30), ("mean", 15), ("count", 2)])
def test_totals_stand_under_the_table_as_values_and_out_of_the_filter(
    total: Total, expected: float
) -> None:
    columns = [Column("Region"), Column("Sales", "integer", total, unit="pcs")]
    sheet = sheet_of(Table("T", columns, [("North", 10), ("South", 20)]))
    assert sheet["B4"].value == expected
    assert sheet["A4"].value in ("Total", "Mean", "Count")
    assert sheet["A4"].font.b
    assert sheet.auto_filter.ref == "A1:B3"
    assert sheet.max_row == 4


def plotted(kind: ChartKind, values: Any = "Sales", low: float = 1) -> Any:
    columns = [Column("Month"), Column("Sales", "number"), Column("Costs", "number")]
    rows = [("Jan", 12, 3), ("Feb", low, 4), ("Mar", 9, 5)]
    return chart_of(Table("T", columns, rows, Chart("By month", "Month", values, kind)))


@pytest.mark.parametrize(
    ("kind", "tag"), [("bar", "barChart"), ("line", "lineChart"), ("pie", "pieChart")]
)
def test_a_chart_is_the_workbooks_own(kind: ChartKind, tag: str) -> None:
    chart = plotted(kind)
    assert chart.tagname == tag
    [series] = chart.series
    assert series.val.numRef.f == "'T'!$B$2:$B$4"
    assert series.cat.numRef.f == "'T'!$A$2:$A$4"


@pytest.mark.parametrize("kind", ["bar", "line"])
def test_several_columns_are_drawn_with_a_legend(kind: ChartKind) -> None:
    chart = plotted(kind, ["Sales", "Costs"])
    assert [series.tx.strRef.f for series in chart.series] == ["'T'!B1", "'T'!C1"]
    assert chart.legend is not None
    assert plotted(kind).legend is None


def test_a_pie_says_what_its_slices_are() -> None:
    pie = plotted("pie")
    assert pie.legend is not None
    assert pie.dataLabels.showPercent
    colours = [p.graphicalProperties.solidFill.srgbClr for p in pie.series[0].data_points]
    assert len(set(colours)) == 3
    assert plotted("pie", low=-1).tagname == "barChart"


def test_the_summary_says_figures_and_warnings() -> None:
    figures = [Figure("Revenue", 1234.5, unit="EUR"), Figure("Best", "North", "text")]
    report = Report("R", [sales(1)], ["A note"], figures=figures, warnings=["=Mind this"])
    sheet = load_workbook(written(report))["Summary"]
    cells = [[cell for cell in row if cell] for row in sheet.iter_rows(values_only=True)]
    assert [row for row in cells if row] == [
        ["R"],
        ["=Mind this"],
        ["A note"],
        ["Key figures"],
        ["Revenue", 1234.5],
        ["Best", "North"],
        ["Table", "Rows"],
        ["Sales", 1],
    ]
    assert sheet["B7"].number_format == '#,##0.00" EUR"'
    assert sheet["A3"].font.b


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such limit")
def test_many_tables_are_written_with_few_files_open(tmp_path: Path) -> None:
    """A report has more tables than a job may have open files."""
    script = """
import resource, sys
from {{ cookiecutter.package_name }}.report import Chart, Column, Report, Table
from {{ cookiecutter.package_name }}.workbook import write_workbook
columns = [Column("A"), Column("B", "number", "sum")]
tables = [Table(f"T{n}", columns, [["x", n]], Chart("C", "A", "B")) for n in range(100)]
resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
write_workbook(Report("R", tables), open(sys.argv[1], "wb"))
"""
    path = tmp_path / "many.xlsx"
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    book = load_workbook(path)
    assert book.sheetnames == ["Summary", *(f"T{n}" for n in range(100))]
    assert [book[f"T{n}"]["B2"].value for n in range(100)] == list(range(100))
    parts = zipfile.ZipFile(path).namelist()
    assert sum(part.startswith("xl/charts/chart") for part in parts) == 100


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much a process has used")
def test_a_large_table_is_written_in_little_memory(tmp_path: Path) -> None:
    """20,000 rows of 10 cells take less than 5 MB besides themselves: 25 bytes a cell."""
    script = """
import sys
from pathlib import Path
from {{ cookiecutter.package_name }}.report import Chart, Column, Report, Table
from {{ cookiecutter.package_name }}.workbook import write_workbook
columns = [Column(f"C{n}", "number", "sum") for n in range(10)]
rows = [tuple(row * 10.5 + n for n in range(10)) for row in range(20_000)]
def peak():
    [line] = [line for line in Path('/proc/self/status').open() if line.startswith('VmHWM')]
    return int(line.split()[1]) * 1024
before = peak()
write_workbook(Report("R", [Table("T", columns, rows)]), open(sys.argv[1], "wb"))
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "large.xlsx")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 5 * 10**6
    sheet = CalamineWorkbook.from_path(tmp_path / "large.xlsx").get_sheet_by_index(1)
    assert sheet.height == 20_002
