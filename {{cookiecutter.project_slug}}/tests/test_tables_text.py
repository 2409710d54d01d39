"""csv and tsv: encodings, delimiters, quotes, the types of columns; and tables read back whole."""

from __future__ import annotations

import csv
import math
import re
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tables_formats import save

from {{ cookiecutter.package_name }}.step import UserError
from {{ cookiecutter.package_name }}.tables import Sheet, limits, read
from {{ cookiecutter.package_name }}.tables.values import Cache, classify, converter


def write(path: Path, data: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(data.encode(encoding) if isinstance(data, str) else data)
    return path


def table(tmp_path: Path, data: str | bytes, name: str = "a.csv", encoding: str = "utf-8") -> Sheet:
    (sheet,) = read(write(tmp_path / name, data, encoding)).sheets
    return sheet


def column(tmp_path: Path, *cells: str, delimiter: str = ",") -> list[Any]:
    """One column's cells as values, written quoted beside a column of letters."""
    lines = [f'x{delimiter}"{cell}"\n' for cell in cells]
    sheet = table(tmp_path, f"a{delimiter}b\n" + "".join(lines))
    return [row[1] for row in sheet.rows]


def same(found: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Equal, and of equal types: True is not 1, 2.0 is not 2."""
    return [(type(cell), cell) for cell in found] == [(type(cell), cell) for cell in expected]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2", " 3 "], [1, -2, 3]),
        (["1", "2.5", "-.5", "5.", "1e-05", "1.5E3"], [1, 2.5, -0.5, 5.0, 1e-05, 1500.0]),
        (["1", "2", "3", "n/a", "oops"], [1, 2, 3, "n/a", "oops"]),
        (["1", "NA", "-", "null", "?"], [1, "NA", "-", "null", "?"]),
        (["1", "a", "b"], ["1", "a", "b"]),
        (["007", "12", "90210"], ["007", "12", "90210"]),
        (["0", "0.5", "10"], [0, 0.5, 10]),
        (["9007199254740992", "1"], [2**53, 1]),
        (["9007199254740993", "1"], ["9007199254740993", "1"]),
        (["1" * 5000, "1"], ["1" * 5000, "1"]),
        (["1", "2", "3", "nan", "inf", "1e400"], [1, 2, 3, "nan", "inf", "1e400"]),
        (["1", "2", "1e-400", "-1.5e+999"], [1, 2, "1e-400", "-1.5e+999"]),
        (["1", "2", "3", "1_000", "0x1F"], [1, 2, 3, "1_000", "0x1F"]),
        (["1", "2", "12E4", "+5"], [1, 2, "12E4", "+5"]),
        (["١٢٣", "٤"], ["١٢٣", "٤"]),
        (["5%", "$3", "3 €"], ["5%", "$3", "3 €"]),
        (["true", "FALSE", "True"], [True, False, True]),
        (["yes", "no"], ["yes", "no"]),
        (["2024-02-29", "2024-12-31"], [date(2024, 2, 29), date(2024, 12, 31)]),
        (["2024-02-28", "2024-02-30"], [date(2024, 2, 28), "2024-02-30"]),
        (["1/2/2024", "01.02.2024"], ["1/2/2024", "01.02.2024"]),
        (["2024-02-03T04:05:06Z", "2024-02-03T04:05+01:00"],) * 2,
        (["12:30", "13:45"], ["12:30", "13:45"]),
        (["1", "", "  ", "2"], [1, None, None, 2]),
    ],
)
def test_a_column_is_typed_as_a_whole_and_loses_nothing(
    tmp_path: Path, cells: list[str], values: list[Any]
) -> None:
    assert same(column(tmp_path, *cells), values)


def test_dates_beside_points_in_time_are_points_in_time(tmp_path: Path) -> None:
    found = column(tmp_path, "2024-02-03", "2024-02-03T04:05:06", "2024-02-03 04:05:06.25")
    assert [cell.isoformat() for cell in found] == [
        "2024-02-03T00:00:00",
        "2024-02-03T04:05:06",
        "2024-02-03T04:05:06.250000",
    ]


@pytest.mark.parametrize(
    ("delimiter", "cells", "values"),
    [
        (";", ["1,5", "2", "-3,25"], [1.5, 2, -3.25]),
        (";", ["1.234,56", "1.234", "1.234.567"], [1234.56, 1234, 1234567]),
        (";", ["1,234", "2,500"], [1.234, 2.5]),
        (";", ["1.234", "2"], [1.234, 2]),
        (";", ["1,5", "1.5", "2.5", "3.5"], ["1,5", 1.5, 2.5, 3.5]),
        (",", ["1,5", "2,25"], [1.5, 2.25]),
        (",", ["1,234", "2,500,000"], [1234, 2500000]),
        (",", ["1,234.5", "2.5", "3"], [1234.5, 2.5, 3]),
        ("\t", ["1,234.5", "1,234"], [1234.5, 1234]),
        ("\t", ["1,234", "2,345"], ["1,234", "2,345"]),
        ("|", ["0,5", "1,234"], [0.5, 1.234]),
        (",", ["1,5", "1,234,567"], ["1,5", "1,234,567"]),
        (";", ["1,234,567", "2,000,000", "1,234"], [1234567, 2000000, 1234]),
        (";", ["336.465", "111.191", "3.755.251"], [336465, 111191, 3755251]),
        (",", ["336.465", "3.755.251"], [336465, 3755251]),
        (";", ["0.125", "1.234", "2.500"], [0.125, 1.234, 2.5]),
        (",", ["0.5", "1.5", "1.234", "3.755.251"], [0.5, 1.5, "1.234", "3.755.251"]),
        (";", ["0.5", "1.5", "1.234", "1.234,5"], [0.5, 1.5, "1.234", "1.234,5"]),
        (",", ["9,007,199,254,740,993", "1"], ["9,007,199,254,740,993", "1"]),
    ],
)
def test_commas_in_numbers_are_read_where_the_whole_column_agrees(
    tmp_path: Path, delimiter: str, cells: list[str], values: list[Any]
) -> None:
    assert same(column(tmp_path, *cells, delimiter=delimiter), values)


@pytest.mark.parametrize(
    ("data", "row"),
    [
        ("Menge;Preis\n1.234;3,50\n", [1234, 3.5]),
        ("Menge;Preis\n1,234;3.50\n", [1234, 3.5]),
        ('a,b\n"1,234","2,50"\n', [1.234, 2.5]),
        ("a\tb\n1,234\t2.50\n", [1234, 2.5]),
        ("a;b\n-1.234;1.234.567\n", [-1234, 1234567]),
        ("a;b;c\n1.234;3,50;2.5\n", [1.234, 3.5, 2.5]),
        ("a;b\n1.234;3,50\n2.5;4,50\n", [1.234, 3.5]),
        ("a;b;c\n1.234;x;1,5\n2.345;y;z\n3.456;y;z\n", [1.234, "x", "1,5"]),
        ("a;b\n1.234;007,5\n", [1.234, "007,5"]),
        ("a;b\n1.234;5\n", [1.234, 5]),
        ("a;b\n1,234;5\n", [1.234, 5]),
    ],
)
def test_a_number_of_two_readings_is_read_as_the_other_columns_prove(
    tmp_path: Path, data: str, row: list[Any]
) -> None:
    assert same(table(tmp_path, data).rows[0], row)


NUMBERS = st.from_regex(r"-?[0-9]{1,3}([.,][0-9]{1,3}){0,3}", fullmatch=True) | st.sampled_from(
    ["1.234", "1,234", "1.234.567", "1,234,567", "1.234,5", "1,234.5", "1,5", "1.5", "1e-05", " 7 "]
)
OTHERS = st.sampled_from(["", " ", "-", "NA", "true", "2024-02-03", "2024-02-03T04:05:06,5"])


@given(
    st.lists(NUMBERS, min_size=1, max_size=6),
    st.lists(OTHERS | st.text(max_size=6), max_size=3),
    st.sampled_from(",;\t|"),
)
def test_any_column_is_read_and_its_numbers_by_one_convention(
    numbers: list[str], others: list[str], delimiter: str
) -> None:
    """Whatever the decimal mark is, it is the same for every number of the column."""
    cells = [*numbers, *others]
    convert = converter(Counter(map(classify, cells)), delimiter)
    numeric = {text: convert(text) for text in cells if type(convert(text)) in (int, float)}
    readings = [{text: number(text, *marks) for text in numeric} for marks in (",.", ".,")]
    assert numeric in readings


def number(text: str, group: str, mark: str) -> float | None:
    """The number that a text is by one convention."""
    pattern = r"-?(\d*|\d{1,3}(\G\d{3})+)(\M\d*)?(e[+-]?\d+)?"
    pattern = pattern.replace("G", group).replace("M", mark)
    fits = re.fullmatch(pattern, text.strip(), re.IGNORECASE)
    return float(text.replace(group, "").replace(mark, ".")) if fits else None


@pytest.mark.parametrize(
    ("data", "header", "row"),
    [
        ("a,b\n1,2\n", ["a", "b"], [1, 2]),
        ("a;b\n1,5;2,5\n", ["a", "b"], [1.5, 2.5]),
        ("a\tb\nx, y\tz; w\n", ["a", "b"], ["x, y", "z; w"]),
        ("a|b\n1|2\n", ["a", "b"], [1, 2]),
        ('a,b\n"x;y;z","p|q"\n', ["a", "b"], ["x;y;z", "p|q"]),
        ("sep=|\na,b|c\n1|2\n", ["a,b", "c"], [1, 2]),
        ('"a","b"\r"1\r2","3"\r', ["a", "b"], ["1\r2", 3]),
        ('a,b\r\n"x\r\ny",2\r\n', ["a", "b"], ["x\r\ny", 2]),
        ('a,b\n"say ""hi""",2\n', ["a", "b"], ['say "hi"', 2]),
        ('a,b\n5" pipe,2\n', ["a", "b"], ['5" pipe', 2]),
        ("name\nx\n", ["name"], ["x"]),
        ("sep=\t\na,b\tc\n1\t2\n", ["a,b", "c"], [1, 2]),
        ("sep=\t\r\na;b\tc;d\r\n1\t2\r\n", ["a;b", "c;d"], [1, 2]),
        ("a,b\r\n1,2\r\n\x1a", ["a", "b"], [1, 2]),
        ("\ufeff\ufeffa,b\n1,2\n", ["a", "b"], [1, 2]),
        ('\ufeff\ufeff"a,b",c\n1,2\n', ["a,b", "c"], [1, 2]),
        ("\ufeff\ufeffsep=;\na;b\n1;2\n", ["a", "b"], [1, 2]),
    ],
)
def test_delimiters_line_ends_and_quotes(
    tmp_path: Path, data: str, header: list[str], row: list[Any]
) -> None:
    sheet = table(tmp_path, data)
    assert (sheet.header, sheet.rows, sheet.skipped) == (header, [row], [])


def test_a_tsv_is_split_at_tabs_unless_it_has_none(tmp_path: Path) -> None:
    assert table(tmp_path, "a,b\tc\n1,2\t3\n", "a.tsv").header == ["a,b", "c"]
    assert table(tmp_path, "a;b\n1;2\n", "a.tsv").header == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "header", "rows"),
    [
        ("Betrag\n1,5\n-2,5\n3,25\n", ["Betrag"], [[1.5], [-2.5], [3.25]]),
        ('Betrag\n"1.234,5"\n"2,5"\n', ["Betrag"], [[1234.5], [2.5]]),
        (
            "Zahl\n1\u202f234,5\n2\u202f000,25\n",
            ["Zahl"],
            [["1\u202f234,5"], ["2\u202f000,25"]],
        ),
        ("a,b\n1,5\n2,5\n", ["a", "b"], [[1, 5], [2, 5]]),
    ],
)
def test_decimal_commas_alone_make_no_columns(
    tmp_path: Path, data: str, header: list[str], rows: list[list[Any]]
) -> None:
    sheet = table(tmp_path, data)
    assert (sheet.header, sheet.rows) == (header, rows)


def test_one_cell_cannot_mislead_the_choice_of_a_delimiter(tmp_path: Path) -> None:
    sheet = table(tmp_path, 'a,b\n"|;|;|;\t\t|;|",1\nx,2\ny,3\n')
    assert sheet.header == ["a", "b"]
    assert len(sheet.rows) == 3


@pytest.mark.parametrize(
    ("data", "header", "row"),
    [
        ("a,b,c;\n1,2,3.5;\n", ["a", "b", "c;"], [1, 2, "3.5;"]),
        ("a,b,c\t\n1,2,3.5\t\n", ["a", "b", "c"], [1, 2, 3.5]),
        ("a\t,b\t,c\t\n1\t,2\t,3.5\t\n", ["a", "b", "c"], [1, 2, 3.5]),
        ("a,b,c\n1\t,2,3\n4\t,5,6\n7\t,8,9, x\n", ["a", "b", "c", "Column 4"], [1, 2, 3, None]),
        ("a;;;\n1;;;\n", ["a"], [1]),
        ("a;b;;\n1,5;2,5;;\n", ["a", "b"], [1.5, 2.5]),
        ("a,;b,\n1,;2,\n", ["a,", "b,"], ["1,", "2,"]),
        ("a;\n1;\n", ["a"], [1]),
        ("a;\n1,5;\n2,5;\n", ["a"], [1.5]),
        ("name;\nSmith, John;\nDoe, Jane;\n", ["name"], ["Smith, John"]),
        ("surname, name;\nSmith;\nDoe;\n", ["surname, name"], ["Smith"]),
    ],
)
def test_what_fills_up_cells_or_lines_does_not_separate_them(
    tmp_path: Path, data: str, header: list[str], row: list[Any]
) -> None:
    sheet = table(tmp_path, data)
    assert (sheet.header, sheet.rows[0]) == (header, row)


def test_the_sheet_has_the_stem_of_the_file_for_its_name(tmp_path: Path) -> None:
    assert table(tmp_path, "a,b\n1,2\n", "May.2024.csv").name == "May.2024"


def test_rows_of_other_lengths_are_filled_up_or_add_columns(tmp_path: Path) -> None:
    sheet = table(tmp_path, "a,b\n1\n1,2,3\n\n , \n4,5\n")
    assert sheet.header == ["a", "b", "Column 3"]
    assert sheet.rows == [[1, None, None], [1, 2, 3], [4, 5, None]]
    assert sheet.skipped == ["2 blank rows were left out."]


def test_titles_above_the_header_are_quoted(tmp_path: Path) -> None:
    sheet = table(tmp_path, "Sales of May\n\nall shops,,\na,b,c\n1,2,3\n4,5,6\n")
    assert (sheet.header, sheet.rows) == (["a", "b", "c"], [[1, 2, 3], [4, 5, 6]])
    assert sheet.skipped == [
        "2 rows above the header are not part of the table: “Sales of May”; “all shops”",
        "1 blank row was left out.",
    ]


def test_duplicate_and_blank_headers_get_names(tmp_path: Path) -> None:
    sheet = table(tmp_path, "a,,a,b,\n1,2,3,4,\n")
    assert sheet.header == ["a", "Column 2", "a (2)", "b"]
    assert sheet.rows == [[1, 2, 3, 4]]


def test_numbers_alone_are_no_header(tmp_path: Path) -> None:
    sheet = table(tmp_path, "1,2\n3,4\n")
    assert (sheet.header, sheet.rows) == (["Column 1", "Column 2"], [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("first", "names", "titles"),
    [
        ("", [], 0),
        ("id,size\n", ["id", "size"], 0),
        ("Sizes\n", [], 1),
        ("Sizes\nof 2024\n", [], 2),
        ("Sizes\nid,size\n", ["id", "size"], 1),
    ],
)
def test_no_row_of_numbers_is_a_title(
    tmp_path: Path, first: str, names: list[str], titles: int
) -> None:
    sheet = table(tmp_path, first + "1,2\n" * 20 + "1,2,3,4,5\n" * 40)
    assert sheet.header == [*names, *(f"Column {n}" for n in range(len(names) + 1, 6))]
    assert (len(sheet.rows), sheet.rows[0]) == (60, [1, 2, None, None, None])
    told = "".join(sheet.skipped)
    assert bool(told) == bool(titles)
    assert all(line in told for line in first.splitlines()[:titles])


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    sheet = table(tmp_path, "a,b\n")
    assert (sheet.header, sheet.rows) == (["a", "b"], [])


@pytest.mark.parametrize("data", ["\ufeff", "\n\n \r\n", ",,,\n", '""\n', "\ufeff,\n"])
def test_a_file_of_nothing_but_blanks_is_an_error(tmp_path: Path, data: str) -> None:
    with pytest.raises(UserError, match=r"a\.csv holds no data"):
        table(tmp_path, data)


@pytest.mark.parametrize(
    ("text", "encoding", "label"),
    [
        ("a;b\nZürich;1\n", "utf-8", ""),
        ("a;b\nZürich;1\n", "utf-8-sig", ""),
        ("a;b\nZürich;1\n", "utf-16", "UTF-16"),
        ("a;b\nZürich;1\n", "utf-16-be", "UTF-16"),
        ("a;b\nZürich;1\n", "cp1252", "Windows-1252"),
        ("a;b\n5 €;1\n", "cp1252", "Windows-1252"),
        ("a;b\n20 °C;1\nCôte d'Ivoire;2\n", "cp1252", "Windows-1252"),
        ("a;b\nGröße, Übung, José;1\n", "cp1252", "Windows-1252"),
        ("imię;miasto\nŁukasz;Łódź\nStanisław;Kraków\nZażółć;jaźń\n", "cp1250", "Windows-1250"),
        ("Имя;Город\nИван;Москва\nПётр;Киев\n", "cp1251", "Windows-1251"),  # noqa: RUF001  (Cyrillic)
        ("名前,都市\n太郎,東京\n山田さんのデータ,ひらがなカタカナ\n", "cp932", "Shift JIS"),
    ],
)
def test_the_encoding_is_found_and_named_if_it_is_not_utf_8(
    tmp_path: Path, text: str, encoding: str, label: str
) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    book = read(write(tmp_path / "a.csv", mark + text, encoding))
    (sheet,) = book.sheets
    delimiter = ";" if ";" in text else ","
    cells = [str(cell) for row in sheet.rows for cell in row]
    assert [*sheet.header, *cells] == text.replace(delimiter, "\n").split("\n")[:-1]
    assert [label in line for line in book.skipped] == ([True] if label else [])


GERMAN = "Name;Straße\nMüller;Köln\nJäger;Überlingen\nGroß;Ärzte\n"
FRENCH = "Prénom;Coût\nHélène;12\nÉric;8\nZoë;3\nFrançois;4\n"
RUSSIAN = "Имя;Город\nИван;Москва\nПётр;Казань\nАнна;Тверь\n"  # noqa: RUF001  (Cyrillic)


@pytest.mark.parametrize(
    ("text", "encoding", "label"),
    [
        (GERMAN, "cp850", "code page 850"),
        (GERMAN.upper(), "cp850", "code page 850"),
        (FRENCH, "cp850", "code page 850"),
        (GERMAN, "mac_roman", "Mac Roman"),
        ("Name;x\nMüller;1\n", "mac_roman", "Mac Roman"),
        (FRENCH, "mac_roman", "Mac Roman"),
        (RUSSIAN, "cp866", "code page 866"),
        (RUSSIAN, "mac_cyrillic", "Mac Cyrillic"),
        (GERMAN, "cp1252", "Windows-1252"),
        (FRENCH.upper(), "cp1252", "Windows-1252"),
        ("a;b\n5 €;20 °C\n„x“ … y;½\n", "cp1252", "Windows-1252"),
        ("a;b\n100€;20°C\n7m²;5µm\n", "cp1252", "Windows-1252"),
    ],
)
def test_encodings_of_dos_and_macintosh_are_found_where_they_make_real_text(
    tmp_path: Path, text: str, encoding: str, label: str
) -> None:
    book = read(write(tmp_path / "a.csv", text, encoding))
    (sheet,) = book.sheets
    lines = [sheet.header, *([str(cell) for cell in row] for row in sheet.rows)]
    assert [";".join(line) for line in lines] == text.splitlines()
    assert label in book.skipped[0]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Částka;Šířka\n" + "1;2\n" * 50, "cp1250"),
        ("店铺;数量\n" + "1;2\n" * 50, "gb18030"),
        ("Name;Stadt\nMüller;Köln\n", "cp1252"),
    ],
)
def test_a_guess_from_few_letters_says_that_it_may_be_wrong(
    tmp_path: Path, text: str, encoding: str
) -> None:
    few = read(write(tmp_path / "few.csv", text, encoding)).skipped[0]
    assert "Some letters may be wrong: save it as CSV UTF-8" in few
    many = read(write(tmp_path / "many.csv", text * 40, encoding)).skipped[0]
    assert "Some letters" not in many


def test_bytes_that_the_fallback_does_not_know_are_kept(tmp_path: Path) -> None:
    book = read(write(tmp_path / "a.csv", b"a,b\nM\xfcller,x\x81y\n"))
    assert book.sheets[0].rows == [["Müller", "x\x81y"]]
    assert "ISO 8859-1" in book.skipped[0]
    assert "Some letters may be wrong: save it as CSV UTF-8" in book.skipped[0]


def test_a_broken_utf_8_file_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    data = "a,b\nZoë,1\nAnaïs,2\nJosé,3\n".encode().replace("ï".encode(), b"\xc3")
    with pytest.raises(UserError, match=r"a\.csv is broken: near line 3"):
        read(write(tmp_path / "a.csv", data))
    with pytest.raises(UserError, match="not UTF-16"):
        read(write(tmp_path / "a.csv", b"\xff\xfea\0,\0\x00\xd8\n\0"))


def test_s27_nul_characters_are_removed_and_counted(tmp_path: Path) -> None:
    """The first bytes hold none, else the file would not pass for text."""
    filler = "x,1\n" * 20_000
    sheet = table(tmp_path, f"a,b\n{filler}y\0z\0,2\n")
    assert sheet.rows[-1] == ["yz", 2]
    assert sheet.skipped == ["2 NUL characters were removed."]


def test_a_quotation_mark_without_a_partner_swallows_no_rows(tmp_path: Path) -> None:
    sheet = table(tmp_path, 'a,b\n"x,1\ny,2\nz,3\n')
    assert sheet.rows == [['"x', 1], ["y", 2], ["z", 3]]
    assert sheet.skipped == [
        "A quotation mark has no partner: all of them were read as ordinary characters."
    ]


def test_text_behind_a_closing_mark_is_kept_and_said(tmp_path: Path) -> None:
    sheet = table(tmp_path, 'a,b\n"x"y,"1,2 m"\n')
    assert sheet.rows == [["xy", "1,2 m"]]
    assert len(sheet.skipped) == 1


def test_s24_long_cells_are_read_whole_and_longer_ones_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "x" * 500_000
    assert table(tmp_path, f'a,b\n"{long}",1\n').rows == [[long, 1]]
    assert csv.field_size_limit() == 131_072
    monkeypatch.setattr(limits, "MAX_TEXT", 1000)
    with pytest.raises(UserError, match="more than 1,000 characters near line 2"):
        table(tmp_path, f'a,b\n"{long}",1\n')


@pytest.mark.parametrize(
    ("limit", "words"),
    [("MAX_TEXT_CELLS", "more than 9 cells"), ("MAX_ROWS", "9 rows"), ("MAX_COLUMNS", "9 columns")],
)
def test_s24_more_than_a_budget_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, words: str
) -> None:
    monkeypatch.setattr(limits, limit, 9)
    with pytest.raises(UserError, match=words):
        table(tmp_path, "1,2,3,4,5,6,7,8,9,0\n" * 10)


def test_200_columns_and_100_000_rows_are_read_whole(tmp_path: Path) -> None:
    names = [f"c{at}" for at in range(200)]
    sheet = table(tmp_path, f"{','.join(names)}\n{','.join('7' * 200)}\n")
    assert (sheet.header, sheet.rows) == (names, [[7] * 200])
    data = "n,text\n" + "".join(f"{at},x\n" for at in range(1, 100_001))
    assert sum(row[0] for row in table(tmp_path, data).rows if isinstance(row[0], int)) == (
        5_000_050_000
    )


def test_no_more_values_are_kept_than_a_bounded_number() -> None:
    kept = Cache(classify)
    assert [kept[str(at)] for at in range(50_000)] == ["integer"] * 50_000
    assert len(kept) < 25_000


def test_a_wide_file_is_read_in_little_more_memory_than_its_values(tmp_path: Path) -> None:
    """Neither its text nor the values kept by their text stand in memory whole."""
    rows = (",".join(f"{at}{column}.5" for column in range(500)) for at in range(1, 501))
    path = write(tmp_path / "a.csv", "\n".join(rows))
    tracemalloc.start()
    sheets = read(path).sheets
    values, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(sheets[0].rows) == 500
    assert peak < 3.3 * values


def test_progress_rises_to_one_and_may_end_the_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,b\n" + "1,2\n" * 50_000)
    seen: list[float] = []
    read(path, seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 10
    assert seen[-1] == 1.0

    def cancel(done: float) -> None:
        if done > 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        read(path, cancel)


WORDS = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="_\ufffe\uffff"
    )
    | st.sampled_from(",;|\t\"'\n= "),
    max_size=12,
).map("§{}".format)
MOMENTS = st.datetimes(
    min_value=datetime.fromisoformat("1901-01-01"), max_value=datetime.fromisoformat("9998-12-31")
).map(lambda moment: moment.replace(microsecond=0, second=7))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COLUMNS: list[st.SearchStrategy[Any]] = [
    st.integers(-(2**53), 2**53),
    st.booleans(),
    WORDS,
    st.dates(min_value=date(1901, 1, 1), max_value=date(9998, 12, 31)),
    MOMENTS,
]


@st.composite
def tables(draw: st.DrawFn, floats: st.SearchStrategy[float]) -> list[list[Any]]:
    """Rows of columns that are each of one type or blank; the first is never blank."""
    kinds = draw(st.lists(st.sampled_from([*COLUMNS, floats]), min_size=1, max_size=5))
    row = st.tuples(st.integers(0, 99), *(kind | st.none() for kind in kinds))
    return [list(cells) for cells in draw(st.lists(row, min_size=1, max_size=8))]


def as_text(cell: Any) -> str:
    """A cell as a csv file has it."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def quoted(text: str, always: bool) -> str:
    if always or set(text) & set(',;|\t"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


@given(
    tables(FLOATS),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_a_table_written_as_text_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[Any]],
    delimiter: str,
    encoding: str,
    end: str,
    always: bool,
) -> None:
    header = [f"column {at}" for at in range(len(rows[0]))]
    lines = [
        delimiter.join(quoted(as_text(cell), always) for cell in row) for row in [header, *rows]
    ]
    path = tmp_path_factory.getbasetemp() / "property.csv"
    (sheet,) = read(write(path, end.join([*lines, ""]), encoding)).sheets
    assert sheet.header == header
    assert all(same(found, row) for found, row in zip(sheet.rows, rows, strict=True))


@settings(max_examples=30)
@given(tables(FLOATS.map(lambda number: float(f"{number:.15g}")).filter(math.isfinite)))
def test_a_table_written_as_a_workbook_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[Any]]
) -> None:
    """Of floats fifteen digits, because openpyxl writes no more than sixteen."""
    header = [f"column {at}" for at in range(len(rows[0]))]
    path = save(tmp_path_factory.getbasetemp() / "property.xlsx", header, *rows)
    (sheet,) = read(path).sheets
    assert sheet.header == header
    assert sheet.rows == rows
    for row in sheet.rows:
        for cell in row:
            assert not isinstance(cell, float) or not cell.is_integer() or math.fabs(cell) > 2**53


@given(st.binary(max_size=400))
def test_s42_any_bytes_end_in_a_table_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "any.csv", data)
    try:
        (sheet,) = read(path).sheets
    except UserError as error:
        assert "any.csv" in str(error)  # noqa: PT017  (either end is right)
    else:
        assert {len(row) for row in sheet.rows} <= {len(sheet.header)}
