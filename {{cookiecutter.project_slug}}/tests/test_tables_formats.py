"""Spreadsheets of each format, built byte by byte: what is read and what is said to be missing.

The builders write the least that each format needs, so that a test can put anything anywhere.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook as Book
from openpyxl.chart import BarChart
from openpyxl.worksheet.worksheet import Worksheet

from {{ cookiecutter.package_name }}.step import UserError
from {{ cookiecutter.package_name }}.tables import Sheet, native, ooxml, read, second
from {{ cookiecutter.package_name }}.tables.grid import Budget, Grid
from {{ cookiecutter.package_name }}.tables.ooxml import SheetScan, beyond

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml."

ERRORS = "cells hold an error such as #REF! or #N/A; read as blank."
MOMENT = datetime.fromisoformat("2024-02-03T04:05:06")
MIDNIGHT = datetime.fromisoformat("2024-02-03T00:00:00")

XLS_SHEET, XLS_CHART = 0, 2


def pack(path: Path, parts: Mapping[str, str | bytes]) -> Path:
    """A zip container of these parts."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return path


def links(targets: Mapping[str, str]) -> str:
    """A part of relationships: targets by the last word of their type, its id besides."""
    items = "".join(
        f'<Relationship Id="{name}" Type="{LINKS}/{name.rstrip("0123456789")}" Target="{target}"/>'
        for name, target in targets.items()
    )
    return f'<Relationships xmlns="{PACKAGE}">{items}</Relationships>'


def types(kinds: Mapping[str, str]) -> str:
    """The list of content types: parts by the last word of theirs."""
    items = "".join(
        f'<Override PartName="/xl/{part}" ContentType="{KIND}{kind}+xml"/>'
        for part, kind in kinds.items()
    )
    rest = '<Default Extension="xml" ContentType="application/xml"/>'
    rels = "application/vnd.openxmlformats-package.relationships+xml"
    rest += f'<Default Extension="rels" ContentType="{rels}"/>'
    return f'<Types xmlns="{TYPES}">{rest}{items}</Types>'


def xlsx_parts(
    sheets: Mapping[str, str], strings: str = "", namespace: str = MAIN
) -> dict[str, str | bytes]:
    """The parts of an xlsx workbook whose sheets hold the given rows as XML."""
    numbered = list(enumerate(sheets.items(), 1))
    listed = "".join(
        f'<sheet name="{name}" sheetId="{at}" r:id="worksheet{at}"/>' for at, (name, _) in numbered
    )
    targets = {f"worksheet{at}": f"worksheets/sheet{at}.xml" for at, _sheet in numbered}
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": types(
            {
                "workbook.xml": "sheet.main",
                **({"sharedStrings.xml": "sharedStrings"} if strings else {}),
                **dict.fromkeys(targets.values(), "worksheet"),
            }
        ),
        "_rels/.rels": links({"officeDocument": "xl/workbook.xml"}),
        "xl/workbook.xml": f'<workbook xmlns="{namespace}" xmlns:r="{LINKS}">'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": links(
            {**targets, "sharedStrings": "sharedStrings.xml"} if strings else targets
        ),
    }
    for at, (_name, rows) in numbered:
        parts[f"xl/worksheets/sheet{at}.xml"] = (
            f'<worksheet xmlns="{namespace}"><sheetData>{rows}</sheetData></worksheet>'
        )
    if strings:
        parts["xl/sharedStrings.xml"] = strings
    return parts


def xlsx(path: Path, rows: str, strings: str = "") -> Path:
    """An xlsx workbook of one sheet, `S`."""
    return pack(path, xlsx_parts({"S": rows}, strings))


def text(reference: str, value: str) -> str:
    """An xlsx cell of text."""
    return f'<c r="{reference}" t="inlineStr"><is><t>{value}</t></is></c>'


def number(reference: str, value: float) -> str:
    """An xlsx cell of a number."""
    return f'<c r="{reference}"><v>{value}</v></c>'


def ods(path: Path, tables: str, mimetype: str = "") -> Path:
    """An ods workbook of these tables as XML."""
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text")
    )
    calc = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
    return pack(
        path,
        {
            "mimetype": mimetype or "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": f'<office:document-content {spaces} xmlns:calcext="{calc}"><office:body>'
            f"<office:spreadsheet>{tables}</office:spreadsheet></office:body>"
            "</office:document-content>",
            "META-INF/manifest.xml": "<manifest/>",
        },
    )


def ods_table(*rows: str, name: str = "S") -> str:
    return f'<table:table table:name="{name}">{"".join(rows)}</table:table>'


def ods_row(*cells: str, repeated: int = 1) -> str:
    start = f'<table:table-row table:number-rows-repeated="{repeated}">'
    return f"{start}{''.join(cells)}</table:table-row>"


def ods_cell(kind: str, value: str = "", more: str = "") -> str:
    """A cell by its kind; the text of a string, else the attribute that its kind has."""
    if kind == "string":
        start = f'<table:table-cell office:value-type="string" {more}>'
        return f"{start}<text:p>{value}</text:p></table:table-cell>"
    attribute = {"date": "date-value", "time": "time-value", "boolean": "boolean-value"}
    name = attribute.get(kind, "value")
    return f'<table:table-cell office:value-type="{kind}" office:{name}="{value}" {more}/>'


def record(kind: int, data: bytes = b"") -> bytes:
    """One record of an xls stream."""
    return struct.pack("<HH", kind, len(data)) + data


def xls_number(row: int, column: int, value: float) -> bytes:
    return record(0x203, struct.pack("<HHHd", row, column, 0, value))


def xls_text(row: int, column: int, value: str) -> bytes:
    return record(
        0x204,
        struct.pack("<HHHHB", row, column, 0, len(value), 1) + value.encode("utf-16-le"),
    )


def xls_stream(sheets: Sequence[tuple[str, int, int, bytes]], extra: bytes = b"") -> bytes:
    """The stream of an xls workbook: name, hidden or not, kind and records of each sheet."""
    begin = struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0)
    head = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0)) + extra
    size = len(head) + sum(12 + len(name) for name, *_sheet in sheets) + 4
    listed, bodies = b"", b""
    for name, hidden, kind, cells in sheets:
        at = size + len(bodies)
        listed += record(
            0x85, struct.pack("<IBBBB", at, hidden, kind, len(name), 0) + name.encode("ascii")
        )
        bodies += record(0x809, begin) + cells + record(0x0A)
    return head + listed + record(0x0A) + bodies


def compound(path: Path, stream: bytes, name: str = "Workbook") -> Path:
    """An OLE compound file with one stream of at most 60 kB."""
    stream = stream.ljust(4096, b"\0")
    sectors = -(-len(stream) // 512)
    header = struct.pack("<8s16xHHHHH6x", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 62, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9I", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    header += struct.pack("<109I", 0, *[0xFFFFFFFF] * 108)
    chain = [*range(3, 2 + sectors), 0xFFFFFFFE]
    table = [0xFFFFFFFD, 0xFFFFFFFE, *chain]
    table += [0xFFFFFFFF] * (128 - len(table))
    entries = _entry("Root Entry", 5, 1, 0xFFFFFFFE, 0) + _entry(
        name, 2, 0xFFFFFFFF, 2, len(stream)
    )
    path.write_bytes(
        header
        + struct.pack("<128I", *table)
        + entries.ljust(512, b"\0")
        + stream.ljust(512 * sectors, b"\0")
    )
    return path


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    data = name.encode("utf-16-le").ljust(64, b"\0")
    data += struct.pack("<HBBIII", 2 * len(name) + 2, kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child)
    return data + bytes(36) + struct.pack("<IQ", start, size)


def binary_record(kind: int, data: bytes = b"") -> bytes:
    """One record of an xlsb part, of less than 128 bytes."""
    first = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    return first + bytes([len(data)]) + data


def wide(value: str) -> bytes:
    data = value.encode("utf-16-le")
    return struct.pack("<I", len(data) // 2) + data


def xlsb(path: Path, sheets: Mapping[str, bytes]) -> Path:
    """An xlsb workbook whose sheets hold the given rows as records."""
    numbered = list(enumerate(sheets.items(), 1))
    bundles = b"".join(
        binary_record(156, struct.pack("<II", 0, at) + wide(f"worksheet{at}") + wide(name))
        for at, (name, _rows) in numbered
    )
    workbook = binary_record(131) + bundles + binary_record(144) + binary_record(132)
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": types({}),
        "_rels/.rels": links({"officeDocument": "xl/workbook.bin"}),
        "xl/workbook.bin": workbook,
        "xl/_rels/workbook.bin.rels": links(
            {f"worksheet{at}": f"worksheets/sheet{at}.bin" for at, _sheet in numbered}
        ),
    }
    for at, (_name, rows) in numbered:
        parts[f"xl/worksheets/sheet{at}.bin"] = (
            binary_record(129)
            + binary_record(148, bytes(16))
            + binary_record(145)
            + rows
            + binary_record(146)
        )
    return pack(path, parts)


def binary_row(number: int, *cells: tuple[int, bytes]) -> bytes:
    """A row of xlsb cells: the kind and the value of each, from the first column on."""
    found = binary_record(0, struct.pack("<I", number) + bytes(13))
    for column, (kind, value) in enumerate(cells):
        found += binary_record(kind, struct.pack("<II", column, 0) + value)
    return found


def only(path: Path) -> Sheet:
    """The one sheet of a file."""
    (sheet,) = read(path).sheets
    return sheet


def save(path: Path, *rows: list[Any]) -> Path:
    """Save an xlsx workbook of one sheet by openpyxl."""
    book = Book()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for row in rows:
        sheet.append(row)
    book.save(path)
    return path


def test_xlsx_gives_each_kind_of_cell_its_type(tmp_path: Path) -> None:
    row = [1, 2.5, "x", True, date(2024, 2, 3), MOMENT, time(7, 8)]
    sheet = only(save(tmp_path / "a.xlsx", list("abcdefgh"), [*row, timedelta(hours=30)]))
    assert sheet.rows == [[*row, timedelta(hours=30)]]
    assert [type(cell) for cell in sheet.rows[0]][:4] == [int, float, str, bool]
    assert sheet.header == list("abcdefgh")
    assert sheet.skipped == []
    assert (sheet.file, sheet.name, sheet.hidden) == ("a.xlsx", "Sheet", False)


@pytest.mark.parametrize("name", ["a.XLSX", "a.xlsm"])
def test_the_suffix_may_be_upper_case_or_that_of_a_workbook_with_macros(
    tmp_path: Path, name: str
) -> None:
    assert only(save(tmp_path / name, ["a", "b"], [1, 2])).rows == [[1, 2]]


class Upload:
    """A file under a generated path without a suffix, as in the app."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    def __fspath__(self) -> str:
        return str(self.path)


def test_the_name_tells_the_type_and_not_the_path(tmp_path: Path) -> None:
    path = save(tmp_path / "9f86d081", ["a", "b"], [1, 2])
    (sheet,) = read(Upload(path, "Sales of May.xlsx")).sheets
    assert (sheet.file, sheet.rows) == ("Sales of May.xlsx", [[1, 2]])
    path = compound(tmp_path / "0e4dd66c", xls_stream([("S", 0, 0, xls_number(0, 0, 5))]))
    (sheet,) = read(Upload(path, "old.xls")).sheets
    assert sheet.rows == [[5]]
    path = xlsb(tmp_path / "77aa3f", {"S": binary_row(0, (5, struct.pack("<d", 6)))})
    (sheet,) = read(Upload(path, "b.xlsb")).sheets
    assert sheet.rows == [[6]]
    path = ods(tmp_path / "77aa40", ods_table(ods_row(ods_cell("float", "7"))))
    (sheet,) = read(Upload(path, "o.ods")).sheets
    assert sheet.rows == [[7]]


def test_whole_floats_become_integers_only_where_that_is_exact(tmp_path: Path) -> None:
    rows = f'<row r="1">{text("A1", "n")}</row>' + "".join(
        f'<row r="{at}"><c r="A{at}"><v>{value}</v></c></row>'
        for at, value in enumerate(["3", "3.0", "9007199254740992", "9007199254740994", "1e300"], 2)
    )
    found = [row[0] for row in only(xlsx(tmp_path / "a.xlsx", rows)).rows]
    assert [repr(cell) for cell in found] == [
        "3",
        "3",
        "9007199254740992",
        "9007199254740994.0",
        "1e+300",
    ]


def test_strict_workbooks_are_read(tmp_path: Path) -> None:
    dated = '<row r="2"><c r="A2" t="d"><v>2024-02-03</v></c></row>'
    rows = f'<row r="1">{text("A1", "a")}</row>{dated}'
    path = pack(tmp_path / "a.xlsx", xlsx_parts({"S": rows}, namespace=STRICT))
    assert only(path).rows == [[date(2024, 2, 3)]]


def test_s27_cells_outside_the_declared_dimension_are_read(tmp_path: Path) -> None:
    rows = "".join(f'<row r="{r}">{number(f"A{r}", r)}</row>' for r in (1, 2, 3))
    parts = xlsx_parts({"S": rows})
    sheet = str(parts["xl/worksheets/sheet1.xml"])
    for dimension in ("A1", "A1:XFD1048576"):
        declared = sheet.replace("<sheetData>", f'<dimension ref="{dimension}"/><sheetData>')
        path = pack(tmp_path / "a.xlsx", {**parts, "xl/worksheets/sheet1.xml": declared})
        assert only(path).rows == [[1], [2], [3]]


def test_s27_the_second_reader_believes_no_dimension_either(tmp_path: Path) -> None:
    """The parts of this file are UTF-16, which only the second reader knows."""
    rows = "".join(f'<row r="{r}">{number(f"A{r}", r)}</row>' for r in (1, 2, 3))
    parts = xlsx_parts({"S": rows})
    for name, data in parts.items():
        whole = str(data).replace("<sheetData>", '<dimension ref="A1"/><sheetData>')
        parts[name] = f'<?xml version="1.0" encoding="UTF-16"?>{whole}'.encode("utf-16")
    assert only(pack(tmp_path / "a.xlsx", parts)).rows == [[1], [2], [3]]


def test_one_sheet_that_the_first_reader_cannot_read_is_not_lost(tmp_path: Path) -> None:
    row = f'<row r="1">{text("A1", "a")}{number("B1", 2)}</row>'
    parts = xlsx_parts({"One": row, "Two": row})
    second = str(parts["xl/worksheets/sheet2.xml"])
    parts["xl/worksheets/sheet2.xml"] = f'<?xml version="1.0" encoding="UTF-16"?>{second}'.encode(
        "utf-16"
    )
    assert [sheet.name for sheet in read(pack(tmp_path / "a.xlsx", parts)).sheets] == ["One", "Two"]


def test_what_the_first_reader_does_not_find_the_second_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.xlsx", ["a", "b"], [1, 2])
    for found in ([], [Grid("Sheet")]):
        monkeypatch.setattr(native, "read", lambda *_arguments, found=found: found)
        assert only(path).rows == [[1, 2]]


def test_s27_the_second_reader_is_asked_for_the_missed_sheets_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And if it finds nothing there either, the sheet is empty."""
    asked = []

    def ask(*arguments: Any) -> list[Grid]:
        asked.append(arguments[3])
        return reader(*arguments)

    reader = second.read
    monkeypatch.setattr(second, "read", ask)
    rows = {"One": number("A1", 1), "Blank": text("A1", " "), "Two": number("A1", 2)}
    parts = xlsx_parts({name: f'<row r="1">{cell}</row>' for name, cell in rows.items()})
    book = read(pack(tmp_path / "a.xlsx", parts))
    assert [sheet.rows for sheet in book.sheets] == [[[1]], [[2]]]
    assert book.skipped == ["Sheet “Blank” is empty."]
    assert asked == [{"Blank"}]


def test_the_second_reader_gives_a_date_for_a_midnight_too(tmp_path: Path) -> None:
    row = '<c r="A1" t="d"><v>2024-02-03T00:00:00</v></c><c r="B1" t="e"><v>#N/A</v></c>'
    path = xlsx(tmp_path / "a.xlsx", f'<row r="1">{row}</row>')
    (grid,) = second.read(path, "a.xlsx", lambda _done: None)
    assert (grid.rows, grid.errors) == ([[date(2024, 2, 3)]], 1)


def test_a_sheet_is_looked_through_alike_wherever_it_is_cut() -> None:
    error = '<c r="C7" t="e"><v>#REF!</v></c>'
    formula = '<c r="D7"><f>A1</f></c>'
    sheet = f'<row r="7">{number("B7", 1)}{error}{formula}{text("AA7", "x")}</row>'.encode()
    for cut in range(len(sheet)):
        scan = SheetScan()
        scan(sheet[:cut])
        scan(sheet[cut:])
        found = scan.close()
        assert (found.errors, found.unsaved, found.area) == (1, 1, 26), cut


FAR = [
    (number("XFD5", 1), (16383, 2000)),
    (number("A1048576", 1), (2, 1048576)),
    (number("D2001", 1), (3, 2001)),
    (number("aa7", 1), (26, 2000)),
    ("<c s='1' r='C99999'><f>A1</f></c>", (2, 99999)),
    ('<c r="XFD1048576" s="1"/>', (2, 2000)),
]


@pytest.mark.parametrize(("far", "corner"), FAR)
@pytest.mark.parametrize("at", [1, 700, 1999])
def test_s24_a_cell_far_from_all_others_is_seen_wherever_it_stands(
    far: str, corner: tuple[int, int], at: int
) -> None:
    rows = [f'<row r="{r}">{number(f"A{r}", r)}{number(f"C{r}", r)}</row>' for r in range(1, 2001)]
    rows[at] = rows[at].replace("</row>", f"{far}</row>")
    scan = SheetScan()
    scan("".join(rows).encode())
    found = scan.close()
    assert (found.right, found.bottom) == corner
    assert (found.left, found.top) == (0, 1)


@given(right=st.integers(0, 16382), bottom=st.integers(1, 1048575))
def test_s24_beyond_a_cell_is_what_lies_right_of_it_or_below(right: int, bottom: int) -> None:
    def seen(column: int, row: int) -> bool:
        return beyond(right, bottom, b'<c r="%s%d">' % (ooxml.column_letters(column), row))

    assert not any(seen(column, row) for column in (0, right) for row in (1, bottom))
    assert seen(right + 1, 1)
    assert seen(0, bottom + 1)
    assert seen(16383, 1)
    assert seen(0, 9999999)
    assert ooxml.column_number(ooxml.column_letters(right)) == right


CELLS = st.lists(
    st.sampled_from(["", " ", "x", "1"])
    | st.floats()
    | st.integers(-3, 3).map(float)
    | st.booleans()
    | st.none()
    | st.dates(),
    min_size=1,
)


@given(cells=CELLS, kind=st.sampled_from([object, str, float, bool]))
def test_a_column_becomes_what_its_cells_become_one_by_one(cells: list[Any], kind: type) -> None:
    budget, cells = Budget("a.xlsx"), [cell for cell in cells if isinstance(cell, kind)]
    found = budget.clean_column(cells)
    assert list(map(repr, found)) == [repr(budget.clean(cell)) for cell in cells]


def test_s27_a_sheet_whose_part_is_missing_is_named(tmp_path: Path) -> None:
    parts = xlsx_parts({"One": f'<row r="1">{number("A1", 1)}</row>', "Two": ""})
    del parts["xl/worksheets/sheet2.xml"]
    book = read(pack(tmp_path / "a.xlsx", parts))
    assert [sheet.name for sheet in book.sheets] == ["One"]
    assert any("Two" in line for line in book.skipped)


def test_parts_may_be_named_with_backslashes_and_in_other_case(tmp_path: Path) -> None:
    parts = xlsx_parts({"S": f'<row r="1">{number("A1", 1)}<c r="B1" t="e"><v>#N/A</v></c></row>'})
    path = pack(tmp_path / "a.xlsx", {name.replace("/", "\\"): d for name, d in parts.items()})
    sheet = only(path)
    assert sheet.rows == [[1]]
    assert sheet.skipped == ["1 cell holds an error such as #REF! or #N/A; read as blank."]


def test_s27_xlsx_error_cells_are_blank_and_counted_by_sheet(tmp_path: Path) -> None:
    errors = "".join(
        f'<row r="{at}">{number(f"A{at}", at)}'
        f'<c r="B{at}" s="1" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>'
        for at in range(1, 1201)
    )
    clean = f'<row r="1">{number("A1", 1)}{text("B1", "t=&quot;e&quot;")}</row>'
    one, two = read(pack(tmp_path / "a.xlsx", xlsx_parts({"One": errors, "Two": clean}))).sheets
    assert one.skipped == [f"1,200 {ERRORS}"]
    assert len(one.rows) == 1200
    assert two.skipped == []


def test_errors_are_counted_across_the_chunks_of_a_large_part(tmp_path: Path) -> None:
    filler = "x" * 30_000
    rows = "".join(
        f'<row r="{at}">{text(f"A{at}", filler)}<c r="B{at}" t="e"><v>#REF!</v></c></row>'
        for at in range(1, 301)
    )
    sheet = only(xlsx(tmp_path / "a.xlsx", rows))
    assert sheet.skipped == [f"300 {ERRORS}"]


def test_s27_formulas_without_a_saved_result_are_counted(tmp_path: Path) -> None:
    """What openpyxl writes holds none; an empty text is a result."""
    path = save(tmp_path / "a.xlsx", ["n", "sum"], [1, "=A2*2"], [2, "=A3*2"])
    (line,) = only(path).skipped
    assert line.startswith("2 formulas have no saved result; read as blank.")
    rows = (
        f'<row r="1">{number("A1", 1)}<c r="B1" t="str"><f>""</f><v></v></c>'
        '<c r="C1"><f>A1</f><v>1</v></c></row>'
    )
    assert only(xlsx(tmp_path / "b.xlsx", rows)).skipped == []
    (line,) = only(xlsx(tmp_path / "c.xlsx", rows.replace("<v></v>", ""))).skipped
    assert line.startswith("1 formula has no saved result; read as blank.")


@pytest.mark.parametrize("asked", ["1", "0"])
def test_s27_zeros_that_may_stand_for_no_result_are_counted(tmp_path: Path, asked: str) -> None:
    """Programs that work nothing out write them, and ask for the results at the next opening."""
    cells = f'{number("A1", 0)}<c r="B1" s="1"><f>A1</f><v>0</v></c><c r="C1"><f>1</f><v>1</v></c>'
    cells += '<c r="D1" t="b"><f>1=2</f><v>0</v></c><c r="E1"><f>0.5</f><v>0.5</v></c>'
    parts = xlsx_parts({"S": f'<row r="1">{cells}</row>'})
    whole = str(parts["xl/workbook.xml"])
    calculation = f'<calcPr calcId="124519" fullCalcOnLoad="{asked}"/></workbook>'
    parts["xl/workbook.xml"] = whole.replace("</workbook>", calculation)
    sheet = only(pack(tmp_path / "a.xlsx", parts))
    assert sheet.rows == [[0, 0, 1, False, 0.5]]
    sentence = (
        "1 formula has 0 for a result and may never have been calculated; read as 0. Open the file "
        "in a spreadsheet program and save it to have the results."
    )
    assert sheet.skipped == ([sentence] if asked == "1" else [])


def test_s27_hidden_sheets_are_read_and_empty_and_chart_sheets_named(tmp_path: Path) -> None:
    book = Book()
    shown, hidden = book.active, book.create_sheet("Hidden")
    assert isinstance(shown, Worksheet)
    shown.append(["a", 1])
    hidden.append(["b", 2])
    hidden.sheet_state = "veryHidden"
    book.create_sheet("Empty")
    book.create_chartsheet("Chart").add_chart(BarChart())
    book.save(tmp_path / "a.xlsx")
    found = read(tmp_path / "a.xlsx")
    assert [(sheet.name, sheet.hidden) for sheet in found.sheets] == [
        ("Sheet", False),
        ("Hidden", True),
    ]
    assert found.skipped == [
        "Sheet “Empty” is empty.",
        "Sheet “Chart” is a chart sheet and holds no table: not read.",
    ]


def test_a_sheet_of_nothing_but_errors_is_said_to_hold_them(tmp_path: Path) -> None:
    errors = '<row r="1"><c r="A1" t="e"><v>#REF!</v></c></row>'
    parts = xlsx_parts({"Data": f'<row r="1">{number("A1", 1)}</row>', "Broken": errors})
    assert read(pack(tmp_path / "a.xlsx", parts)).skipped == [
        "Sheet “Broken” is empty.",
        "Sheet “Broken”: 1 cell holds an error such as #REF! or #N/A; read as blank.",
    ]


@pytest.mark.parametrize("suffix", ["xlsx", "xls", "ods"])
def test_s27_two_sheets_of_the_same_name_are_refused(tmp_path: Path, suffix: str) -> None:
    """A reader would give one of them twice; names that differ in case are two."""
    path = tmp_path / f"a.{suffix}"

    def write(*names: str) -> None:
        if suffix == "xls":
            cells = [xls_number(0, 0, at) for at in range(len(names))]
            compound(path, xls_stream([*zip(names, [0, 0], [0, 0], cells, strict=True)]))
        elif suffix == "ods":
            rows = [ods_row(ods_cell("float", str(at))) for at in range(len(names))]
            ods(path, "".join(map(lambda name, row: ods_table(row, name=name), names, rows)))
        else:
            parts = xlsx_parts({name: f'<row r="1">{number("A1", 1)}</row>' for name in "XY"})
            for old, new in zip("XY", names, strict=True):
                whole = str(parts["xl/workbook.xml"])
                parts["xl/workbook.xml"] = whole.replace(f'name="{old}"', f'name="{new}"')
            pack(path, parts)

    write("Data", "data")
    assert [sheet.name for sheet in read(path).sheets] == ["Data", "data"]
    write("Data", "Data")
    with pytest.raises(UserError, match="has two sheets named “Data”, which cannot be told apart"):
        read(path)


def test_merged_cells_have_their_value_at_the_top_left(tmp_path: Path) -> None:
    book = Book()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for row in (["a", "b", "c"], ["x", None, 1], [None, None, 2]):
        sheet.append(row)
    sheet.merge_cells("A2:B3")
    book.save(tmp_path / "a.xlsx")
    assert only(tmp_path / "a.xlsx").rows == [["x", None, 1], [None, None, 2]]


def test_two_far_corners_are_read_without_the_cells_between(tmp_path: Path) -> None:
    rows = (
        f'<row r="1">{text("A1", "a")}{text("B1", "b")}</row>'
        f'<row r="2">{text("A2", "c")}{number("B2", 1)}</row>'
        f'<row r="1048576">{number("XFD1048576", 9)}</row>'
    )
    sheet = only(xlsx(tmp_path / "a.xlsx", rows))
    assert [cell for row in sheet.rows for cell in row if cell is not None] == ["c", 1, 9]
    assert "1,048,573 blank rows were left out." in sheet.skipped


def test_a_lie_about_the_number_of_shared_strings_does_no_harm(tmp_path: Path) -> None:
    """The first reader would reserve room for all of them and abort."""
    items = "<si><t>a</t></si><si><t>b</t></si>"
    strings = f'<sst xmlns="{MAIN}" uniqueCount="99999999999">{items}</sst>'
    rows = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
    sheet = only(xlsx(tmp_path / "a.xlsx", rows, strings))
    assert sheet.header == ["a", "b"]


def test_xls_gives_cells_errors_and_hidden_and_chart_sheets(tmp_path: Path) -> None:
    error = record(0x205, struct.pack("<HHHBB", 2, 1, 0, 0x17, 1))
    result = struct.pack("<BBBBBBH", 2, 0, 7, 0, 0, 0, 0xFFFF)
    formula = record(0x06, struct.pack("<HHH", 2, 2, 0) + result + bytes(8))
    boolean = record(0x205, struct.pack("<HHHBB", 1, 2, 0, 1, 0))
    cells = (
        b"".join(xls_text(0, at, name) for at, name in enumerate("äbc"))
        + xls_number(1, 0, 1.5)
        + xls_number(1, 1, 2)
        + boolean
        + xls_number(2, 0, 3)
        + error
        + formula
    )
    stream = xls_stream(
        [
            ("Data", 0, XLS_SHEET, cells),
            ("Secret", 1, XLS_SHEET, xls_number(0, 0, 7)),
            ("Chart", 0, XLS_CHART, b""),
        ]
    )
    book = read(compound(tmp_path / "a.xls", stream))
    data, secret = book.sheets
    assert data.header == ["ä", "b", "c"]
    assert data.rows == [[1.5, 2, True], [3, None, None]]
    assert data.skipped == [f"2 {ERRORS}"]
    assert (secret.name, secret.hidden, secret.rows) == ("Secret", True, [[7]])
    assert book.skipped == ["Sheet “Chart” is a chart sheet and holds no table: not read."]


def test_xlsb_gives_cells_and_counts_errors(tmp_path: Path) -> None:
    rows = binary_row(0, (6, wide("name")), (6, wide("x")), (6, wide("y"))) + binary_row(
        1, (6, wide("🍣")), (5, struct.pack("<d", 2.5)), (3, b"\x17")
    )
    rows += binary_row(2, (6, wide("b")), (4, b"\x01"), (11, b"\x07" + bytes(8)))
    sheet = only(xlsb(tmp_path / "a.xlsb", {"S": rows}))
    assert sheet.header == ["name", "x", "y"]
    assert sheet.rows == [["🍣", 2.5, None], ["b", True, None]]
    assert sheet.skipped == [f"2 {ERRORS}"]


def test_ods_gives_each_kind_of_cell_and_counts_errors(tmp_path: Path) -> None:
    header = ods_row(*(ods_cell("string", name) for name in "abcdefg"))
    error = (
        '<table:table-cell table:formula="of:=1/0" office:value-type="string" '
        'office:string-value="" calcext:value-type="error"><text:p>#DIV/0!</text:p>'
        "</table:table-cell>"
    )
    row = ods_row(
        ods_cell("float", "1"),
        ods_cell("date", "2024-02-03"),
        ods_cell("date", "2024-02-03T04:05:06"),
        ods_cell("time", "PT26H03M04S"),
        ods_cell("boolean", "true"),
        ods_cell("percentage", "0.5"),
        error,
        repeated=3,
    )
    blank = ods_row('<table:table-cell table:number-columns-repeated="1024"/>', repeated=1_048_000)
    sheet = only(ods(tmp_path / "a.ods", ods_table(header, row, blank)))
    length = timedelta(hours=26, minutes=3, seconds=4)
    assert sheet.rows == [[1, date(2024, 2, 3), MOMENT, length, True, 0.5, None]] * 3
    assert sheet.skipped == [f"3 {ERRORS}"]


def test_a_column_has_one_kind_of_date_and_one_kind_of_time(tmp_path: Path) -> None:
    """Readers give a date for a midnight and a time for less than a day; these do not compare."""
    rows = [ods_row(ods_cell("string", "at"), ods_cell("string", "for"))]
    for moment, length in (("2024-02-03", "PT01H00M00S"), ("2024-02-03T04:05:06", "PT25H00M00S")):
        rows.append(ods_row(ods_cell("date", moment), ods_cell("time", length)))
    sheet = only(ods(tmp_path / "a.ods", ods_table(*rows)))
    assert sheet.rows == [
        [MIDNIGHT, timedelta(hours=1)],
        [MOMENT, timedelta(hours=25)],
    ]


def test_200_columns_and_100_000_rows_are_read_whole(tmp_path: Path) -> None:
    wide_path = save(tmp_path / "a.xlsx", [f"c{at}" for at in range(200)], list(range(200)))
    assert only(wide_path).rows == [list(range(200))]
    rows = "".join(f'<row r="{at}">{number(f"A{at}", at)}</row>' for at in range(1, 100_001))
    found = only(xlsx(tmp_path / "b.xlsx", rows)).rows
    assert len(found) == 100_000
    assert sum(row[0] for row in found if isinstance(row[0], int)) == 5_000_050_000


def test_progress_rises_to_one_and_may_end_the_reading(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xlsx", ["a"], *([at] for at in range(5_000)))
    seen: list[float] = []
    read(path, seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 5
    assert seen[-1] == 1.0

    def cancel(done: float) -> None:
        if done > 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        read(path, cancel)


STYLES = (
    f'<styleSheet xmlns="{MAIN}"><numFmts><numFmt numFmtId="164" formatCode="[h]:mm"/>'
    '<numFmt numFmtId="165" formatCode="hh:mm;-hh:mm"/></numFmts>'
    '<cellStyleXfs><xf numFmtId="20"/></cellStyleXfs><cellXfs><xf numFmtId="0"/>'
    '<xf numFmtId="20"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>'
)


def timed(path: Path, rows: str, workbook: str = "") -> Path:
    """An xlsx workbook with formats of cells: of a number, a time, a length and an own time."""
    parts = xlsx_parts({"S": rows})
    parts["xl/styles.xml"] = STYLES
    for name, old in (("xl/workbook.xml", "<sheets>"), ("xl/_rels/workbook.xml.rels", "</Rel")):
        new = workbook if old == "<sheets>" else f'<Relationship Id="s" Type="{LINKS}/styles" '
        new += "" if old == "<sheets>" else 'Target="styles.xml"/>'
        parts[name] = str(parts[name]).replace(old, new + old)
    return pack(path, parts)


@pytest.mark.parametrize("workbook", ["", '<workbookPr date1904="1"/>'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_negative_time_is_a_negative_length_of_time(
    tmp_path: Path, workbook: str, encoding: str
) -> None:
    """By both readers, and where the table does not begin at the first cell."""
    rows = (
        '<row r="3"><c r="C3" s="1"><v>-0.0625</v></c><c r="D3" s="0"><v>-0.0625</v></c></row>'
        '<row r="5"><c r="C5" s="3"><f>1-2.5</f><v>-1.5</v></c><c r="D5"><v>7</v></c></row>'
        '<row r="6"><c r="C6" s="2"><v>-2</v></c></row><row r="7"><c r="C7" s="1"><v>0.25</v></c>'
        "</row>"
    )
    path = timed(tmp_path / "a.xlsx", rows, workbook)
    if encoding == "utf-16":
        with zipfile.ZipFile(path) as file:
            parts = {name: file.read(name).decode() for name in file.namelist()}
        head = '<?xml version="1.0" encoding="UTF-16"?>'
        pack(path, {name: (head + data).encode("utf-16") for name, data in parts.items()})
    assert only(path).rows == [
        [timedelta(hours=-1.5), -0.0625],
        [timedelta(days=-1.5), 7],
        [timedelta(days=-2), None],
        [timedelta(hours=6), None],
    ]


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("other", [None, "xl/styles.xml", "xl/Styles.xml"])
def test_s27_dates_are_read_whatever_the_name_of_the_formats_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str | None, *, native: bool
) -> None:
    """By both readers, and though other parts, of which nothing speaks, have the usual name."""
    path = timed(tmp_path / "a.xlsx", '<row r="1"><c r="A1" s="1"><v>0.25</v></c></row>')
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    named = parts["xl/_rels/workbook.xml.rels"].replace(b"styles.xml", b"formats2.xml")
    parts |= {"xl/_rels/workbook.xml.rels": named, "xl/formats2.xml": parts.pop("xl/styles.xml")}
    if other:
        parts[other] = f'<styleSheet xmlns="{MAIN}"/>'.encode()
    if not native:
        monkeypatch.setattr(ooxml.StringsScan, "honest", False)
    assert only(pack(path, parts)).rows == [[time(6)]]


def test_a_negative_time_in_a_cell_that_says_not_where_it_is_is_counted(tmp_path: Path) -> None:
    rows = '<row><c s="1"><v>-0.0625</v></c><c s="1"><v>0.5</v></c></row>'
    sheet = only(timed(tmp_path / "a.xlsx", rows))
    assert sheet.rows == [[time(22, 30), time(12)]]
    assert sheet.skipped[0].startswith("1 time or date is negative and was read as a time of day")


@pytest.mark.parametrize("part", ["styles.bin", "formats2.bin"])
def test_a_negative_time_of_an_xlsb_is_a_negative_length_of_time(tmp_path: Path, part: str) -> None:
    """Its formats are a part of their own, whatever its name: of a number and of a time."""
    cells = b"".join(
        binary_record(0, struct.pack("<I", row) + bytes(13))
        + binary_record(kind, struct.pack("<II", 1, style) + value)
        for row, kind, style, value in (
            (0, 5, 1, struct.pack("<d", -0.0625)),
            (2, 2, 1, struct.pack("<d", -3)[4:]),
            (3, 5, 0, struct.pack("<d", -1.5)),
            (4, 9, 1, struct.pack("<d", -0.5) + bytes(6)),
            (5, 5, 1, struct.pack("<d", 0.25)),
        )
    )
    path = xlsb(tmp_path / "a.xlsb", {"S": cells})
    styles = binary_record(615, b"\1\0\0\0")
    styles += binary_record(44, struct.pack("<H", 170) + wide("hh:mm")) + binary_record(616)
    styles += binary_record(617, b"\2\0\0\0")
    styles += b"".join(binary_record(47, struct.pack("<HH12x", 0, at)) for at in (0, 170))
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    both = parts["xl/_rels/workbook.bin.rels"].replace(
        b"</Rel",
        f'<Relationship Id="styles" Type="{LINKS}/styles" Target="{part}"/></Rel'.encode(),
    )
    parts |= {f"xl/{part}": styles + binary_record(618), "xl/_rels/workbook.bin.rels": both}
    assert [row[0] for row in only(pack(path, parts)).rows] == [
        timedelta(hours=-1.5),
        timedelta(days=-3),
        -1.5,
        timedelta(hours=-12),
        timedelta(hours=6),
    ]


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda path: xlsx(path / "a.xlsx", ""), "a.xlsx holds no data. Sheet “S” is empty."),
        (
            lambda path: xlsx(path / "a.xlsx", f'<row r="1">{text("A1", "   ")}</row>'),
            "a.xlsx holds no data.",
        ),
        (
            lambda path: xlsx(path / "a.xlsx", '<row r="1"><c r="A1" s="1"/></row>'),
            "a.xlsx holds no data. Sheet “S” is empty.",
        ),
        (lambda path: pack(path / "a.xlsx", xlsx_parts({})), "a.xlsx holds no sheets."),
        (
            lambda path: compound(path / "a.xls", xls_stream([("S", 0, 0, b"")])),
            "a.xls holds no data. Sheet “S” is empty.",
        ),
        (
            lambda path: ods(path / "a.ods", ods_table()),
            "a.ods holds no data. Sheet “S” is empty.",
        ),
    ],
)
def test_s26_a_workbook_without_data_is_an_error(
    tmp_path: Path, build: object, sentence: str
) -> None:
    assert callable(build)
    with pytest.raises(UserError) as error:
        read(build(tmp_path))
    assert str(error.value).startswith(sentence)
