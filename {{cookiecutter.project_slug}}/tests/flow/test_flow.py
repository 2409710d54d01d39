"""The whole app on each stack, through real servers: from the upload to the end of the session."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterator

import openpyxl
import pytest
from faults.chaos import SMALL, Round
from faults.hosts import Host
from faults.server import Caller
from stacks import STACKS, Stack
from support import Gate, eventually

from {{ cookiecutter.package_name }}.silo.sessions.ids import session_key
from {{ cookiecutter.package_name }}.silo.tasks.job import OWNER_CHARS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the servers are for Linux")

TTL_SECONDS = 10


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate") / "shut")


@pytest.fixture(scope="module", params=STACKS, ids=str)
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, gate: Gate
) -> Iterator[Host]:
    """A machine with the stack. Whatever is done on it leaves no error in its log."""
    stack: Stack = request.param
    own = {"SILO_TTL": TTL_SECONDS, "SILO_CLEANUP_INTERVAL": 0.25, "SILO_WORKERS": 1}
    given = {**stack.settings(), **own, "TESTS_GATE": gate.path}
    host = Host(tmp_path_factory.mktemp("flow"), given)
    try:
        host.start()
        yield host
    finally:
        host.stop()
    assert "Traceback" not in host.server.log
    assert " ERROR " not in host.server.log


@pytest.fixture(scope="module")
def idle(host: Host) -> Caller:
    """Somebody who uploads a file, and then does nothing any more."""
    person = Round(host.server, Caller(host.server.port))
    person.upload(SMALL)
    return person.caller


@pytest.fixture
def person(host: Host, idle: Caller) -> Round:
    return Round(host.server, Caller(host.server.port))


def test_from_the_upload_to_the_download_and_to_the_next_upload(person: Round) -> None:
    person.upload(SMALL)
    [file] = person.ask()["files"]  # type: ignore[misc]  # a list of one
    assert file["sha256"] == hashlib.sha256(SMALL).hexdigest()  # type: ignore[has-type]
    job = person.caller.post("/api/process", json.dumps({"largest": 5}).encode())
    assert job.status == 202
    events = [event for event in person.caller.listen("/api/events") if event.event]
    assert [event.event for event in events if event.event != "progress"] == ["complete"]
    told = [json.loads(event.data)["progress"] for event in events]
    assert told == sorted(told)
    assert told[-1] == 100
    assert person.caller.get("/api/progress").json["status"] == "complete"
    report = person.caller.get("/api/report").json
    assert report["title"] == "Report on orders.csv"
    book = openpyxl.load_workbook(io.BytesIO(person.workbook()))
    rows = [[cell.value for cell in row] for row in book.worksheets[1].iter_rows()]
    assert ["R0", 7, sum(range(0, 200, 30))] in rows
    link = person.caller.post("/api/report/link")
    assert link.status == 201
    stranger = Caller(person.caller.port)
    assert stranger.get(link.json["url"]).body == person.workbook()
    person.upload(SMALL * 2)
    [file] = person.ask()["files"]  # type: ignore[misc]
    assert file["size"] == 2 * len(SMALL)  # type: ignore[has-type]
    assert person.caller.get("/api/report").json["error"] == "not_ready"
    assert stranger.get(link.json["url"]).status == 403


def test_a_job_is_cancelled_and_done_again_and_a_reset_leaves_nothing(
    person: Round, gate: Gate
) -> None:
    gate.shut()
    person.upload(SMALL)
    person.process()
    person.until(lambda job: job["progress"] != 0)
    assert person.caller.post("/api/cancel").status == 202
    person.until(lambda job: job["status"] == "cancelled")
    gate.open()
    assert person.caller.get("/api/report").status == 409
    person.process()
    assert person.ended_well() == "complete, attempt 1"
    person.reset()
    assert person.ask()["files"] == []
    assert person.caller.get("/api/report").status == 409
    assert person.caller.post("/api/process").json["error"] == "nothing_uploaded"


def test_who_does_nothing_for_a_while_is_told_so(host: Host, idle: Caller) -> None:
    said = f"session {session_key(str(idle.sid))[:OWNER_CHARS]} has expired"
    eventually(lambda: said in host.server.log, TTL_SECONDS + 60)
    for answer in (idle.get("/api/report"), idle.post("/api/process"), idle.get("/api/events")):
        assert answer.status == 410
        assert answer.json["error"] == "session_expired"
    assert idle.upload("orders.csv", SMALL).status == 201
