"""What the native reader gets wrong of an .ods, and reads right in a copy."""

from __future__ import annotations

import zipfile
from datetime import time, timedelta
from pathlib import Path

import pytest
from test_tables_formats import ods, ods_cell, ods_row, ods_table, only, pack

from {{ cookiecutter.package_name }}.step import UserError
from {{ cookiecutter.package_name }}.tables import limits, read

BARE = "<table:table-cell><text:p>{}</text:p></table:table-cell>"


def rewrite(path: Path, old: str, new: str, *, without: str = "") -> Path:
    """The same file with other contents, and without a part."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name).decode() for name in file.namelist() if name != without}
    parts["content.xml"] = parts["content.xml"].replace(old, new)
    return pack(path, parts)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        ("PT24H0M0S", timedelta(hours=24)),
        ("PT295H12M0S", timedelta(hours=295, minutes=12)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("PT10H30M0S", time(10, 30)),
        ("-PT1H30M0.5S", timedelta(hours=-1, minutes=-30, seconds=-0.5)),
    ],
)
def test_a_duration_is_read_with_any_number_of_digits(
    tmp_path: Path, value: str, length: timedelta | time
) -> None:
    table = ods_table(ods_row(ods_cell("string", "for")), ods_row(ods_cell("time", value)))
    assert only(ods(tmp_path / "a.ods", table)).rows == [[length]]


@pytest.mark.parametrize("without", ["mimetype", "META-INF/manifest.xml"])
def test_a_part_that_only_names_others_may_be_absent(tmp_path: Path, without: str) -> None:
    table = ods_table(ods_row(ods_cell("string", "a")), ods_row(ods_cell("float", "5")))
    path = rewrite(ods(tmp_path / "a.ods", table), "", "", without=without)
    assert only(path).rows == [[5]]


def test_white_space_between_elements_means_nothing(tmp_path: Path) -> None:
    cells = (ods_cell("string", "A &amp; B"), ods_cell("time", "PT01H00M00S"))
    table = ods_table(ods_row(ods_cell("string", "a"), ods_cell("string", "b")), ods_row(*cells))
    path = ods(tmp_path / "a.ods", table)
    for tag in ("table:table-row", "table:table-cell", "text:p"):
        path = rewrite(path, f"<{tag}", f"\n\t<{tag}")
        path = rewrite(path, "</table:table-cell>", "\n </table:table-cell>\n")
    assert only(path).rows == [["A & B", time(1)]]


def test_tabs_and_line_breaks_in_text_are_kept(tmp_path: Path) -> None:
    text = "a<text:tab/>b<text:line-break/>c &lt;<text:s text:c='2'/><text:span>d</text:span>"
    note = "<office:annotation><text:p>a note</text:p></office:annotation>"
    cell = ods_cell("string", text).replace("<text:p>", f"{note}<text:p>", 1)
    more = cell.replace("</table:table-cell>", "<text:p>e</text:p></table:table-cell>")
    table = ods_table(ods_row(ods_cell("string", "a")), ods_row(more))
    assert only(ods(tmp_path / "a.ods", table)).rows == [["a\tb\nc <  d\ne"]]


def test_text_of_a_cell_without_a_type_is_read(tmp_path: Path) -> None:
    blank = '<table:table-cell table:number-columns-repeated="16000"/>'
    covered = BARE.format("z").replace("table-cell", "covered-table-cell")
    row = ods_row(BARE.format("x"), ods_cell("float", "1"), "<table:table-cell/>", covered, blank)
    header = ods_row(*(BARE.format(name) for name in "abcd"), blank)
    table = ods_table(header, row, ods_row(blank, repeated=1_048_000))
    sheet = only(ods(tmp_path / "a.ods", table))
    assert (sheet.header, sheet.rows) == (["a", "b", "c", "d"], [["x", 1, None, "z"]])


def test_s27_formulas_without_a_saved_result_are_counted(tmp_path: Path) -> None:
    """Whether a type is promised or not; any value and any text, even an empty one, is a result."""
    start = '<table:table-cell table:formula="of:=[.A1]"'
    none = f"{start}/>", f'{start} office:value-type="float"/>'
    some = (
        f"{start}><text:p>x</text:p></table:table-cell>",
        f'{start} office:value-type="float" office:value="0"/>',
        f'{start} office:value-type="string" office:string-value=""/>',
        f'{start} office:value-type="string"><text:p/></table:table-cell>',
    )
    row = ods_row(ods_cell("string", "n"), *some)
    sheet = only(ods(tmp_path / "a.ods", ods_table(row, row)))
    assert sheet.skipped == []
    row = ods_row(ods_cell("float", "1"), *none, *some)
    sheet = only(ods(tmp_path / "b.ods", ods_table(row, row)))
    (line,) = sheet.skipped
    assert line.startswith("4 formulas have no saved result; read as blank.")


@pytest.mark.parametrize("shown", ["#DIV/0!", "#N/A", "#NAME?", "#¡VALOR!", "Err:502"])
def test_s27_an_error_that_is_saved_as_a_zero_is_blank_and_counted(
    tmp_path: Path, shown: str
) -> None:
    zero = '<table:table-cell table:formula="of:=0" office:value-type="float" office:value="0"'
    ending = "<text:p>{}</text:p></table:table-cell>"
    twice = f'{zero} table:number-columns-repeated="2">{ending.format(shown)}'
    true = f"{zero}>{ending.format('#0')}"
    row = ods_row(ods_cell("string", "a"), twice, true, ods_cell("float", "7"), repeated=2)
    header = ods_row(*(ods_cell("string", name) for name in "abcde"))
    sheet = only(ods(tmp_path / "a.ods", ods_table(header, row, row)))
    assert sheet.rows == [["a", None, None, 0, 7]] * 4
    assert sheet.skipped == ["8 cells hold an error such as #REF! or #N/A; read as blank."]


@pytest.mark.parametrize("more", ["", 'office:string-value="#N/A"'])
def test_s27_the_text_that_is_saved_with_an_error_is_no_value(tmp_path: Path, more: str) -> None:
    """Where a cell in a cell comes before it, too."""
    error = ods_cell("string", "#N/A", f'calcext:value-type="error" {more}')
    inner = f"<table:table>{ods_row(ods_cell('float', '3'))}</table:table>"
    outer = ods_cell("float", "1").replace("/>", f">{inner}</table:table-cell>")
    header = ods_row(*(ods_cell("string", name) for name in "abc"))
    path = ods(tmp_path / "a.ods", ods_table(header, ods_row(outer, error, ods_cell("float", "5"))))
    sheet = only(path)
    assert sheet.rows == [[1, None, 5]]
    assert sheet.skipped == ["1 cell holds an error such as #REF! or #N/A; read as blank."]


def test_text_of_cells_without_a_type_counts_as_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "sheet_cells", lambda: 1000)
    cell = BARE.format("x").replace("-cell>", '-cell table:number-columns-repeated="2000">', 1)
    with pytest.raises(UserError, match="more than 1,000 cells"):
        read(ods(tmp_path / "a.ods", ods_table(ods_row(cell))))


def test_other_prefixes_and_hidden_sheets_are_read(tmp_path: Path) -> None:
    path = ods(tmp_path / "a.ods", ods_table(ods_row(ods_cell("float", "5"))))
    path = rewrite(path, "table:", "t:")
    style = (
        '<office:automatic-styles><style:style xmlns:style="urn:oasis:names:tc:opendocument:xmlns:'
        'style:1.0" style:name="ta1" style:family="table"><style:table-properties t:display='
        '"false"/></style:style></office:automatic-styles>'
    )
    path = rewrite(path, "xmlns:table=", "xmlns:t=")
    path = rewrite(path, "xmlns:t:1.0", "xmlns:table:1.0")
    path = rewrite(path, "<office:body>", f"{style}<office:body>")
    path = rewrite(path, "<t:table ", '<t:table t:style-name="ta1" ')
    (sheet,) = read(path).sheets
    assert (sheet.rows, sheet.hidden) == ([[5]], True)
