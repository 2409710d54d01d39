"""Files made to do harm: archives, XML, names, and work that grows faster than the file."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import openpyxl
import pytest
from faults.server import Caller
from known_step import Options, process

from {{ cookiecutter.package_name }}.cells import sheet_names
from {{ cookiecutter.package_name }}.report import Report, unique
from {{ cookiecutter.package_name }}.step import SilentProgress, UserError
from {{ cookiecutter.package_name }}.tables import read, second
from {{ cookiecutter.package_name }}.tables.layout import unique_names
from {{ cookiecutter.package_name }}.tables.ooxml import SheetScan
from {{ cookiecutter.package_name }}.workbook import write_workbook

SHEET = "xl/worksheets/sheet1.xml"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
ROWS = (
    '<row r="1"><c r="A1" t="inlineStr"><is><t>Amount</t></is></c></row>'
    '<row r="2"><c r="A2"><v>7</v></c></row>'
)


def relation(kind: str, target: str) -> str:
    told = f'<Relationship Id="r1" Type="{OFFICE}/{kind}" Target="{target}"/>'
    return f'<Relationships xmlns="{PACKAGE}">{told}</Relationships>'


def types(part: str) -> str:
    """What the second reader finds the workbook by, and the sheet."""
    told = "".join(
        f'<Override PartName="/{name}" ContentType="{TYPE}.{kind}+xml"/>'
        for name, kind in [("xl/workbook.xml", "sheet.main"), (part, "worksheet")]
    )
    return f'<Types xmlns="{TYPES}">{told}</Types>'


def workbook(
    rows: str = ROWS,
    prolog: str = "",
    part: str = SHEET,
    name: str = "S",
    more: Mapping[str, bytes] | None = None,
) -> bytes:
    """A workbook of one sheet, written by hand; `more` are parts besides, by name."""
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": types(part),
        "_rels/.rels": relation("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
        f'<sheet name="{name}" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relation("worksheet", f"/{part}"),
        part: f'{prolog}<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>',
        **(more or {}),
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in parts.items():
            archive.writestr(path, data)
    return stream.getvalue()


def report(folder: Path, data: bytes, name: str = "a.xlsx") -> Report:
    path = folder / name
    path.write_bytes(data)
    return process([path], Options(), SilentProgress())


def ends(folder: Path, data: bytes, name: str = "a.xlsx") -> bool:
    """Whether a file becomes a report, or is refused with a sentence; else it hangs or breaks."""
    try:
        made = report(folder, data, name)
    except UserError as error:
        return str(error).endswith(".")
    write_workbook(made, folder / "report.xlsx")
    return bool(made.tables)


def refusal(folder: Path, data: bytes) -> str:
    with pytest.raises(UserError) as caught:
        report(folder, data)
    return str(caught.value)


def directory(data: bytes) -> tuple[int, int, bytes]:
    """Where the list of entries begins, how many there are, and the list."""
    end = data.rfind(b"PK\5\6")
    number, length, start = struct.unpack_from("<HII", data, end + 10)
    return start, number, data[start : start + length]


def with_directory(data: bytes, number: int, entries: bytes) -> bytes:
    start, _, _ = directory(data)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, number, number, len(entries), start, 0)
    return data[:start] + entries + end


def test_entries_that_overlap_are_weighed_each(tmp_path: Path) -> None:
    """Three hundred entries of one and the same compressed bytes: 30 kB stand for 6 GB."""
    data = workbook(more={"xl/k.xml": b"<a>" + b"a" * 20_000_000 + b"</a>"})
    _, number, entries = directory(data)
    last = entries[entries.rfind(b"PK\1\2") :]
    for n in range(300):
        name = b"xl/k%03d.xml" % n
        entries += last[:28] + struct.pack("<H", len(name)) + last[30:46] + name
    assert "unpacks to more than" in refusal(tmp_path, with_directory(data, number + 300, entries))


def test_more_entries_than_a_spreadsheet_has(tmp_path: Path) -> None:
    many = {f"a{n}": b"" for n in range(65_000)}
    assert "too many parts" in refusal(tmp_path, workbook(more=many))


@pytest.mark.parametrize(
    "name", ["../../../evil", "/etc/evil", "C:\\evil", "..\\evil", "xl/../../evil", "\0evil"]
)
def test_nothing_is_unpacked_anywhere(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "in" / "side"
    inside.mkdir(parents=True)
    data = workbook(more={name.replace("\0", "0"): b"evil"})
    assert report(inside, data).tables
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.xlsx"]


def test_a_link_in_an_archive_is_a_part_like_any_other(tmp_path: Path) -> None:
    stream = io.BytesIO(workbook(part="xl/other.xml"))
    with zipfile.ZipFile(stream, "a") as archive:
        info = zipfile.ZipInfo(SHEET)
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert "root" not in str(report(tmp_path, stream.getvalue()))


@pytest.mark.parametrize(
    "tail",
    [
        b"\xff" * 8,
        struct.pack("<II", 2**32 - 1, 2**32 - 1),
        struct.pack("<II", 2**31, 0),
        struct.pack("<II", 0, 2**31),
    ],
)
def test_a_directory_that_lies_about_its_place(tmp_path: Path, tail: bytes) -> None:
    data = workbook()
    end = data.rfind(b"PK\5\6")
    assert refusal(tmp_path, data[: end + 12] + tail + data[end + 20 :])


def test_ends_of_a_directory_without_end(tmp_path: Path) -> None:
    comment = (b"PK\5\6" * 17_000)[:65_535]
    assert refusal(tmp_path, workbook()[:-2] + b"\xff\xff" + comment)


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    data = workbook()
    for _ in range(5):
        data = workbook(more={f"xl/{n}.zip": data for n in range(4)})
    assert report(tmp_path, data).tables


@pytest.mark.parametrize(
    "entity", ['"boo"', 'SYSTEM "file:///etc/passwd"', 'SYSTEM "http://127.0.0.1:9/"']
)
@pytest.mark.parametrize("part", [SHEET, "xl/worksheets/sheet1.dat", "xl/sheet"])
def test_no_entity_is_resolved_whatever_the_part_is_called(
    tmp_path: Path, part: str, entity: str
) -> None:
    prolog = f"<!DOCTYPE a [<!ENTITY b {entity}>]>"
    rows = ROWS.replace("Amount", "x&b;x")
    assert refusal(tmp_path, workbook(rows, prolog, part))


def test_a_billion_laughs_are_none_whatever_the_part_is_called(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    prolog = f'<!DOCTYPE a [<!ENTITY a0 "ha">{laughs}]>'
    rows = ROWS.replace("Amount", "&a9;")
    assert refusal(tmp_path, workbook(rows, prolog, "xl/worksheets/sheet1.dat"))


def test_a_flood_of_attributes_is_read_over(tmp_path: Path) -> None:
    flood = " ".join(f'a{n}="1"' for n in range(50_000))
    assert report(tmp_path, workbook(ROWS.replace('<c r="A2"', f'<c r="A2" {flood}'))).tables


@pytest.mark.parametrize("row", ["0", "99999999", "9999999999"])
def test_a_row_that_no_sheet_has_is_not_counted_up_to(attacker: Caller, row: str) -> None:
    """Native readers end their process for such a row, and others make up all rows before it."""
    data = workbook(f'{ROWS}<row r="{row}"><c r="A{row}"><v>1</v></c></row>')
    assert attacker.upload("a.xlsx", data).status == 201
    assert attacker.post("/api/process").status == 202
    end = json.loads([*attacker.listen("/api/events")][-1].data)
    assert end["status"] in ("complete", "failed")
    assert end["error"] is None or end["error"].endswith(".")


def test_the_second_reader_does_not_make_up_rows_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook(f'{ROWS}<row r="9999999999"><c r="A9999999999"/></row>'))
    with pytest.raises(UserError, match="more than can be read"):
        second.read(path, path.name, lambda part: None)


@pytest.mark.parametrize(
    "name", ["=1+1", "@SUM(A1)", "+1", "-1", "=HYPERLINK(&quot;http://e&quot;)"]
)
@pytest.mark.parametrize("kind", ["sheet", "file", "column"])
def test_no_name_becomes_a_formula_or_a_link(tmp_path: Path, name: str, kind: str) -> None:
    told = name if kind == "sheet" else "S"
    rows = ROWS.replace("Amount", name) if kind == "column" else ROWS
    file = f"{name.replace('&quot;', '').replace('/', '')}.xlsx" if kind == "file" else "a.xlsx"
    made = report(tmp_path, workbook(rows, name=told), file)
    written = tmp_path / "report.xlsx"
    write_workbook(made, written)
    assert nothing_alive(written)


@pytest.mark.parametrize(
    "cell",
    [
        "=cmd|' /C calc'!A0",
        "@SUM(1+1)",
        "+1+cmd",
        "-2+3",
        "\t=1+1",
        "\r=1+1",
        "=IMPORTXML(1)",
        "|x",
    ],
)
def test_no_cell_of_a_csv_becomes_a_formula(tmp_path: Path, cell: str) -> None:
    text = f'"{cell}",n\n"{cell}",1\nx,2\n"{cell}",3\n'
    written = tmp_path / "report.xlsx"
    write_workbook(report(tmp_path, text.encode(), "a.csv"), written)
    assert nothing_alive(written)


def nothing_alive(path: Path) -> bool:
    """Whether a workbook has neither formula, link, macro nor anything from elsewhere."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    text = b"".join(data for name, data in parts.items() if "/charts/" not in name)
    odd = [name for name in parts if "vba" in name.lower() or "external" in name.lower()]
    alive = [tag for tag in (b"<f>", b"<f ", b"hyperlink", b'"External"') if tag in text]
    cells = [
        cell.data_type
        for sheet in openpyxl.load_workbook(path).worksheets
        for row in sheet.iter_rows()
        for cell in row
    ]
    return not odd and not alive and "f" not in cells


def test_a_thousand_equal_names_are_a_thousand_steps() -> None:
    """Names are made different by counting on, and not by counting anew."""
    names = ["a"] * 16_384
    assert unique(names)[-1] == "a (16384)"
    assert sheet_names(names)[-1] == "a (16384)"
    assert unique_names(names, range(16_384))[-1] == "a (16384)"


def test_blanks_without_end_are_looked_through_once() -> None:
    """A formula whose cell does not end: the search must not begin anew at each blank."""
    scan = SheetScan()
    scan(b'<c r="A1"><f>1</f>' + b" " * 4_000_000 + b"x</c>")
    assert scan.close().unsaved == 0


def test_a_long_line_in_an_old_encoding_is_looked_through_once(tmp_path: Path) -> None:
    """To guess the encoding, the lines beyond ASCII are looked for."""
    text = b"a" * 900_000 + b"\n" + b"caf\xe9,1\n" * 3
    assert ends(tmp_path, text, "a.csv")


def test_a_column_name_that_stands_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",".join(["a"] * 16_384) + "\n" + ",".join(["1"] * 16_384) + "\n")
    assert read(path).sheets[0].header[-1] == "a (16384)"


@pytest.mark.parametrize(
    "text",
    [
        '"' * 1_000_000,
        '"a\n' * 200_000,
        "a,b\n" + "," * 16_000 + "\n",
        "sep=\x00\na\x00b\n",
        "a\n" + "9" * 900_000 + "\n",
        "a\n" + "1e308\n" * 1000 + "-1e308\n" * 1000,
        "a" + "\r" * 500_000 + "b",
        "k,v\n" + "_x" * 400_000 + ",1\n",
        "\ufeff\ufeffa,b\n1,2\n",
    ],
)
def test_a_text_that_wants_to_hang_is_read_or_refused(tmp_path: Path, text: str) -> None:
    assert ends(tmp_path, text.encode(), "a.csv")
