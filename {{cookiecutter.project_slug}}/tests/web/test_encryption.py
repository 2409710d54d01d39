"""Encryption at rest: people notice nothing of it, and nobody else reads what they sent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from backends import KEY, OTHER_KEY
from flask import Flask

from {{ cookiecutter.package_name }}.shelf import json_name, workbook_name
from {{ cookiecutter.package_name }}.silo.files.sealing import HEAD_BYTES

from .conftest import MakeApp
from .person import Person, csv_text, error
from .test_resumable import DATA, Sender

MARKER = b"Nobody-else-may-read-this"
SALES = ("sales.csv", csv_text([["Region", "Amount"], [MARKER.decode(), 1], ["South", 2]]))
SENTENCE = "A stored file can no longer be read. Upload your files again."


@pytest.fixture(params=["thread", "process"])
def sealed(make_app: MakeApp, request: pytest.FixtureRequest) -> Flask:
    """An app that encrypts, with each of the two runners."""
    return make_app(SILO_ENCRYPTION_KEY=KEY, SILO_RUNNER=request.param, SILO_CACHE_TTL=3600)


@pytest.fixture
def threaded(make_app: MakeApp) -> Flask:
    return make_app(SILO_ENCRYPTION_KEY=KEY, SILO_RUNNER="thread")


def data_of(app: Flask) -> Path:
    folder: Path = app.config["SETTINGS"].silo_data_dir
    return folder


def files_of(app: Flask) -> Iterator[tuple[Path, bytes]]:
    """Whatever lies in the data directory."""
    for path in data_of(app).rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def damage(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def report_file(person: Person, kind: str = "xlsx") -> Path:
    """Where a person's report is stored."""
    job = person.status()["job"]["id"]
    name = workbook_name(job) if kind == "xlsx" else json_name(job)
    return Path(person.app.extensions["silo"].file_store("files").get_path(person.sid, name))


def test_from_upload_to_download_it_is_as_ever_and_nothing_is_plain_on_disk(
    sealed: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    person = Person(sealed)
    report = person.has_report(SALES)
    assert MARKER.decode() in str(report)
    whole = person.get("/api/report.xlsx")
    assert whole.data.startswith(b"PK\x03\x04")
    again = Person(sealed)
    assert MARKER.decode() in str(again.has_report(SALES))
    assert again.get("/api/progress").json["message"] == "Done, from the cache"
    sealed.extensions["silo"].stop()  # what its jobs had for themselves is gone
    kept = list(files_of(sealed))
    assert len([path for path, _ in kept if path.suffix == ".sealed"]) == 2 * 3 + 1
    for path, data in kept:
        assert MARKER not in data, path
        assert b"PK\x03\x04" not in data, path
        assert KEY.encode() not in data, path
    assert KEY not in caplog.text
    assert not list(data_of(sealed).glob("scratch/*/*"))


def test_a_download_in_ranges_is_the_same_bytes(sealed: Flask) -> None:
    person = Person(sealed)
    person.has_report(SALES)
    whole = person.get("/api/report.xlsx")
    size, tag = len(whole.data), whole.headers["ETag"]
    assert whole.headers["Accept-Ranges"] == "bytes"
    for said, begin, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-1999", 10, 2000),
        ("bytes=1000-", 1000, size),
        ("bytes=-7", size - 7, size),
    ):
        part = person.get("/api/report.xlsx", headers={"Range": said, "If-Range": tag})
        assert (part.status_code, part.data) == (206, whole.data[begin:end])
        assert part.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
    other = {"Range": "bytes=0-0", "If-Range": '"another"'}
    assert person.get("/api/report.xlsx", headers=other).data == whole.data
    assert person.get("/api/report.xlsx", headers={"Range": f"bytes={size}-"}).status_code == 416
    assert person.get("/api/report.xlsx", headers={"If-None-Match": tag}).status_code == 304
    head = person.call("HEAD", "/api/report.xlsx")
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(size))


@pytest.mark.parametrize("kind", ["xlsx", "json"])
def test_a_report_that_was_cut_is_an_error_and_no_download(threaded: Flask, kind: str) -> None:
    person = Person(threaded)
    person.has_report(SALES)
    path = report_file(person, kind)
    path.write_bytes(path.read_bytes()[:-1])
    answer = person.get("/api/report.xlsx" if kind == "xlsx" else "/api/report")
    assert error(answer) == (500, "unreadable_file")
    assert answer.json["detail"] == SENTENCE


def test_a_damaged_upload_fails_its_job_with_a_sentence_that_the_log_explains(
    sealed: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    person = Person(sealed)
    [stored] = person.upload(SALES).json["files"]
    files = sealed.extensions["silo"].file_store("files")
    damage(Path(files.get_path(person.sid, stored["id"])), HEAD_BYTES + 50)
    person.process()
    end = person.end()
    assert (end.name, end.data["error"]) == ("failed", SENTENCE)
    assert "what begins at byte 0 is damaged" in caplog.text
    assert person.has_report(SALES)


def test_a_part_whose_end_is_damaged_goes_on_before_that(threaded: Flask) -> None:
    sender = Sender(threaded)
    upload, half = sender.created(), len(DATA) // 2
    sender.append(upload, 0, DATA[:half])
    sender.append(upload, half, DATA[half:-1])
    [part] = data_of(threaded).rglob("*.part")
    damage(part, -1)
    assert sender.offset(upload) == half
    assert sender.append(upload, half, DATA[half:], complete=True).status_code == 200
    assert sender.take(upload).status_code == 201
    assert sender.stored() == [DATA]


def test_a_part_that_is_damaged_in_its_midst_is_gone_once_that_shows(threaded: Flask) -> None:
    sender = Sender(threaded)
    upload, half = sender.created(), len(DATA) // 2
    sender.append(upload, 0, DATA[:half])
    sender.append(upload, half, DATA[half:-1])
    [part] = data_of(threaded).rglob("*.part")
    damage(part, HEAD_BYTES + 50)
    answer = sender.append(upload, len(DATA) - 1, DATA[-1:], complete=True)
    assert error(answer) == (500, "unreadable_file")
    assert sender.ask(upload).status_code == 404
    assert list(data_of(threaded).rglob("*.part")) == []


def test_a_part_that_was_cut_after_its_end_came_is_not_taken_for_whole(threaded: Flask) -> None:
    sender = Sender(threaded)
    upload = sender.created()
    sender.append(upload, 0, DATA[:-1])
    [part] = data_of(threaded).rglob("*.part")
    size = part.stat().st_size
    assert sender.append(upload, len(DATA) - 1, DATA[-1:], complete=True).status_code == 200
    os.truncate(part, size)
    assert error(sender.take(upload)) == (500, "unreadable_file")
    assert sender.status()["files"] == []


def restarted(make_app: MakeApp, person: Person, key: str) -> Person:
    """The same person after a restart with other keys."""
    person.app.extensions["silo"].stop()
    return Person(make_app(SILO_ENCRYPTION_KEY=key), person.sid)


def test_the_key_is_changed_without_losing_a_session(make_app: MakeApp) -> None:
    person = Person(make_app(SILO_ENCRYPTION_KEY=KEY))
    person.has_report(SALES)
    whole = person.get("/api/report.xlsx").data
    moved = restarted(make_app, person, f"{OTHER_KEY},{KEY}")
    assert moved.get("/api/report.xlsx").data == whole
    moved.process()
    assert moved.end().name == "complete"
    dropped = restarted(make_app, moved, OTHER_KEY)
    assert dropped.get("/api/report.xlsx").data.startswith(b"PK")
    dropped.process()
    assert dropped.end().data["error"] == SENTENCE
    dropped.has_report(SALES)


def test_when_encryption_is_turned_off_nothing_encrypted_is_given_away(make_app: MakeApp) -> None:
    person = Person(make_app(SILO_ENCRYPTION_KEY=KEY, SILO_RUNNER="thread"))
    person.has_report(SALES)
    plain = Person(make_app(SILO_RUNNER="thread"), person.sid)
    assert error(plain.get("/api/report.xlsx")) == (409, "not_ready")
    plain.has_report(SALES)
