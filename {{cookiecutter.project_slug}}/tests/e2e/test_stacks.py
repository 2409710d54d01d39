"""What a visitor sees is the same on every stack, be it one machine or many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
from faults.hosts import Host
from stacks import LARGE, MIDDLE, PLAIN, Stack
from support import Gate

from .conftest import Arrives
from .visitor import csv


@pytest.fixture(params=[PLAIN, MIDDLE, LARGE], ids=str)
def stacked(request: pytest.FixtureRequest, tmp_path: Path, gate: Gate) -> Iterator[Host]:
    """A server on a stack, and its worker if it has one."""
    stack: Stack = request.param
    host = Host(tmp_path, {**stack.settings(), "SILO_WORKERS": 1, "TESTS_GATE": gate.path})
    try:
        host.start()
        yield host
    finally:
        host.stop()


def test_upload_watch_and_download(
    arrives: Arrives, stacked: Host, gate: Gate, tmp_path: Path
) -> None:
    gate.shut()
    visitor = arrives(f"http://127.0.0.1:{stacked.server.port}/")
    visitor.upload(csv(rows=20_000))
    visitor.press("Make the report")
    visitor.reads("Waiting at the gate")
    gate.open()
    visitor.sees("done")
    assert visitor.heading().inner_text() == "Report on sales.csv"
    visitor.download().save_as(tmp_path / "report.xlsx")
    book = openpyxl.load_workbook(tmp_path / "report.xlsx")
    rows = [[cell.value for cell in row] for row in book.worksheets[1].iter_rows()]
    assert ["North", 20_000, sum(range(20_000))] in rows
    visitor.page.reload()
    visitor.sees("done")
    visitor.press("Start over")
    visitor.sees("empty")
