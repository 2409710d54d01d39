"""Reports from the cache: made once for the same files and options, and told as such."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support import Clock

from {{ cookiecutter.package_name }} import cache
from {{ cookiecutter.package_name }}.jobs import REUSED
from {{ cookiecutter.package_name }}.silo.sessions.ids import session_key

from .conftest import MakeApp
from .person import Person

FILE = ("sales.csv", b"Region,Amount\nNorth,1\nSouth,2\n")
FROM_CACHE = "Done, from the cache"


@pytest.fixture(params=["thread", "process"])
def app(make_app: MakeApp, request: pytest.FixtureRequest) -> Flask:
    """An app that keeps reports for an hour, with each of the two runners."""
    return make_app(SILO_RUNNER=request.param, SILO_CACHE_TTL=3600)


def make(
    app: Flask, *files: tuple[str, bytes], **options: Any
) -> tuple[str, dict[str, Any], bytes]:
    """What somebody new gets: the job's last message, the report, the workbook."""
    person = Person(app)
    report = person.has_report(*files or [FILE], **options)
    message = person.get("/api/progress").json["message"]
    return message, report, person.get("/api/report.xlsx").data


def objects(app: Flask) -> list[Path]:
    """What lies in the cache."""
    folder = Path(app.config["SETTINGS"].files_url) / "cache"
    return [path for path in folder.glob("*") if path.suffix != ".label"]


def test_the_same_report_is_made_once_and_says_so(app: Flask) -> None:
    first, again = make(app), make(app)
    assert (first[0], again[0]) == ("Done", FROM_CACHE)
    assert again[2] == first[2]
    assert again[1]["notes"] == [*first[1]["notes"], REUSED]
    assert {**again[1], "notes": []} == {**first[1], "notes": []}
    assert make(app)[1] == again[1]
    assert len(objects(app)) == 1


@pytest.mark.parametrize(
    ("files", "options"),
    [
        ([("sales.csv", FILE[1] + b"West,3\n")], {}),
        ([("other.csv", FILE[1])], {}),
        ([FILE, FILE], {}),
        ([FILE], {"largest": 3}),
    ],
)
def test_another_file_name_or_option_is_another_report(
    make_app: MakeApp, files: list[tuple[str, bytes]], options: dict[str, Any]
) -> None:
    app = make_app(SILO_RUNNER="thread", SILO_CACHE_TTL=3600)
    make(app)
    message, report, _ = make(app, *files, **options)
    assert message == "Done"
    assert REUSED not in report["notes"]
    assert len(objects(app)) == 2


def test_another_version_of_the_step_makes_it_anew(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(SILO_RUNNER="thread", SILO_CACHE_TTL=3600)
    make(app)
    monkeypatch.setattr(cache, "STEP_VERSION", "another")
    assert make(app)[0] == "Done"
    assert make(app)[0] == FROM_CACHE


@pytest.mark.parametrize("runner", ["thread", "process"])
def test_it_is_off_by_default(make_app: MakeApp, runner: str) -> None:
    app = make_app(SILO_RUNNER=runner)
    assert [make(app)[0] for _ in range(2)] == ["Done", "Done"]
    assert objects(app) == []


def test_a_damaged_object_is_made_anew(app: Flask) -> None:
    first = make(app)
    [path] = objects(app)
    path.write_bytes(path.read_bytes()[:-10])
    again = make(app)
    assert again[0] == "Done"
    assert again[1] == first[1]
    assert make(app)[0] == FROM_CACHE


def test_it_outlives_the_session_and_holds_nothing_of_it(app: Flask) -> None:
    person = Person(app)
    person.has_report(FILE)
    status = person.status()
    job, file = status["job"]["id"], status["files"][0]["id"]
    [path] = objects(app)
    secrets = [person.sid, person.sid.partition(".")[0], session_key(person.sid), job, file]
    data = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as workbook:
        parts = [workbook.read(name) for name in workbook.namelist()]
    assert len(parts) > 5
    for text in (
        *parts,
        data,
        path.name.encode(),
        path.with_name(f"{path.name}.label").read_bytes(),
    ):
        assert not [secret for secret in secrets if secret.encode() in text]
    assert person.post("/api/reset").status_code == 204
    assert make(app)[0] == FROM_CACHE


def test_a_job_that_fails_is_not_kept(app: Flask) -> None:
    person = Person(app)
    person.upload(FILE)
    person.process(category="Nowhere")
    assert person.end().name == "failed"
    assert objects(app) == []


@pytest.mark.parametrize("runner", ["thread", "process"])
def test_s33_the_cleanup_removes_what_has_expired_by_the_apps_clock(
    make_app: MakeApp, clock: Clock, runner: str
) -> None:
    app = make_app(SILO_RUNNER=runner, SILO_CACHE_TTL=600)
    make(app)
    clock.advance(590)
    assert make(app)[0] == FROM_CACHE
    app.extensions["silo"].store.cleanup()
    assert len(objects(app)) == 1
    clock.advance(4000)
    app.extensions["silo"].store.cleanup()
    assert objects(app) == []
