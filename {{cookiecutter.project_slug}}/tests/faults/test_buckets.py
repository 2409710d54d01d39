"""The real server with its files in a real bucket, which goes away and comes back."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from servers.ports import free_port
from servers.swift import PASSWORD, Swift
from support import eventually
from werkzeug.http import parse_options_header

from {{ cookiecutter.package_name }} import __name__ as package
from {{ cookiecutter.package_name }}.client import Client

from .server import Answer, Caller, Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SALES = b"Region,Amount\nNorth,1\nSouth,2\n"
LARGE = b"Region,Amount\n" + (b"North" * 200 + b",1\n") * 6000
"""Of more than one piece."""


def settings(swift: Swift, prefix: str, **more: object) -> dict[str, Any]:
    url = f"s3://{swift.bucket}/{prefix}"
    return {"SILO_FILES_URL": url, "SILO_FILES_ENDPOINT": swift.endpoint, **more}


either = pytest.mark.parametrize(
    "server", [False, True], ids=["streamed", "by links"], indirect=True, scope="module"
)


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, swift: Swift, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Two web workers and one job at a time; reports are streamed, unless a test says otherwise."""
    folder, links = tmp_path_factory.mktemp("buckets"), getattr(request, "param", False)
    given = settings(swift, folder.name, SILO_FILES_LINKS=links, SILO_WORKERS=1)
    server = Server(folder / "data", **given)
    server.start()
    yield server
    assert server.stop() == 0


@pytest.fixture
def caller(server: Server) -> Caller:
    return Caller(server.port)


def finished(caller: Caller, seconds: float = 60) -> dict[str, Any]:
    """How the job stands once it has ended."""
    return eventually(lambda: ended(caller), seconds)


def ended(caller: Caller) -> dict[str, Any]:
    job: dict[str, Any] = caller.get("/api/progress").json
    return {} if job["running"] else job


def refused(answer: Answer) -> None:
    assert (answer.status, answer.json["error"]) == (503, "files_unavailable"), answer.body
    assert answer.json["detail"] == "The file storage does not answer. Try again in a moment."
    assert int(answer.headers["Retry-After"]) > 0


def fetched(answer: Answer) -> tuple[bytes, str]:
    """The bytes and their name, from wherever they are."""
    if answer.status == 307:
        assert answer.body == b""
        with urllib.request.urlopen(answer.headers["Location"]) as there:
            body, head = there.read(), there.headers["Content-Disposition"]
    else:
        body, head = answer.body, answer.headers["Content-Disposition"]
    return body, parse_options_header(head)[1]["filename"]


@either
def test_from_an_upload_to_a_report_and_nothing_is_left(server: Server, caller: Caller) -> None:
    assert caller.upload("säles.csv", SALES).status == 201
    assert caller.post("/api/process").status == 202
    assert finished(caller)["status"] == "complete"
    answer = caller.get("/api/report.xlsx")
    assert answer.status == (307 if server._settings["SILO_FILES_LINKS"] == "True" else 200)
    body, name = fetched(answer)
    assert name == "säles report.xlsx"
    assert body.startswith(b"PK")
    link = caller.post("/api/report/link").json["url"]
    assert fetched(Caller(server.port).get(link)) == (body, name)
    head = caller.call("HEAD", "/api/report.xlsx")
    assert (head.status, int(head.headers["Content-Length"])) == (200, len(body))
    assert caller.get("/api/report.zip").body.startswith(b"PK")
    assert caller.post("/api/reset").status == 204
    assert Caller(server.port).get(link).status == 403
    assert caller.get("/api/report.xlsx").status == 409
    if answer.status == 307:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(answer.headers["Location"])


@either
def test_the_client_library_works_with_either(server: Server, tmp_path: Path) -> None:
    sales = tmp_path / "sales.csv"
    sales.write_bytes(SALES)
    with Client(f"http://127.0.0.1:{server.port}") as client:
        client.upload(sales)
        client.process()
        client.wait()
        saved = client.download(tmp_path / "mine.xlsx")
        client.reset()
    assert load_workbook(saved).sheetnames[0] == "Summary"


def test_an_upload_in_pieces_outlives_the_server(server: Server, caller: Caller) -> None:
    upload = caller.create("sales.csv", len(LARGE))
    with caller.append_in_part(upload, LARGE, 5 * 2**20):
        caller.wait_offset(upload, 1)
        server.kill(server.master)
    server.start()
    offset = caller.offset(upload)
    assert 0 < offset <= 5 * 2**20
    assert caller.append(upload, offset, LARGE[offset:]).status == 200
    assert caller.post("/api/upload", b'{"uploads": ["%s"]}' % upload[-32:].encode()).status == 201
    assert caller.post("/api/process").status == 202
    assert finished(caller)["status"] == "complete"
    assert caller.post("/api/reset").status == 204


def test_s34_a_bucket_that_is_gone_for_a_while_costs_nothing(
    server: Server, caller: Caller, swift: Swift
) -> None:
    """Who asks is told, a job waits, and all is there when the bucket is."""
    assert caller.upload("sales.csv", SALES).status == 201
    assert caller.post("/api/process").status == 202
    assert finished(caller)["status"] == "complete"
    body, _ = fetched(caller.get("/api/report.xlsx"))
    waiting = Caller(server.port)
    assert waiting.upload("sales.csv", SALES).status == 201
    upload = waiting.create("more.csv", len(LARGE))
    with swift.away():
        assert waiting.post("/api/process").status == 202
        eventually(lambda: "trying again" in waiting.get("/api/progress").json["message"])
        refused(caller.get("/api/report.xlsx"))
        refused(caller.get("/api/report"))
        refused(caller.upload("other.csv", SALES))
        refused(waiting.append(upload, 0, LARGE))
        assert caller.get("/api/status").json["files"][0]["name"] == "sales.csv"
        assert caller.get("/readyz").status == 200
    job = finished(waiting)
    assert (job["status"], job["error"]) == ("complete", None)
    assert job["attempt"] > 1
    assert fetched(caller.get("/api/report.xlsx"))[0] == body
    assert waiting.append(upload, waiting.offset(upload), LARGE).status == 200
    for each in (caller, waiting):
        assert each.post("/api/reset").status == 204


def test_s34_a_reset_while_the_bucket_is_gone_is_made_good_by_the_next_try(
    caller: Caller, swift: Swift
) -> None:
    assert caller.upload("sales.csv", SALES).status == 201
    with swift.away():
        refused(caller.post("/api/reset"))
    assert caller.post("/api/reset").status == 204
    assert caller.get("/api/status").json["files"] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "a-wrong-secret"}, "the bucket refuses these credentials"),
        ({"SILO_FILES_URL": "s3://another/app"}, "there is no such bucket"),
        ({"SILO_FILES_ENDPOINT": "http://127.0.0.1:9"}, "the bucket does not answer"),
    ],
)
def test_a_bucket_that_cannot_be_used_stops_the_start_with_a_sentence(
    swift: Swift, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    given = settings(swift, tmp_path.name, SILO_DATA_DIR=str(tmp_path / "data")) | change
    asked = subprocess.run(
        [sys.executable, "-m", f"{package}.cli", "serve", f"--port={free_port()}"],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert asked.returncode == 1
    [line] = asked.stderr.splitlines()
    assert line.startswith(f"Error: SILO_FILES_URL is '{given['SILO_FILES_URL']}")
    assert line.endswith(f": {said}.")
    assert PASSWORD not in asked.stderr
    assert "a-wrong-secret" not in asked.stderr
