"""What the native reader gets wrong of an .xls, and reads right in a copy."""

from __future__ import annotations

import struct
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_tables_formats import compound, only, record, xls_number, xls_stream, xls_text

from {{ cookiecutter.package_name }}.tables import formats, ole, read, survey, xls

NEGATIVE = (
    "1 time or date is negative and was read as a time of day, which is wrong. Format such cells "
    "as numbers or as [h]:mm, and save the file again."
)


def code_page(number: int) -> bytes:
    return record(0x42, struct.pack("<H", number))


def cell_format(number: int) -> bytes:
    """What a cell's format is: the number of that of its value."""
    return record(0xE0, struct.pack("<HH16x", 0, number))


def own_format(number: int, code: str) -> bytes:
    return record(0x41E, struct.pack("<HHB", number, len(code), 0) + code.encode("latin-1"))


def one_number(row: int, value: float, kind: int) -> bytes:
    return record(0x203, struct.pack("<HHHd", row, 0, kind, value))


def formula(kind: int, row: int, result: bytes, tokens: bytes = b"\x03\0\x1e\x05\0") -> bytes:
    return record(kind, struct.pack("<HHH", row, 0, 0) + result + bytes(6) + tokens)


def values(path: Path, cells: bytes, head: bytes = b"") -> list[Any]:
    """The first column of a workbook of these records."""
    sheet = only(compound(path / "a.xls", xls_stream([("S", 0, 0, cells)], head)))
    return [row[0] for row in sheet.rows]


def test_the_text_of_a_newer_xls_is_read_whatever_its_code_page(tmp_path: Path) -> None:
    cells = xls_text(0, 0, "Größe") + xls_text(1, 0, "Привет") + xls_text(2, 0, "日本")
    path = compound(tmp_path / "a.xls", xls_stream([("S", 0, 0, cells)], code_page(1252)))
    sheet = only(path)
    assert [sheet.header, *sheet.rows] == [["Größe"], ["Привет"], ["日本"]]
    path = compound(tmp_path / "a.xls", xls_stream([("S", 0, 0, cells)], code_page(60000)))
    assert only(path).header == ["Größe"]


@pytest.mark.parametrize("number", [14, 22, 27, 36, 45, 46, 50, 58])
def test_a_number_stays_one_if_the_file_says_that_a_built_in_date_format_is_none(
    tmp_path: Path, number: int
) -> None:
    head = own_format(number, "#,##0.00_);-#,##0.00") + cell_format(number)
    assert values(tmp_path, one_number(0, 17, 0) + one_number(1, 631.5, 0), head) == [17, 631.5]


def test_dates_in_formats_of_the_file_s_own_are_read_whatever_their_number(tmp_path: Path) -> None:
    head = own_format(400, "yyyy-mm-dd") + own_format(401, '[h]:mm" h"')
    head += own_format(0, "Standard") + cell_format(400) + cell_format(401) + cell_format(0)
    cells = one_number(0, 40000, 0) + one_number(1, 1.25, 1) + one_number(2, 7, 2)
    assert values(tmp_path, cells, head) == [date(2009, 7, 6), timedelta(days=1.25), 7]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("General", formats.NUMBER),
        ("0.00", formats.NUMBER),
        ('0 "days"', formats.NUMBER),
        (r"0\d_y*m", formats.NUMBER),
        ("[Red]0;yyyy", formats.NUMBER),
        ("#,##0 [$kr-41D]", formats.NUMBER),
        ("d.m.yy", formats.DATE),
        ("[$-409]h:mm AM/PM", formats.DATE),
        ("[Blue]mmm", formats.DATE),
        ("[hh]:mm", formats.LENGTH),
        ("[s].00", formats.LENGTH),
    ],
)
def test_the_code_of_a_format_tells_its_kind(code: str, kind: int) -> None:
    assert formats.kind(code) == kind


@pytest.mark.parametrize("system", [0, 1])
def test_a_negative_time_is_a_negative_length_of_time(tmp_path: Path, system: int) -> None:
    """However its number is written, and by either date system."""
    head = record(0x22, struct.pack("<H", system))
    head += cell_format(46) + cell_format(20) + cell_format(0)
    whole = struct.pack("<i", -3 * 4 + 2)
    many = struct.pack("<HH", 2, 0) + (b"\x01\0" + whole) + (b"\x02\0" + whole) + b"\x01\0"
    cells = one_number(0, -1.5 / 24, 1) + record(0x27E, struct.pack("<HHH", 1, 0, 1) + whole)
    cells += record(0xBD, many) + one_number(3, -1.5, 2) + one_number(4, 0.25, 1)
    cells += record(0x06, struct.pack("<HHHd6xH", 7, 0, 1, -0.5, 0))
    assert values(tmp_path, cells, head) == [
        timedelta(hours=-1.5),
        timedelta(days=-3),
        timedelta(days=-3),
        -1.5,
        timedelta(hours=6),
        timedelta(hours=-12),
    ]


def test_negative_times_beyond_those_that_are_remembered_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_REMEMBERED", 1)
    cells = one_number(0, -0.25, 0) + one_number(1, -0.0625, 0) + one_number(2, 0.5, 0)
    sheet = only(compound(tmp_path / "a.xls", xls_stream([("S", 0, 0, cells)], cell_format(20))))
    assert sheet.rows == [[timedelta(hours=hours)] for hours in (-6, 22.5, 12)]
    assert sheet.skipped == [NEGATIVE]


@pytest.mark.parametrize("kind", [0x06, 0x206, 0x406])
def test_a_formula_is_read_under_the_types_of_older_versions(tmp_path: Path, kind: int) -> None:
    text = b"\0\0\0\0\0\0\xff\xff"
    cells = formula(kind, 0, struct.pack("<d", 5)) + formula(kind, 1, text)
    cells += record(0x207, struct.pack("<HB", 1, 0) + b"x") + formula(kind, 2, bytes(8))
    cells += formula(kind, 3, b"\x02\0\x07\0\0\0\xff\xff") + xls_number(3, 1, 1)
    sheet = only(compound(tmp_path / "a.xls", xls_stream([("S", 0, 0, cells)])))
    assert [row[0] for row in sheet.rows] == [5, "x", 0, None]
    assert sheet.skipped == ["1 cell holds an error such as #REF! or #N/A; read as blank."]


def test_s27_formulas_without_a_saved_result_are_counted(tmp_path: Path) -> None:
    """An empty text is a result, unless the formula is still to be worked out."""
    blank = b"\3\0\0\0\0\0\xff\xff"
    cells = xls_number(0, 0, 1) + formula(0x06, 1, blank) + formula(0x06, 2, bytes(8))
    marked = [
        record(0x06, struct.pack("<HHH", row, 0, 0) + result + b"\3" + bytes(5) + b"\3\0\x1e\5\0")
        for row, result in ((3, blank), (4, bytes(8)))
    ]
    sheet = only(compound(tmp_path / "a.xls", xls_stream([("S", 0, 0, cells + b"".join(marked))])))
    (line,) = [line for line in sheet.skipped if "formula" in line]
    assert line.startswith("1 formula has no saved result; read as blank.")


@pytest.mark.parametrize("calculated", [True, False])
def test_s27_formulas_that_all_lack_a_result_have_none_unless_the_file_was_calculated(
    tmp_path: Path, *, calculated: bool
) -> None:
    blank = formula(0x06, 1, b"\3\0\0\0\0\0\xff\xff")
    head = record(0x1C1, bytes(8)) if calculated else b""
    stream = xls_stream([("S", 0, 0, xls_number(0, 0, 1) + blank + xls_number(2, 0, 2))], head)
    lines = only(compound(tmp_path / "a.xls", stream)).skipped
    assert [line[:31] for line in lines if "formula" in line] == (
        [] if calculated else ["1 formula has no saved result; "]
    )


def test_a_formula_of_an_older_version_that_is_cut_off_is_counted(tmp_path: Path) -> None:
    cells = xls_number(0, 0, 1) + formula(0x206, 1, struct.pack("<d", 5), b"")
    sheet = only(compound(tmp_path / "a.xls", xls_stream([("S", 0, 0, cells)])))
    assert (sheet.rows, sheet.skipped) == ([[1]], ["1 cell is of a kind that is not read."])


@pytest.mark.parametrize("name", ["Workbook", "Book"])
def test_an_embedded_workbook_is_not_taken_for_the_whole(tmp_path: Path, name: str) -> None:
    """Its stream has the same name and stands first in the list, but lies in a storage."""
    inner, outer = (
        xls_stream([(sheet, 0, 0, xls_number(0, 0, value))]).ljust(4096, b"\0")
        for sheet, value in (("Inner", 1), ("Outer", 2))
    )
    path = compound(tmp_path / "a.xls", inner + outer)
    data = bytearray(path.read_bytes())
    none = 0xFFFFFFFF
    entries = entry("Root Entry", 5, none, 2, 0xFFFFFFFE, 0) + entry(
        "Workbook", 2, none, none, 2, 4096
    )
    entries += entry("MBD0001", 1, 3, 1, 0, 0) + entry(name, 2, none, none, 10, 4096)
    data[1024:1536] = entries
    path.write_bytes(data)
    (sheet,) = read(path).sheets
    assert (sheet.name, sheet.rows) == ("Outer", [[2]])


def entry(name: str, kind: int, right: int, child: int, start: int, size: int) -> bytes:
    data = name.encode("utf-16-le").ljust(64, b"\0")
    data += struct.pack("<HBBIII", 2 * len(name) + 2, kind, 1, 0xFFFFFFFF, right, child)
    return data + bytes(36) + struct.pack("<IQ", start, size)


def test_nothing_is_copied_where_nothing_is_to_be_mended(tmp_path: Path) -> None:
    head = code_page(1200) + own_format(14, "m/d/yyyy") + own_format(164, "yyyy") + cell_format(0)
    head += cell_format(14) + cell_format(164) + cell_format(27) + cell_format(46)
    cells = one_number(0, -1, 0) + one_number(1, -2, 4) + formula(0x06, 2, bytes(8))
    path = compound(tmp_path / "a.xls", xls_stream([("S", 0, 0, cells)], head))
    _surveys, copy = xls.survey(path, "a.xls")
    assert copy is None


@pytest.mark.parametrize("size", [4095, 4096, 4097, 1023 * 4096, 1024 * 4096, 5_000_000])
def test_a_copy_of_any_size_is_read_whole(tmp_path: Path, size: int) -> None:
    """The tables of a compound file take room of their own."""
    cells = b"".join(record(0x999, bytes(8000)) for _ in range(size // 8004 - 1))
    last = xls_number(0, 0, 3)
    stream = xls_stream([("S", 0, 0, cells + last)], code_page(1252))
    path = tmp_path / "a.xls"
    path.write_bytes(ole.compound("Workbook", stream.ljust(size, b"\0")))
    assert only(path).rows == [[3]]
