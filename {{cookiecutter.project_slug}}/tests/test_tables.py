"""What a file is by its name and first bytes, which row is its header, and real files."""

from __future__ import annotations

import csv
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_tables_formats import compound, save, xls_number, xls_stream

from {{ cookiecutter.package_name }}.step import UserError
from {{ cookiecutter.package_name }}.tables import SUFFIXES, check_signature, read
from {{ cookiecutter.package_name }}.tables.layout import header_index, unique_names

ZIP = b"PK\x03\x04" + bytes(100)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100)
SAMPLES = os.environ.get("SILO_SAMPLE_INPUTS", "")


def complaint(name: str, head: bytes) -> str:
    with pytest.raises(UserError) as error:
        check_signature(name, head)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.xlsx", ZIP),
        ("A.XLSX", ZIP),
        ("a.b.xlsm", ZIP),
        ("a.xlsb", ZIP),
        ("a.ods", ZIP),
        ("a.xls", OLE),
        ("a.csv", b"a,b\n1,2"),
        ("a.tsv", "ä\tb\n".encode()),
        ("a.csv", b"\xef\xbb\xbfa"),
        ("a.csv", "a,b\n".encode("utf-16")),
        ("a.csv", b"body\n<html>,1"),
        (" .csv/strange\\name.csv", b"a"),
    ],
)
def test_a_file_that_fits_its_name_is_let_in(name: str, head: bytes) -> None:
    check_signature(name, head)


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("a.pdf", b"%PDF-1.7", "not a type that can be read"),
        ("xlsx", ZIP, "not a type that can be read"),
        ("a.xlsx", b"", "is empty"),
        ("a.csv", b"", "is empty"),
        ("a.xls", ZIP, "newer workbook"),
        ("a.xlsx", OLE, "password-protected, or an older .xls workbook"),
        ("a.xlsx", OLE + "EncryptedPackage".encode("utf-16-le"), "is password-protected."),
        ("a.xlsx", b"a,b\n1,2\n", "plain text"),
        ("a.xls", b"a\tb\n1\t2\n", "plain text"),
        ("a.xls", "a\tb\n".encode("utf-16"), "plain text"),
        ("a.xls", b"\r\n <!DOCTYPE html><html>", "web page"),
        ("a.xls", b"\xef\xbb\xbf<table><tr>", "web page"),
        ("a.xls", "<html>".encode("utf-16"), "web page"),
        ("a.xls", b"MIME-Version: 1.0\r\n", "web page"),
        ("a.xls", b'<?xml version="1.0"?><?mso-application?><Workbook>', "XML export"),
        ("a.ods", b"<office:document>", "XML export"),
        ("a.xls", b"\x09\x08\x00\x00", "is not a .xls workbook"),
        ("a.csv", ZIP, "spreadsheet or another binary file"),
        ("a.tsv", OLE, "spreadsheet or another binary file"),
        ("a.csv", b"a\0b\0", "is not text"),
        ("a.csv", b"%PDF-1.4", "is not text"),
        ("a.csv", b"<!doctype html><title>Log in", "web page"),
        ("a.csv", b"<!-- made by x -->\n<html>", "web page"),
        ("a.csv", b'\r\n<table border="1"><tr>', "web page"),
        ("a.tsv", "<DIV class='x'>".encode("utf-16"), "web page"),
        ("a.csv", b"<tr><td>1</td></tr>", "web page"),
        ("a.csv", b'<?xml version="1.0"?><Workbook>', "is XML"),
        ("a.csv", b"{\\rtf1\\ansi hello}", "RTF"),
        ("a.csv", b'\xef\xbb\xbf{\r\n  "data": [{"a": 1}]}', "is JSON"),
        ("a.csv", b'[ {"a":1,"b":2},{"a":3,"b":4}]', "is JSON"),
        ("a.tsv", b'{"error":"unauthorized","code":401}', "is JSON"),
    ],
)
def test_s16_a_file_that_does_not_fit_its_name_is_told_what_it_is(
    name: str, head: bytes, words: str
) -> None:
    assert words in complaint(name, head)
    assert complaint(name, head).startswith(name)


@pytest.mark.parametrize(
    "head",
    [
        b"<br />\n<b>Warning</b>: no database in x.php<br />\nid,name\n1,a\n",
        b"<!-- made by x -->\nid,name\n1,a\n",
        b"<TR>,<DATE>,<OPEN>\n1,2,3\n",
        b'id,j\n1,{"a":1}\n',
        b"{a},b\n1,2\n",
        b"[1],[2]\n1,2\n",
    ],
)
def test_a_table_that_begins_much_like_something_else_is_one(head: bytes) -> None:
    check_signature("a.csv", head)


def test_every_suffix_is_named_to_who_chose_another() -> None:
    assert all(suffix in complaint("a.doc", b"x") for suffix in SUFFIXES)


def test_s16_reading_checks_the_signature_too(tmp_path: Path) -> None:
    save(tmp_path / "a.xlsx", ["a"]).rename(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"a\.csv is named \.csv but is a spreadsheet"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("rows", "index"),
    [
        ([["a", "b"], [1, 2]], 0),
        ([["Report"], ["a", "b", "c"], [1, 2, 3]], 1),
        ([["Report", "2024"], ["as of May"], ["a", "b", "c", "d"], [1, 2, 3, 4]], 2),
        ([["Title", None, None, "May"], ["a", "b", "c", "d"], [1, 2, 3, 4], [1, 2, 3, 4]], 0),
        ([[None, "a"], [0, 1], [1, 2]], 0),
        ([[None, "men", None, None, "women", None, None], list("abcdefg"), [1] * 7, [2] * 7], 1),
        ([["a", None, "c"], [1, 2, 3]], 0),
        ([["a"]], 0),
    ],
)
def test_the_header_is_the_first_row_as_wide_and_as_full_as_the_table(
    rows: list[list[Any]], index: int
) -> None:
    assert header_index(rows) == index


def test_rows_above_the_header_are_quoted(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xlsx", ["Sales\n2024"], ["by", "shop"], list("abcde"), [1] * 5)
    (sheet,) = read(path).sheets
    assert sheet.header == list("abcde")
    assert sheet.rows == [[1, 1, 1, 1, 1]]
    assert sheet.skipped == [
        "2 rows above the header are not part of the table: “Sales 2024”; “by | shop”"
    ]


def test_a_first_row_of_numbers_is_no_header(tmp_path: Path) -> None:
    (sheet,) = read(save(tmp_path / "a.xlsx", [2023, 2024], [1, 2])).sheets
    assert (sheet.header, sheet.rows) == (["Column 1", "Column 2"], [[2023, 2024], [1, 2]])


def test_no_row_of_a_sheet_is_a_title_above_mere_numbers(tmp_path: Path) -> None:
    rows = [[1, 2], *[[1, 2, 3, 4, 5]] * 3]
    (sheet,) = read(save(tmp_path / "a.xlsx", *rows)).sheets
    assert (len(sheet.rows), sheet.rows[0], sheet.skipped) == (4, [1, 2, None, None, None], [])


def test_a_lone_row_is_a_header_unless_it_is_one_cell(tmp_path: Path) -> None:
    (sheet,) = read(save(tmp_path / "a.xlsx", ["a", "b"])).sheets
    assert (sheet.header, sheet.rows) == (["a", "b"], [])
    (sheet,) = read(save(tmp_path / "b.xlsx", ["note"])).sheets
    assert (sheet.header, sheet.rows) == (["Column 1"], [["note"]])


def test_blank_rows_are_removed_and_counted_and_blank_columns_are_no_columns(
    tmp_path: Path,
) -> None:
    rows: list[list[Any]] = [
        [None, "a", None, "b"],
        [],
        [None, 1, None, 2],
        [],
        [],
        [None, 3, " ", None],
        [],
    ]
    (sheet,) = read(save(tmp_path / "a.xlsx", *rows)).sheets
    assert (sheet.header, sheet.rows) == (["a", "b"], [[1, 2], [3, None]])
    assert sheet.skipped == ["3 blank rows were left out."]


def test_rows_are_as_wide_as_the_header_and_as_each_other(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xlsx", ["a", "b", "c"], [1, 2], [1, 2, 3, 4], [1, 2, 3])
    (sheet,) = read(path).sheets
    assert sheet.header == ["a", "b", "c", "Column 4"]
    assert sheet.rows == [[1, 2, None, None], [1, 2, 3, 4], [1, 2, 3, None]]


def test_names_of_columns_are_unique_and_never_blank() -> None:
    cells = ["a", None, " ", "A", "a (2)", "a", 2024, 2024.5, "x\n y", "Column 2"]
    assert unique_names(cells, list(range(1, 11))) == [
        *("a", "Column 2", "Column 3", "A (2)", "a (2) (2)", "a (3)", "2024", "2024.5", "x y"),
        "Column 2 (2)",
    ]


def test_old_and_new_workbooks_agree(tmp_path: Path) -> None:
    cells = b"".join(xls_number(row, 0, row) for row in range(3))
    old = read(compound(tmp_path / "a.xls", xls_stream([("S", 0, 0, cells)]))).sheets[0]
    new = read(save(tmp_path / "a.xlsx", [0], [1], [2])).sheets[0]
    assert (old.header, old.rows) == (new.header, new.rows) == (["Column 1"], [[0], [1], [2]])


BOUNDED = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from pathlib import Path
from {{ cookiecutter.package_name }}.step import UserError
from {{ cookiecutter.package_name }}.tables import read
try:
    sheets = read(Path(sys.argv[1])).sheets
    answer = {"sheets": [[s.name, len(s.rows), len(s.header), s.skipped] for s in sheets]}
except UserError as error:
    answer = {"error": str(error)}
print(json.dumps(answer))
"""


def bounded(path: Path) -> dict[str, Any]:
    """What becomes of a file in a process of its own with one gigabyte."""
    run = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def samples() -> list[tuple[str, set[str]]]:
    """Each sample file and the classes of answer that its manifest accepts."""
    manifest = Path(SAMPLES, "MANIFEST.csv")
    if not SAMPLES or not manifest.is_file():
        return []
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["path"], {row["expected"], row["also_acceptable"]} - {""}) for row in rows]


@pytest.mark.skipif(not SAMPLES, reason="SILO_SAMPLE_INPUTS names no folder of sample files")
@pytest.mark.parametrize(("path", "accepted"), samples())
def test_s26_a_sample_file_ends_as_its_manifest_says(path: str, accepted: set[str]) -> None:
    answer = bounded(Path(SAMPLES, path))
    if "sheets" in answer:
        assert "report" in accepted, answer
        assert any(rows for _name, rows, _columns, _skipped in answer["sheets"])
    else:
        assert "clear_error" in accepted, answer
        assert Path(path).name in answer["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory so")
def test_the_collector_rests_while_a_file_is_read_and_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("Order,Region\n" + "1,North\n" * 10_000)
    seen = []
    read(path, lambda _done: seen.append((gc.isenabled(), gc.get_stats())))
    assert len(seen) > 1
    assert all(found == (False, seen[0][1]) for found in seen)
    assert gc.isenabled()
    path.write_text("\n\n")
    with pytest.raises(UserError, match="holds no data"):
        read(path)
    assert gc.isenabled()


def test_s24_many_rows_stay_within_a_gigabyte(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("a,b,c,d,e,f,g,h\n")
        for at in range(200_000):
            file.write(f"{at},{at / 7},x{at % 9},2024-02-03,,true,{at},y\n")
    assert bounded(path) == {"sheets": [["a", 200_000, 8, []]]}
