"""What a report has besides its workbook: files of its own, and all of it as a zip."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import known_step
import pytest
from openpyxl import load_workbook
from support import Clock

from {{ cookiecutter.package_name }} import views
from {{ cookiecutter.package_name }}.step import Accepts

from . import steps
from .conftest import MakeApp
from .person import Person, error, xlsx

SAME = ("sales.csv", b"Region,Amount\nNorth,1\n")


@pytest.fixture
def owner(person: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody whose report has two files."""
    monkeypatch.setattr(views, "run", steps.attach)
    person.has_report()
    return person


def zipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def link(person: Person, file: Any = None) -> str:
    body = {} if file is None else {"file": file}
    url = person.post("/api/report/link", json=body).json["url"]
    assert isinstance(url, str)
    return url


def test_a_report_names_its_files(owner: Person) -> None:
    report = owner.get("/api/report").json
    assert report["workbook"]
    assert report["files"] == [
        {"name": "raw/one.csv", "size": 3},
        {"name": "Ü two.bin", "size": 100_000},
    ]


@pytest.mark.parametrize("by_link", [False, True])
def test_a_file_is_downloaded_by_itself(owner: Person, by_link: bool) -> None:
    paths = [link(owner, str(n)) if by_link else f"/api/report/files/{n}" for n in (0, 1)]
    whoever = Person(owner.app) if by_link else owner
    one, two = (whoever.get(path) for path in paths)
    assert (one.data, two.data) == (b"one", b"2" * 100_000)
    assert one.headers["Content-Disposition"] == "attachment; filename=one.csv"
    assert "filename*=UTF-8''%C3%9C%20two.bin" in two.headers["Content-Disposition"]
    assert one.mimetype == "application/octet-stream"
    part = whoever.get(paths[1], headers={"Range": "bytes=99990-"})
    assert (part.status_code, part.data) == (206, b"2" * 10)


@pytest.mark.parametrize("by_link", [False, True])
def test_all_of_it_is_one_archive(owner: Person, by_link: bool) -> None:
    answer = Person(owner.app).get(link(owner, "all")) if by_link else owner.get("/api/report.zip")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sales report.zip"'
    found = zipped(answer.data)
    assert list(found) == ["sales report.xlsx", "one.csv", "Ü two.bin"]
    assert found["one.csv"] == b"one"
    assert load_workbook(io.BytesIO(found["sales report.xlsx"])).sheetnames == ["Summary", "T"]


def test_s04_a_link_is_for_one_file_and_no_other(owner: Person, clock: Clock) -> None:
    url = link(owner, "1")
    _, _, token = url.partition("?")
    for path in ("/api/report.xlsx", "/api/report.zip", "/api/report/files/0"):
        assert error(owner.get(f"{path}?{token}")) == (403, "forbidden_link")
    assert owner.get(url).status_code == 200
    clock.advance(61)
    assert error(owner.get(url)) == (403, "forbidden_link")


def test_a_link_without_a_word_is_for_the_workbook(owner: Person) -> None:
    assert link(owner).startswith("/api/report.xlsx?")
    assert owner.post("/api/report/link").json["url"].startswith("/api/report.xlsx?")


def test_what_is_not_attached_is_not_there(owner: Person) -> None:
    assert error(owner.get("/api/report/files/2")) == (404, "no_such_file")
    assert error(owner.post("/api/report/link", json={"file": "2"})) == (404, "no_such_file")
    for wrong in ("00", "-1", "report", "", 1, None, "10000"):
        answer = owner.post("/api/report/link", json={"file": wrong})
        assert error(answer) == (422, "invalid_options"), wrong
    assert error(owner.post("/api/report/link", data=b"{")) == (400, "bad_request")


def test_without_a_report_there_is_nothing_to_take(person: Person) -> None:
    person.upload()
    for path in ("/api/report/files/0", "/api/report.zip"):
        assert error(person.get(path)) == (409, "not_ready")


def test_another_s_files_are_not_there(owner: Person, other: Person) -> None:
    other.upload()
    for path in ("/api/report/files/0", "/api/report.zip"):
        assert error(other.get(path)) == (409, "not_ready")


def test_files_go_with_the_report(owner: Person) -> None:
    assert len(owner.stored()) == 5
    owner.upload()
    assert len(owner.stored()) == 1
    owner.post("/api/reset")
    assert owner.stored() == []


@pytest.mark.parametrize("path", ["/api/report/files/0", "/api/report.zip"])
def test_after_expiry_they_are_gone(owner: Person, clock: Clock, path: str) -> None:
    clock.advance(4000)
    assert error(owner.get(path)) == (410, "session_expired")


def test_a_step_may_return_only_a_file(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "run", steps.only_file)
    report = person.has_report()
    assert (report["title"], report["workbook"], report["tables"]) == ("plan.pdf", False, [])
    assert person.get("/api/report/files/0").data == b"%PDF"
    assert zipped(person.get("/api/report.zip").data) == {"plan.pdf": b"%PDF"}
    assert error(person.get("/api/report.xlsx")) == (404, "no_such_file")
    assert error(person.post("/api/report/link")) == (404, "no_such_file")


def test_a_cached_report_has_its_files(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "run", steps.attach)
    app = make_app(SILO_CACHE_TTL=60)
    first, second = Person(app), Person(app)
    first.has_report(SAME)
    monkeypatch.setattr(views, "run", steps.only_file)
    report = second.has_report(SAME)
    assert "made before" in report["notes"][-1]
    assert zipped(second.get("/api/report.zip").data) == zipped(first.get("/api/report.zip").data)


# Which files the step takes


@pytest.fixture
def pickily(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_step, "ACCEPTS", Accepts((".csv", ".txt"), least=2, most=2))


def test_samples_that_are_refused_are_not_offered(
    person: Person, samples: list[Path], request: pytest.FixtureRequest
) -> None:
    offer = 'data-do="sample"'
    assert samples
    assert offer in person.get("/").text
    request.getfixturevalue("pickily")
    assert offer not in person.get("/").text


@pytest.mark.usefixtures("pickily")
def test_files_of_other_types_are_refused(person: Person) -> None:
    answer = person.upload(("a.xlsx", xlsx(S=[["a"]])), ("b.csv", b"a\n"))
    assert error(answer) == (415, "unsupported_type")
    assert answer.json["detail"] == (
        "a.xlsx is not a type that can be read. Choose a file that ends in .csv or .txt."
    )
    assert person.upload(("a.txt", b"any text"), ("b.csv", b"a\n")).status_code == 201
    named = {"Content-Disposition": "attachment; filename=a.xlsx"}
    told = {"Upload-Complete": "?0", "Upload-Length": "5"}
    begun = person.post("/api/uploads", headers={**named, **told})
    assert error(begun) == (415, "unsupported_type")


@pytest.mark.usefixtures("pickily")
def test_another_number_of_files_is_refused(person: Person) -> None:
    answer = person.upload(("a.csv", b"a\n"))
    assert error(answer) == (422, "file_count")
    assert answer.json["detail"] == "Choose exactly 2 files."
    ids = person.post("/api/upload", json={"uploads": ["a", "b", "c"]})
    assert error(ids) == (422, "file_count")


@pytest.mark.usefixtures("pickily")
def test_the_page_asks_for_what_the_step_takes(person: Person) -> None:
    page = person.get("/").text
    assert 'accept=".csv,.txt"' in page
    assert "Exactly 2 files: csv, txt" in page
    assert 'data-least="2" data-most="2"' in page
