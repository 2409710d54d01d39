"""Files made to do harm, and files that are damaged: each ends in a sentence that names the file.

All of them are read in this process, so what is refused is refused before a native reader sees it.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pytest
from test_tables_formats import (
    MAIN,
    compound,
    number,
    ods,
    ods_cell,
    ods_row,
    ods_table,
    pack,
    record,
    save,
    text,
    xls_number,
    xls_stream,
    xlsx,
    xlsx_parts,
)

from {{ cookiecutter.package_name }}.step import UserError
from {{ cookiecutter.package_name }}.tables import limits, native, read, second
from {{ cookiecutter.package_name }}.tables.archives import Archive, Damaged, open_archive

SHEET = "xl/worksheets/sheet1.xml"
CELL = f'<row r="1">{number("A1", 1)}</row>'


def refusal(path: Path) -> str:
    """The sentence with which a file is refused; it names the file."""
    with pytest.raises(UserError) as error:
        read(path)
    assert path.name in str(error.value)
    return str(error.value)


def xlsx_with(path: Path, part: str, data: str | bytes) -> Path:
    """A sound workbook of one cell but for one part."""
    return pack(path, {**xlsx_parts({"S": CELL}), part: data})


def test_s23_a_bomb_is_weighed_by_what_it_inflates_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RATIO_FLOOR", 1024 * 1024)
    path = xlsx_with(tmp_path / "a.xlsx", "xl/media/image.xml", b"<a>" + b" " * 4_000_000)
    assert "unpacks to more than 200 times its size" in refusal(path)


def zip_bomb(path: Path) -> Path:
    return xlsx_with(path, SHEET, "<worksheet>" + " " * 64_000_000)


def bomb_that_declares_little(path: Path) -> Path:
    """Both its headers say 512 bytes."""
    data = zip_bomb(path).read_bytes()
    with zipfile.ZipFile(path) as file:
        size = struct.pack("<I", file.getinfo(SHEET).file_size)
    path.write_bytes(data.replace(size, struct.pack("<I", 512)))
    return path


@pytest.mark.parametrize("build", [zip_bomb, bomb_that_declares_little])
def test_s23_no_reader_sees_a_bomb_and_little_of_it_is_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: Callable[[Path], Path]
) -> None:
    monkeypatch.setattr(limits, "RATIO_FLOOR", 2**20)
    for reader in (native, second):
        monkeypatch.setattr(reader, "read", None)
    sizes = inflated(monkeypatch)
    path = build(tmp_path / "a.xlsx")
    assert refusal(path)
    assert sum(sizes) < limits.MAX_RATIO * path.stat().st_size + 2**20


def test_s23_an_archive_in_an_archive_stays_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = zip_bomb(tmp_path / "inner.zip").read_bytes()
    path = xlsx_with(tmp_path / "a.xlsx", "xl/media/inner.zip", inner)
    sizes = inflated(monkeypatch)
    assert read(path).sheets[0].rows == [[1]]
    assert sum(sizes) < 2 * len(inner)


def inflated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all chunks that will be inflated."""
    sizes: list[int] = []
    inflate = Archive.inflate

    def count(archive: Archive, info: zipfile.ZipInfo) -> Iterator[bytes]:
        for chunk in inflate(archive, info):
            sizes.append(len(chunk))
            yield chunk

    monkeypatch.setattr(Archive, "inflate", count)
    return sizes


def test_s23_many_small_parts_are_weighed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INFLATED", 4 * 1024 * 1024)
    noise = {f"xl/media/{at}.bin": random.Random(at).randbytes(300_000) for at in range(20)}
    path = pack(tmp_path / "a.xlsx", {**xlsx_parts({"S": CELL}), **noise})
    assert "unpacks to more than 4 MB" in refusal(path)


def test_s23_a_header_that_declares_too_few_bytes_does_not_help(tmp_path: Path) -> None:
    """The checksum is that of the few bytes, so that a reader who stops there finds them sound."""
    path = xlsx_with(tmp_path / "a.xlsx", "xl/media/image.bin", b" " * 50_000_000)
    with zipfile.ZipFile(path) as file:
        info = file.getinfo("xl/media/image.bin")
    true = struct.pack("<III", info.CRC, info.compress_size, info.file_size)
    lie = struct.pack("<III", zlib.crc32(b" " * 512), info.compress_size, 512)
    data = path.read_bytes()
    assert data.count(true) == 2
    path.write_bytes(data.replace(true, lie))
    with zipfile.ZipFile(path) as file:
        assert len(file.read("xl/media/image.bin")) == 512
    assert "damaged" in refusal(path)
    inflated: list[int] = []
    with open_archive(path, path.name) as archive:
        chunks = archive.inflate(archive.parts["xl/media/image.bin"])
        with pytest.raises(Damaged):
            inflated.extend(map(len, chunks))
    assert sum(inflated) < 5_000_000


def test_damage_in_a_part_that_no_reader_opens_counts(tmp_path: Path) -> None:
    """A part that is stored as it is: nothing but its checksum tells."""
    path = xlsx_with(tmp_path / "a.xlsx", "docProps/note.bin", "")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as file:
        file.writestr("docProps/other.bin", b"sound bytes")
    assert read(path).sheets
    path.write_bytes(path.read_bytes().replace(b"sound bytes", b"wrong bytes"))
    assert "damaged" in refusal(path)


def test_a_part_under_a_password_is_named_as_the_reason(tmp_path: Path) -> None:
    path = xlsx_with(tmp_path / "a.xlsx", SHEET, "")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "is password-protected" in refusal(path)


def test_s23_too_many_parts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PARTS", 10)
    parts = {f"x{at}": "" for at in range(20)}
    path = pack(tmp_path / "a.xlsx", {**xlsx_parts({"S": CELL}), **parts})
    assert "too many parts" in refusal(path)
    monkeypatch.setattr(limits, "MAX_PARTS", 100)
    assert read(path).sheets
    monkeypatch.setattr(limits, "MAX_DIRECTORY", 1000)
    assert "too many parts" in refusal(path)


@pytest.mark.parametrize("suffix", [".xlsx", ".xls", ".ods"])
def test_s42_a_file_cut_off_anywhere_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".xlsx":
        save(path, ["a", "b"], *([at, at * at] for at in range(200)))
    elif suffix == ".xls":
        compound(path, xls_stream([("S", 0, 0, xls_number(0, 0, 1))]))
    else:
        ods(path, ods_table(ods_row(ods_cell("float", "1"))))
    data = path.read_bytes()
    for share in (0.01, 0.1, 0.5, 0.9):
        path.write_bytes(data[: int(len(data) * share)])
        assert refusal(path)


def test_s42_no_bit_flip_gives_another_table(tmp_path: Path) -> None:
    """A flip in the compressed bytes of any part is found; elsewhere the table stays the same."""
    path = save(tmp_path / "a.xlsx", ["a", "b"], *([at, at * at] for at in range(50)))
    data, sound, chance, refused = path.read_bytes(), read(path), random.Random(5), 0
    for _try in range(150):
        flipped = bytearray(data)
        at = chance.randrange(len(data))
        flipped[at] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            assert [sheet.rows for sheet in read(path).sheets] == [
                sheet.rows for sheet in sound.sheets
            ]
        except UserError:
            refused += 1
    assert refused > 75


@pytest.mark.parametrize("part", ["[Content_Types].xml", "xl/workbook.xml", SHEET, "xl/theme.xml"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_s25_a_document_type_is_refused_in_every_part(
    tmp_path: Path, part: str, encoding: str
) -> None:
    bomb = (
        f'<?xml version="1.0" encoding="{encoding}"?><!-- {"x" * 100_000} -->'
        '<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>'
    )
    path = xlsx_with(tmp_path / "a.xlsx", part, bomb.encode(encoding))
    assert "document type definition (DTD)" in refusal(path)


@pytest.mark.parametrize("part", ["xl/workbook.xml", SHEET, "xl/theme.xml"])
@pytest.mark.parametrize("encoding", ["UTF-0", "shift_jis"])
def test_an_encoding_that_no_parser_knows_is_no_crash(
    tmp_path: Path, part: str, encoding: str
) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?><a/>'
    path = xlsx_with(tmp_path / "a.xlsx", part, declared)
    if part == "xl/theme.xml":
        assert read(path).sheets[0].rows == [[1]]
    else:
        assert refusal(path)


def test_s23_a_part_that_lies_before_the_file_is_damage(tmp_path: Path) -> None:
    path = xlsx(tmp_path / "a.xlsx", CELL)
    path.write_bytes(path.read_bytes()[20:])
    path.write_bytes(b"PK\x03\x04" + path.read_bytes())
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("bait", [' r="A1"', "<c ", "<v ", '<c t="', '<c r="A1"><f>', "<a:"])
def test_s24_no_part_takes_its_length_squared_to_look_through(tmp_path: Path, bait: str) -> None:
    assert refusal(xlsx_with(tmp_path / "a.xlsx", SHEET, "<worksheet" + bait * 400_000))


def test_s25_openpyxl_reads_with_defusedxml() -> None:
    assert openpyxl.DEFUSEDXML


def test_s25_no_external_entity_is_fetched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        sheet = (
            f'<!DOCTYPE worksheet SYSTEM "{address}"><worksheet xmlns="{MAIN}"><sheetData>'
            f"{CELL}</sheetData></worksheet>"
        )
        refusal(xlsx_with(tmp_path / "a.xlsx", SHEET, sheet))
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/_rels/workbook.xml.rels", SHEET])
def test_s23_deep_nesting_ends_in_a_sentence(tmp_path: Path, part: str) -> None:
    deep = "<a>" * 200_000 + "</a>" * 200_000
    assert "nests its contents" in refusal(xlsx_with(tmp_path / "a.xlsx", part, deep))


def test_s23_deep_nesting_in_ods_ends_in_a_sentence(tmp_path: Path) -> None:
    spans = "<text:span>" * 100_000 + "</text:span>" * 100_000
    path = ods(tmp_path / "a.ods", ods_table(ods_row(ods_cell("string", spans))))
    assert "nests its contents" in refusal(path)


@pytest.mark.parametrize("tail", ["</table:row>", "<table:table-row>"])
def test_an_ods_that_is_no_xml_to_its_end_is_refused(tmp_path: Path, tail: str) -> None:
    """The first reader would look for the end of the table for ever."""
    path = ods(tmp_path / "a.ods", ods_table(ods_row(ods_cell("float", "1"))) + tail)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            ods_row(
                ods_cell("float", "1", 'table:number-columns-repeated="2000000000"'),
                repeated=1_000_000,
            ),
            "spans more than 5,000,000 cells",
        ),
        (ods_row(ods_cell("string", '<text:s text:c="4000000000"/>')), "spaces"),
    ],
)
def test_s24_ods_that_repeats_without_end_is_refused(
    tmp_path: Path, row: str, sentence: str
) -> None:
    assert sentence in refusal(ods(tmp_path / "a.ods", ods_table(row)))


def test_s24_more_cells_than_the_budget_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_SHEET_CELLS", 1000)
    path = save(tmp_path / "a.xlsx", *([at, 2, 3] for at in range(400)))
    assert "spans more than 1,000 cells" in refusal(path)
    path = save(tmp_path / "b.xlsx", *([at, 2] for at in range(400)))
    assert len(read(path).sheets[0].rows) == 400


@pytest.mark.skipif(sys.platform == "win32", reason="knows no limit on memory")
@pytest.mark.parametrize(("megabytes", "cells"), [(512, 1000), (1024, 1000), (3072, 3000)])
def test_s24_the_budget_grows_with_the_memory_that_a_job_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int, cells: int
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _kind: (megabytes * 2**20, -1))
    monkeypatch.setattr(limits, "MAX_SHEET_CELLS", 1000)
    path = save(tmp_path / "a.xlsx", *([at] for at in range(cells)))
    assert len(read(path).sheets[0].rows) == cells
    path = save(tmp_path / "b.xlsx", *([at] for at in range(cells + 1)))
    assert f"spans more than {cells:,} cells" in refusal(path)


def test_s24_a_cell_with_more_text_than_the_budget_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_TEXT", 100)
    assert "more than 100 characters" in refusal(save(tmp_path / "a.xlsx", ["x" * 101]))
    assert read(save(tmp_path / "b.xlsx", ["x" * 100])).sheets[0].rows == [["x" * 100]]


def test_s24_memory_that_runs_out_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spend(*_arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr("{{ cookiecutter.package_name }}.tables.layout.unify", spend)
    assert "needs more memory" in refusal(save(tmp_path / "a.xlsx", ["a", 1]))


def looped(path: Path, word: int) -> Path:
    """An xls whose chain of sectors comes back to itself at one sector."""
    compound(path, xls_stream([("S", 0, 0, xls_number(0, 0, 1))]))
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 512 + 4 * word, word)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("word", [1, 2, 9], ids=["directory", "stream", "end of the stream"])
def test_s26_an_xls_whose_sectors_loop_is_refused(tmp_path: Path, word: int) -> None:
    """The first reader would follow them until memory runs out."""
    assert "damaged" in refusal(looped(tmp_path / "a.xls", word))


def test_an_xls_that_declares_more_cells_than_a_sheet_has_is_refused(tmp_path: Path) -> None:
    """The first reader would reserve memory for all of them and abort."""
    dimensions = record(0x200, struct.pack("<IIHHH", 0, 0xFFFFFF, 0, 0xFFFF, 0))
    stream = xls_stream([("S", 0, 0, dimensions + xls_number(0, 0, 1))])
    assert "damaged" in refusal(compound(tmp_path / "a.xls", stream))


def test_s26_a_panic_of_the_native_reader_is_an_error_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panic(BaseException):
        pass

    class Book:
        @staticmethod
        def from_path(_path: str) -> None:
            raise Panic

    native = "{{ cookiecutter.package_name }}.tables.native.CalamineWorkbook"
    monkeypatch.setattr(native, Book)
    path = compound(tmp_path / "a.xls", xls_stream([("S", 0, 0, xls_number(0, 0, 1))]))
    assert "could not be read" in refusal(path)
    assert read(save(tmp_path / "b.xlsx", ["a", "b"], [1, 2])).sheets[0].rows == [[1, 2]]


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_a_wish_to_stop_is_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal: type[BaseException]
) -> None:
    class Book:
        @staticmethod
        def from_path(_path: str) -> None:
            raise signal

    native = "{{ cookiecutter.package_name }}.tables.native.CalamineWorkbook"
    monkeypatch.setattr(native, Book)
    with pytest.raises(signal):
        read(save(tmp_path / "a.xlsx", ["a"]))


def xls_with_password(path: Path) -> Path:
    return compound(path, xls_stream([("S", 0, 0, b"")], extra=record(0x2F, bytes(54))))


def ods_with_password(path: Path) -> Path:
    ods(path, ods_table())
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("META-INF/manifest.xml", "<manifest:encryption-data/>")
    return path


def encrypted(path: Path) -> Path:
    """What a spreadsheet program makes of an xlsx with a password."""
    return compound(path, b"secret", "EncryptedPackage")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("a.xlsx", encrypted),
        ("b.xls", encrypted),
        ("c.xls", xls_with_password),
        ("d.ods", ods_with_password),
    ],
)
def test_a_password_is_named_as_the_reason(
    tmp_path: Path, name: str, build: Callable[[Path], Path]
) -> None:
    assert "is password-protected" in refusal(build(tmp_path / name))


def any_zip(path: Path) -> Path:
    return pack(path, {"readme.txt": "hello"})


def word(path: Path) -> Path:
    parts = xlsx_parts({"S": CELL})
    relations = str(parts["_rels/.rels"]).replace("xl/workbook.xml", "word/document.xml")
    return pack(path, {**parts, "_rels/.rels": relations, "word/document.xml": "<document/>"})


@pytest.mark.parametrize(
    ("name", "build", "sentence"),
    [
        ("a.xlsx", any_zip, "is a zip archive, but not a .xlsx workbook"),
        ("a.ods", any_zip, "is a zip archive, but not an .ods workbook"),
        ("a.xlsx", word, "is an Office file, but not a workbook"),
        ("a.xlsb", lambda path: xlsx(path, CELL), "is a .xlsx workbook"),
        ("a.ods", lambda path: xlsx(path, CELL), "not an .ods workbook"),
        ("a.xlsx", lambda path: ods(path, ods_table()), "is an OpenDocument file"),
        (
            "a.ods",
            lambda path: ods(path, "", "application/vnd.oasis.opendocument.text"),
            "not a spreadsheet",
        ),
        ("a.xls", lambda path: compound(path, b"", "WordDocument"), "but not a workbook"),
    ],
)
def test_s16_a_container_of_another_kind_is_named(
    tmp_path: Path, name: str, build: Callable[[Path], Path], sentence: str
) -> None:
    assert sentence in refusal(build(tmp_path / name))


def test_text_that_looks_like_an_entity_stays_text(tmp_path: Path) -> None:
    rows = f'<row r="1">{text("A1", "&lt;!DOCTYPE a&gt; &amp;b;")}</row>'
    assert read(xlsx(tmp_path / "a.xlsx", rows)).sheets[0].rows == [["<!DOCTYPE a> &b;"]]
