"""The page, and the calls that say how things stand or begin them anew."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from known_step import Options
from support import Clock

from {{ cookiecutter.package_name }}.about import TITLE
from {{ cookiecutter.package_name }}.silo.files.local import LocalPlace

from .conftest import MakeApp
from .person import Person, error

NOBODY: dict[str, Any] = {
    "session": "none",
    "files": [],
    "options": None,
    "job": None,
    "review": None,
    "expires_in": None,
}


def test_the_page_is_served(person: Person) -> None:
    answer = person.get("/")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert f"<title>{TITLE}</title>" in answer.text
    assert person.sid == ""


def test_the_options_are_told_as_a_schema(person: Person) -> None:
    assert person.get("/api/options").json == Options.model_json_schema()
    assert person.sid == ""


def test_the_status_of_somebody_without_a_session(person: Person) -> None:
    assert person.status() == NOBODY
    assert person.sid == ""


def test_the_status_follows_the_work(person: Person) -> None:
    uploaded = person.upload().json["files"]
    status = person.status()
    assert status["session"] == "live"
    assert status["files"] == uploaded
    assert (status["options"], status["job"]["status"]) == (None, "idle")
    assert status["expires_in"] == pytest.approx(3600, abs=2)
    person.process(largest=3)
    person.end()
    status = person.status()
    assert status["options"] == {"category": "", "largest": 3, "hidden": True}
    assert status["job"] == person.get("/api/progress").json


def test_reset_begins_anew_under_the_same_id(person: Person) -> None:
    person.has_report()
    sid = person.sid
    answer = person.post("/api/reset")
    assert (answer.status_code, answer.data) == (204, b"")
    status = person.status()
    assert (status["session"], status["files"], status["options"]) == ("live", [], None)
    assert status["job"]["status"] == "idle"
    assert person.stored() == []
    assert error(person.process()) == (409, "nothing_uploaded")
    assert person.has_report()["title"] == "Report on sales.xlsx"
    assert person.sid == sid


def test_reset_without_a_session_begins_none(person: Person) -> None:
    assert person.post("/api/reset").status_code == 204
    assert person.sid == ""


def test_the_server_is_well(person: Person) -> None:
    for path in ("/healthz", "/readyz"):
        answer = person.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_the_server_is_not_ready_without_its_disk(make_app: MakeApp, tmp_path: Path) -> None:
    person = Person(make_app(SILO_STORE_URL="memory://"))
    shutil.rmtree(tmp_path / "instance")
    answer = person.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "unavailable"})
    assert int(answer.headers["Retry-After"]) > 0
    assert person.get("/healthz").status_code == 200


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk here")
def test_the_server_is_not_ready_with_a_full_disk(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(make_app(SILO_MIN_FREE_MB=10))
    assert person.get("/readyz").status_code == 200
    with monkeypatch.context() as full:
        full.setattr(LocalPlace, "free", lambda _: 10 * 2**20 - 1)
        assert person.get("/readyz").status_code == 503
    with monkeypatch.context() as full, Path("/dev/full").open("wb", 0) as device:
        full.setattr(tempfile, "TemporaryFile", lambda **_: device)
        assert person.get("/readyz").status_code == 503
    assert person.get("/readyz").status_code == 200


def test_state_and_reports_outlive_the_server(make_app: MakeApp, clock: Clock) -> None:
    before = Person(make_app())
    report = before.has_report()
    before.app.extensions["silo"].stop()
    after = Person(make_app(), before.sid)
    assert after.status()["session"] == "live"
    assert after.get("/api/report").json == report


def test_an_unknown_address_and_a_wrong_method(app: Flask) -> None:
    person = Person(app)
    assert error(person.get("/api/nothing")) == (404, "not_found")
    assert error(person.get("/static/nothing.js")) == (404, "not_found")
    assert error(person.get("/static/../config.py")) == (404, "not_found")
    assert error(person.get("/static/%2e%2e/config.py")) == (404, "not_found")
    answer = person.get("/api/upload")
    assert error(answer) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    for method in ("PUT", "PATCH", "DELETE"):
        assert error(person.call(method, "/api/process")) == (405, "method_not_allowed")


def test_options_come_in_the_order_in_which_the_step_declares_them(app: Flask) -> None:
    schema = app.test_client().get("/api/options").json
    assert schema
    assert list(schema["properties"]) == list(Options.model_fields)
