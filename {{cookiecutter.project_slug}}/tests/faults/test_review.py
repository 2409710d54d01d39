"""`kill -9` while a person reviews: what they have corrected is there, and becomes the report."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import stand_in

from {{ cookiecutter.package_name }} import __name__ as package

from .chaos import Round
from .server import Caller, Server

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes are found in /proc"
)
PAGE = Path(__file__).parents[2] / "docs" / "customising.md"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server whose step is the one with a review that the docs show."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    [step] = (text for text in blocks if "def finish(" in text)
    (tmp_path / "step").mkdir()
    (tmp_path / "step" / "known_step.py").write_text(step.replace("from .", f"from {package}."))
    path = os.pathsep.join([str(tmp_path / "step"), stand_in.FOLDER, stand_in.shipped_path()])
    server = Server(tmp_path / "data", SILO_LEASE=8, PYTHONPATH=path)
    server.start()
    yield server
    server.stop()


def test_a_kill_between_an_edit_and_the_report_loses_neither(server: Server) -> None:
    round_ = Round(server, Caller(server.port))
    round_.upload(b"Payee,Amount\nRail,20\nKiosk,3\n")
    round_.process()
    round_.until(lambda job: job["status"] == "complete")
    edit = {"row": 1, "column": "Category", "value": "Food", "was": None}
    body = json.dumps({"edits": [edit]}).encode()
    kind = {"Content-Type": "application/json"}
    assert round_.caller.call("PATCH", "/api/review", body, kind).status == 200
    server.kill(*server.everyone())
    server.ensure_up()
    found = round_.caller.get("/api/review").json
    assert found["rows"] == [["Rail", 20, "Travel"], ["Kiosk", 3, "Food"]]
    assert round_.caller.post("/api/finish").status == 202
    server.kill(*server.everyone())
    server.ensure_up()
    assert round_.ended_well().startswith("complete, attempt")
    [table] = round_.caller.get("/api/report").json["tables"]
    assert table["rows"] == found["rows"]
