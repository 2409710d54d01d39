"""POST /api/process and /api/cancel, GET /api/progress: one job from its start to its end."""

from __future__ import annotations

import io
import logging
import threading
from http.client import HTTPConnection
from typing import Any

import openpyxl
import pytest
from flask import Flask
from known_step import Options
from openpyxl.worksheet.worksheet import Worksheet
from support import eventually
from werkzeug.serving import make_server

from {{ cookiecutter.package_name }} import views

from . import steps
from .conftest import MakeApp
from .person import SALES, Person, csv_text, error, xlsx

JOB = {
    "id", "status", "attempt", "running", "progress", "message", "logs", "complete", "error",
    "started_at", "finished_at",
}  # fmt: skip
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.fixture
def app(child_app: Flask) -> Flask:
    """Here jobs are what they are in earnest."""
    return child_app


def test_a_job_runs_from_queued_to_complete(person: Person) -> None:
    person.upload()
    answer = person.process()
    assert answer.status_code == 202
    assert set(answer.json) == JOB
    assert (answer.json["status"], answer.json["running"]) == ("queued", True)
    person.end()
    job = person.get("/api/progress").json
    assert set(job) == JOB
    assert job["id"] == answer.json["id"]
    assert (job["status"], job["running"], job["complete"]) == ("complete", False, True)
    assert (job["progress"], job["attempt"], job["error"]) == (100.0, 1, None)
    assert job["started_at"] <= job["finished_at"]


def cells(data: bytes, sheet: str) -> list[list[Any]]:
    """The values of a sheet of a workbook."""
    book = openpyxl.load_workbook(io.BytesIO(data))
    found = book[sheet]
    assert isinstance(found, Worksheet)
    return [list(row) for row in found.iter_rows(values_only=True)]


@pytest.mark.parametrize(
    ("name", "data"), [("sales.xlsx", xlsx(Sales=SALES)), ("sales.csv", csv_text(SALES))]
)
def test_the_workbook_holds_the_numbers_of_the_file(person: Person, name: str, data: bytes) -> None:
    report = person.has_report((name, data))
    assert report["title"] == f"Report on {name}"
    totals = report["tables"][0]
    assert [column["name"] for column in totals["columns"]] == ["Region", "Rows", "Sum of Amount"]
    assert totals["rows"] == [["North", 2, 4.75], ["South", 1, 2]]
    assert totals["row_count"] == 2
    answer = person.get("/api/report.xlsx")
    assert answer.status_code == 200
    assert answer.mimetype == XLSX
    found = cells(answer.data, totals["name"])
    assert [row[:3] for row in found[:3]] == [
        ["Region", "Rows", "Sum of Amount"],
        ["North", 2, 4.75],
        ["South", 1, 2],
    ]


def test_no_body_means_the_default_options(person: Person) -> None:
    person.upload()
    assert person.post("/api/process").status_code == 202
    assert person.status()["options"] == Options().model_dump()


def test_the_options_reach_the_step(person: Person) -> None:
    rows = b"Shop,Town,Sales\nA,X,1\nA,Y,2\nB,X,3\nB,Y,5\n"
    report = person.has_report(("sales.csv", rows), category="Town", largest=1)
    assert report["tables"][0]["rows"] == [["Y", 2, 7], ["X", 2, 4]]
    assert report["tables"][0]["chart"]["limit"] == 1
    assert person.status()["options"] == {"category": "Town", "largest": 1, "hidden": True}


def test_progress_without_a_session_is_idle(person: Person) -> None:
    job = person.get("/api/progress").json
    assert set(job) == JOB
    assert (job["status"], job["id"], job["running"]) == ("idle", None, False)
    assert person.sid == ""


def test_process_before_an_upload(person: Person) -> None:
    assert error(person.process()) == (409, "nothing_uploaded")
    assert person.sid == ""


def test_a_second_start_is_refused_while_the_first_runs(held: Person) -> None:
    first = held.get("/api/progress").json
    assert (first["status"], first["progress"], first["message"]) == ("running", 50.0, "Half done")
    assert first["logs"] == ["First line", "Second line"]
    assert error(held.process(largest=3)) == (409, "already_running")
    assert held.get("/api/progress").json["id"] == first["id"]
    assert held.status()["options"]["largest"] == 10


def test_the_same_files_can_be_processed_again(person: Person) -> None:
    first = person.has_report(largest=1)
    assert person.process(largest=2).status_code == 202
    assert person.end().name == "complete"
    second = person.get("/api/report").json
    assert first["tables"][0]["chart"]["limit"] == 1
    assert second["tables"][0]["chart"]["limit"] == 2


@pytest.fixture
def endless(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody whose job, in a real child process, runs until it is cancelled."""
    monkeypatch.setattr(views, "run", steps.endless)
    person = Person(app)
    person.upload()
    assert person.process().status_code == 202
    eventually(lambda: person.get("/api/progress").json["status"] == "running")
    return person


def test_a_running_job_is_cancelled(endless: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = endless.post("/api/cancel")
    assert answer.status_code == 202
    assert set(answer.json) == JOB
    end = endless.end()
    assert (end.name, end.data["status"], end.data["running"]) == ("cancelled", "cancelled", False)
    assert end.data["error"] is None
    assert error(endless.post("/api/cancel")) == (409, "not_running")
    assert error(endless.get("/api/report")) == (409, "not_ready")
    monkeypatch.undo()
    assert endless.process().status_code == 202
    assert endless.end().name == "complete"


def test_s32_a_reset_stops_the_running_job_and_its_child(endless: Person) -> None:
    jobs = endless.app.extensions["silo"].store.runner.jobs
    job = endless.get("/api/progress").json["id"]
    assert endless.post("/api/reset").status_code == 204
    assert endless.status()["job"]["status"] == "idle"
    ended = eventually(lambda: (record := jobs.read(job)) is None or not record.active)
    assert ended


def test_a_job_is_cancelled_while_it_waits(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "run", steps.endless)
    app = make_app(SILO_WORKERS=1)
    first, second = Person(app), Person(app)
    for person in (first, second):
        person.upload()
    first.process()
    eventually(lambda: first.get("/api/progress").json["status"] == "running")
    assert second.process().json["status"] == "queued"
    answer = second.post("/api/cancel")
    assert (answer.status_code, answer.json["status"]) == (202, "cancelled")
    assert second.end().name == "cancelled"
    assert first.get("/api/progress").json["status"] == "running"
    first.post("/api/cancel")
    assert first.end().name == "cancelled"


def test_cancel_without_a_job(person: Person) -> None:
    assert error(person.post("/api/cancel")) == (409, "not_running")
    person.upload()
    assert error(person.post("/api/cancel")) == (409, "not_running")


def test_s22_a_step_that_kills_its_process_fails_that_job_alone(
    person: Person, other: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(views, "run", steps.crash)
        person.upload()
        person.process()
        end = person.end()
    assert end.name == "failed"
    assert end.data["error"].startswith("Processing crashed on this input")
    assert error(person.get("/api/report")) == (409, "not_ready")
    assert other.has_report()["title"] == "Report on sales.xlsx"


def test_an_unforeseen_error_is_logged_and_not_told(
    person: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(views, "run", steps.mistake)
    person.upload()
    person.process()
    said = person.end().data["error"]
    assert said.startswith("Something went wrong on our side.")
    assert "secret detail" not in said
    reference = said.rstrip(".").rpartition(" ")[2]
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert reference in record.getMessage()
    assert "secret detail of /etc/passwd" in caplog.text


def test_s29_fifty_starts_at_once_start_one_job(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "run", steps.endless)
    person = Person(make_app())
    person.upload()
    server = make_server("127.0.0.1", 0, person.app, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    together = threading.Barrier(50)
    statuses: list[int] = []

    def start() -> None:
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=300)
        together.wait()
        connection.request("POST", "/api/process", headers={"X-Session-ID": person.sid})
        statuses.append(connection.getresponse().status)
        connection.close()

    threads = [threading.Thread(target=start) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.shutdown()
    server.server_close()
    assert sorted(statuses) == [202] + [409] * 49
    assert person.app.extensions["silo"].store.records.count("job") == 1
    person.post("/api/cancel")
    assert person.end().name == "cancelled"
