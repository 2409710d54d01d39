"""Whatever people send: each answered with its status and a sentence that helps."""

from __future__ import annotations

import errno
import io
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from zipfile import ZipFile

import pytest
from flask import Flask

from {{ cookiecutter.package_name }}.silo import FileStore, SessionStore, SiloError
from {{ cookiecutter.package_name }}.silo.errors import StoreFull, StoreUnavailable
from {{ cookiecutter.package_name }}.silo.sessions.transaction import Transaction
from {{ cookiecutter.package_name }}.values import clean_name

from .conftest import MakeApp
from .person import SALES, Answer, Person, csv_text, error, xlsx
from .steps import Gate

Rows = Sequence[Sequence[Any]]

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENCRYPTED = OLE + bytes(1000) + "EncryptedPackage".encode("utf-16-le") + bytes(3000)


@pytest.fixture
def app(child_app: Flask) -> Flask:
    """Here jobs are what they are in earnest: some files kill whoever reads them."""
    return child_app


# Refused at the upload


def test_no_file(person: Person) -> None:
    for given in (
        {},
        {"data": {"file": (io.BytesIO(b"a"), "")}},
        {"data": {"other": (io.BytesIO(b"a"), "a.csv")}},
        {"data": {"file": "only text"}},
        {"data": b"x", "content_type": "multipart/form-data"},
        {"data": b"--x\r\nnonsense", "content_type": "multipart/form-data; boundary=x"},
        {"json": {"file": "a.csv"}},
    ):
        answer = person.post("/api/upload", **given)
        assert error(answer) == (422, "no_file"), given
        assert answer.json["detail"] == "Choose at least one file."


@pytest.mark.parametrize(
    ("name", "data", "status", "code", "said"),
    [
        ("a.xlsx", b"", 422, "empty_file", "a.xlsx is empty."),
        ("a.csv", b"", 422, "empty_file", "a.csv is empty."),
        ("a.pdf", b"%PDF-1.7", 415, "unsupported_type", "a.pdf is not a type that can be read."),
        ("a", b"a,b\n", 415, "unsupported_type", "a is not a type that can be read."),
        (".xlsx", xlsx(A=SALES), 415, "unsupported_type", ".xlsx is not a type"),
        ("a.exe", b"MZ", 415, "unsupported_type", "a.exe is not a type that can be read."),
        ("a.xlsx.exe", b"MZ", 415, "unsupported_type", "a.xlsx.exe is not a type"),
        ("a.xlsx", b"a,b\n1,2\n", 415, "unsupported_type", "a.xlsx is named .xlsx but is plain"),
        ("a.xls", xlsx(A=SALES), 415, "unsupported_type", "a.xls is named .xls but is a newer"),
        ("a.csv", xlsx(A=SALES), 415, "unsupported_type", "a.csv is named .csv but is a spread"),
        ("a.xls", b"<html><table>", 415, "unsupported_type", "a.xls is named .xls but is a web"),
        ("a.xlsx", ENCRYPTED, 415, "unsupported_type", "a.xlsx is password-protected."),
    ],
)
def test_s16_a_file_that_cannot_be_read(
    person: Person, name: str, data: bytes, status: int, code: str, said: str
) -> None:
    answer = person.upload((name, data))
    assert error(answer) == (status, code)
    assert answer.json["detail"].startswith(said)
    assert person.sid == ""


def test_s17_an_upload_that_is_too_large(make_app: MakeApp) -> None:
    person = Person(make_app(SILO_MAX_UPLOAD_MB=1))
    answer = person.upload(("a.csv", b"a\n" + b"1\n" * 2**20))
    assert error(answer) == (413, "too_large")
    assert answer.json["detail"].startswith("At most 1 MB")
    person.upload(("a.csv", b"a\n1\n"))
    assert error(person.upload(("b.csv", b"a" * 2**21))) == (413, "too_large")
    assert person.stored() == [b"a\n1\n"]


def test_s20_too_many_parts(person: Person) -> None:
    answer = person.post(
        "/api/upload", data={"text": ["x"] * 1001}, content_type="multipart/form-data"
    )
    assert error(answer) == (413, "too_large")
    assert "1,000 files" in answer.json["detail"]


def test_s17_an_upload_over_the_quota(make_app: MakeApp) -> None:
    person = Person(make_app(SILO_MAX_UPLOAD_MB=5, SILO_SESSION_QUOTA_MB=1))
    person.upload(("a.csv", b"a\n1\n"))
    half = b"a\n" + b"1\n" * 300_000
    answer = person.upload(("b.csv", half), ("c.csv", half))
    assert error(answer) == (413, "too_large")
    assert answer.json["detail"] == "Your files may hold 1 MB in all."
    assert person.stored() == [b"a\n1\n"]
    assert [file["name"] for file in person.status()["files"]] == ["a.csv"]
    assert person.upload(("b.csv", half)).status_code == 201


# File names from hell

NAMES = {
    "../../../etc/passwd.csv": "passwd.csv",
    "..\\..\\windows\\system32\\a.csv": "a.csv",
    "C:\\Users\\me\\a.csv": "a.csv",
    "/etc/a.csv": "a.csv",
    "a\0.csv": "a.csv",
    "a%0D%0AX-Evil: 1.csv": "a%0D%0AX-Evil: 1.csv",
    "a\tb.csv": "ab.csv",
    'a"b.csv': 'a"b.csv',
    "a'b;c=d.csv": "a'b;c=d.csv",
    "<img src=x onerror=alert(1)>.csv": "<img src=x onerror=alert(1)>.csv",
    "=cmd|' !A0.csv": "=cmd|' !A0.csv",
    "😀 naïve 表.csv": "😀 naïve 表.csv",
    "invoice\u202exslx.csv": "invoicexslx.csv",
    "a\u200b\ufeff.csv": "a.csv",
    " a.csv ": "a.csv",
    "CON.csv": "CON.csv",
    "%2e%2e%2fa.csv": "%2e%2e%2fa.csv",
    "{" * 2 + "7*7" + "}" * 2 + ".csv": "{" * 2 + "7*7" + "}" * 2 + ".csv",
    "n" * 300 + ".csv": "n" * 116 + ".csv",
    "é" * 300 + ".csv": "é" * 116 + ".csv",
}


@pytest.mark.parametrize(("name", "shown"), NAMES.items(), ids=range(len(NAMES)))
def test_s15_a_file_name_is_data(person: Person, name: str, shown: str) -> None:
    [file] = upload_raw(person, name).json["files"]
    assert file["name"] == shown
    assert not any(unicodedata.category(char)[0] == "C" for char in file["name"])
    assert person.stored() == [b"a,b\nx,1\n"]


def upload_raw(person: Person, name: str) -> Answer:
    """Send a name as it is: a test client would tidy it up."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').encode()
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n' % quoted
    body = head + b"a,b\nx,1\n\r\n--x--\r\n"
    return person.post("/api/upload", data=body, content_type="multipart/form-data; boundary=x")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("..", ".."),
        ("a/", "file"),
        ("a\r\nX-Evil: 1.csv", "aX-Evil: 1.csv"),
        ("\u200b", "file"),
        ("", "file"),
        ("x" * 200, "x" * 120),
        ("." + "x" * 200, "." + "x" * 119),
        ("a." + "x" * 200, "a." + "x" * 118),
        ("\ud800.csv", ".csv"),
    ],
)
def test_a_name_without_a_type_is_shown_too(name: str, shown: str) -> None:
    assert clean_name(name) == shown


def test_s15_a_line_break_ends_no_header(person: Person) -> None:
    answer = upload_raw(person, "a\r\nX-Evil: 1.csv")
    assert error(answer) == (422, "no_file")
    assert "X-Evil" not in answer.headers


def test_s15_a_name_from_hell_goes_all_the_way(person: Person) -> None:
    upload_raw(person, "=1+1 \u202e😀 'x'; DROP.csv")
    person.process()
    assert person.end().name == "complete"
    assert person.get("/api/report").json["title"] == "Report on =1+1 😀 'x'; DROP.csv"
    download = person.get("/api/report.xlsx")
    assert download.status_code == 200
    header = download.headers["Content-Disposition"]
    assert header.isascii()
    assert "filename*=UTF-8''" in header
    assert "%F0%9F%98%80" in header


# Accepted, and then found to be something else


def without(data: bytes, part: str) -> bytes:
    """A zip container without one of its parts."""
    stream = io.BytesIO()
    with ZipFile(io.BytesIO(data)) as source, ZipFile(stream, "w") as target:
        for name in source.namelist():
            if name != part:
                target.writestr(name, source.read(name))
    return stream.getvalue()


WHOLE = xlsx(Sales=SALES)


@pytest.mark.parametrize(
    "data",
    [
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:200] + b"\xff" * 300 + WHOLE[500:],
        without(WHOLE, "xl/workbook.xml"),
        without(WHOLE, "xl/worksheets/sheet1.xml"),
        b"PK\x03\x04" + bytes(5000),
    ],
)
def test_s26_a_damaged_file_fails_with_a_sentence(person: Person, data: bytes) -> None:
    assert person.upload(("damaged.xlsx", data)).status_code == 201
    person.process()
    end = person.end()
    assert end.name == "failed"
    assert end.data["error"].startswith("damaged.xlsx ")
    assert end.data["error"].endswith(".")
    assert error(person.get("/api/report")) == (409, "not_ready")
    assert error(person.get("/api/report.xlsx")) == (409, "not_ready")


@pytest.mark.parametrize(
    "data",
    [xlsx(Sheet=[]), xlsx(Sheet=[[None, None]], Other=[["  "]]), b"\n\n\n", b" , ,\n , ,\n"],
    ids=["no cells", "blank cells", "blank lines", "separators"],
)
def test_s26_nothing_but_blanks(person: Person, data: bytes) -> None:
    name = "blank.xlsx" if data.startswith(b"PK") else "blank.csv"
    assert person.upload((name, data)).status_code == 201
    person.process()
    end = person.end()
    assert end.name == "failed"
    assert end.data["error"].startswith(name)
    assert "no" in end.data["error"]


def test_s27_one_unreadable_file_among_others_is_named_in_the_report(person: Person) -> None:
    report = person.has_report(("good.xlsx", WHOLE), ("bad.xlsx", WHOLE[:400]))
    assert report["tables"][0]["rows"] == [["North", 2, 4.75], ["South", 1, 2]]
    [unread] = [table for table in report["tables"] if table["name"] == "Not read"]
    assert unread["rows"][0][0] == "bad.xlsx"


def columns_of(report: dict[str, Any]) -> list[list[Any]]:
    [table] = [table for table in report["tables"] if table["name"] == "Columns"]
    rows: list[list[Any]] = table["rows"]
    assert table["row_count"] == len(rows)
    return rows


def test_two_hundred_columns(person: Person) -> None:
    rows: Rows = [[f"C{n}" for n in range(200)], list(range(200)), list(range(200, 400))]
    for name, data in (("wide.xlsx", xlsx(Wide=rows)), ("wide.csv", csv_text(rows))):
        columns = columns_of(person.has_report((name, data)))
        assert [row[1] for row in columns] == [f"C{n}" for n in range(200)]
        assert columns[-1][2:] == [2, 598]


def test_a_hundred_thousand_rows(person: Person) -> None:
    rows: Rows = [["Shop", "Amount"], *([f"Shop {n % 7}", n % 100] for n in range(100_000))]
    report = person.has_report(("long.csv", csv_text(rows)))
    [_, amount] = columns_of(report)
    assert amount[2:] == [100_000, 4_950_000]
    sums = {row[0]: row[2] for row in report["tables"][0]["rows"]}
    assert sums == {
        f"Shop {shop}": sum(n % 100 for n in range(shop, 100_000, 7)) for shop in range(7)
    }


def test_duplicate_and_blank_headers(person: Person) -> None:
    header = ["Name", "Name", None, "", "Name"]
    rows: Rows = [header, list("abcde"), list("fghij")]
    for name, data in (("odd.xlsx", xlsx(Odd=rows)), ("odd.csv", csv_text(rows))):
        names = [row[1] for row in columns_of(person.has_report((name, data)))]
        assert names == ["Name", "Name (2)", "Column 3", "Column 4", "Name (3)"]


def test_two_files_of_one_name(person: Person) -> None:
    one, two = csv_text([["A", "B"], ["x", 1]]), csv_text([["A", "B"], ["x", 2], ["y", 5]])
    columns = columns_of(person.has_report(("same.csv", one), ("same.csv", two)))
    assert [row[2] for row in columns] == [1, 1, 2, 2]


# Options


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"largest": "ten"}, "largest"),
        ({"largest": "10"}, "largest"),
        ({"largest": 0}, "largest"),
        ({"largest": 51}, "largest"),
        ({"largest": 2.5}, "largest"),
        ({"largest": None}, "largest"),
        ({"largest": True}, "largest"),
        ({"largest": 10**400}, "largest"),
        ({"hidden": "yes"}, "hidden"),
        ({"category": 7}, "category"),
        ({"category": "x" * 201}, "category"),
        ({"unknown": 1}, "unknown"),
        ([], ""),
        ([{"largest": 1}], ""),
        ("largest", ""),
        (7, ""),
        (None, ""),
    ],
)
def test_options_that_the_step_does_not_take(person: Person, options: Any, field: str) -> None:
    person.upload()
    answer = person.post("/api/process", data=json.dumps(options), content_type="application/json")
    assert error(answer) == (422, "invalid_options")
    [said] = answer.json["errors"]
    assert said["field"] == field
    assert said["message"] in answer.json["detail"]
    assert person.status()["job"]["status"] == "idle"
    assert person.status()["options"] is None


def test_every_wrong_option_is_named(person: Person) -> None:
    answer = person.process(largest=0, hidden=3, nonsense=1)
    assert [each["field"] for each in answer.json["errors"]] == ["largest", "hidden", "nonsense"]


def test_not_more_is_said_of_options_than_anybody_reads(person: Person) -> None:
    answer = person.process(**{f"o{number}": 1 for number in range(1000)})
    assert error(answer) == (422, "invalid_options")
    assert len(answer.json["errors"]) == 20


@pytest.mark.parametrize(
    "body",
    [b"{", b"{]", b"nonsense", b"{'largest': 1}", b'{"largest": 1,}', b"\xff\xfe", b'"\xff"',
     b'{"category": "\\ud800"}', b"[" * 100_000, b'{"a":' * 100_000, b"   "],
    ids=range(11),
)  # fmt: skip
def test_options_that_are_not_json(person: Person, body: bytes) -> None:
    person.upload()
    answer = person.post("/api/process", data=body, content_type="application/json")
    assert error(answer) == (400, "bad_request")
    assert answer.json["detail"] == "The options are not JSON."


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense"]
)
def test_options_of_another_content_type(person: Person, kind: str) -> None:
    person.upload()
    answer = person.post("/api/process", data=b'{"largest": 1}', content_type=kind)
    assert error(answer) == (415, "unsupported_media_type")


def test_s24_options_beyond_measure(person: Person) -> None:
    body = b'{"category": "' + b"x" * 2**20 + b'"}'
    answer = person.post("/api/process", data=body, content_type="application/json")
    assert error(answer) == (413, "too_large")


# When the disk is full, and when things happen at once

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "call",
    ["os.fsync", "shutil.copyfileobj", "tempfile.mkstemp", "pathlib.Path.replace"],
)
def test_a_full_disk(person: Person, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    person.has_report(("old.csv", b"a,b\nx,1\n"))
    before = person.stored(), files_below(person)
    with monkeypatch.context() as patch:
        patch.setattr(call, Mock(side_effect=FULL))
        answer = person.upload(("new.csv", b"a\n1\n"), ("newer.csv", b"a\n1\n"))
    assert error(answer) == (507, "no_space")
    assert "disk is full" in answer.json["detail"]
    assert (person.stored(), files_below(person)) == before
    assert [file["name"] for file in person.status()["files"]] == ["old.csv"]
    assert person.get("/api/report").status_code == 200
    assert person.upload(("new.csv", b"a\n1\n")).status_code == 201


def files_below(person: Person) -> int:
    """How many files there are in the folder of a session, of whatever kind."""
    files = person.app.extensions["silo"].file_store("files")
    return len(list(Path(files.session_dir(person.sid)).iterdir()))


def test_s17_a_disk_that_is_full_at_the_second_file(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", Mock(side_effect=[None, FULL]))
        answer = person.upload(("one.csv", b"a\n1\n"), ("two.csv", b"a\n1\n"))
    assert error(answer) == (507, "no_space")
    assert files_below(person) == 0


@pytest.mark.parametrize(
    ("owner", "step", "trouble", "told"),
    [
        (Transaction, "commit", StoreFull, (507, "no_space")),
        (SessionStore, "begin", StoreUnavailable, (503, "unavailable")),
    ],
    ids=["full", "away before it is asked to keep it"],
)
def test_a_store_that_takes_nothing_keeps_no_file(
    person: Person,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    step: str,
    trouble: type[SiloError],
    told: tuple[int, str],
) -> None:
    person.upload(("old.csv", b"a\n1\n"))
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, Mock(side_effect=trouble))
        answer = person.upload(("new.csv", b"a\n2\n"))
    assert error(answer) == told
    assert person.stored() == [b"a\n1\n"]


@pytest.mark.parametrize("moment", ["while it is written", "after it is written"])
def test_s21_a_reset_while_an_upload_is_on_its_way(
    person: Person, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    person.upload(("old.csv", b"a\n1\n"))
    again = Person(person.app, person.sid)
    save = FileStore.save

    def save_and_reset(store: FileStore, *given: Any) -> str:
        if moment == "while it is written":
            given = (*given[:2], Resets(given[2], again))
        path = save(store, *given)
        if moment == "after it is written":
            assert again.post("/api/reset").status_code == 204
        return path

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "save", save_and_reset)
        answer = person.upload(("new.csv", b"a\n2\n"))
    assert error(answer) == (409, "busy")
    assert answer.json["detail"].startswith("You started over")
    assert person.stored() == []
    assert person.status()["files"] == []
    assert person.upload().status_code == 201


class Resets:
    """A stream during whose reading somebody starts over."""

    def __init__(self, stream: Any, person: Person) -> None:
        self._stream = stream
        self._person = person

    def read(self, size: int = -1) -> bytes:
        assert self._person.post("/api/reset").status_code == 204
        data: bytes = self._stream.read(size)
        return data


def test_two_uploads_at_once_end_with_the_files_of_one(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.upload(("old.csv", b"a\n1\n"))
    again = Person(person.app, person.sid)
    save, times = FileStore.save, [again]

    def save_meanwhile(store: FileStore, *given: Any) -> str:
        path = save(store, *given)
        if times:
            assert times.pop().upload(("second.csv", b"a\n2\n")).status_code == 201
        return path

    monkeypatch.setattr(FileStore, "save", save_meanwhile)
    assert person.upload(("first.csv", b"a\n3\n")).status_code == 201
    assert [file["name"] for file in person.status()["files"]] == ["first.csv"]
    assert person.stored() == [b"a\n3\n"]


def test_a_job_that_starts_while_an_upload_is_on_its_way(
    held: Person, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.open.set()
    held.end()
    gate.open.clear()
    again = Person(held.app, held.sid)
    save = FileStore.save

    def save_and_start(store: FileStore, *given: Any) -> str:
        assert again.process().status_code == 202
        return save(store, *given)

    monkeypatch.setattr(FileStore, "save", save_and_start)
    answer = held.upload(("new.csv", b"a\n2\n"))
    assert error(answer) == (409, "already_running")
    assert answer.json["detail"].startswith("Your files are being processed.")
    assert [file["name"] for file in held.status()["files"]] == ["sales.xlsx"]
    assert len(held.stored()) == 1
