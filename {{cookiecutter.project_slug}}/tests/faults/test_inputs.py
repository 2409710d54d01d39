"""The files of `SILO_SAMPLE_INPUTS`, each sent to a live server: every runner survives them all."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .fuzz import end_of
from .server import Caller, Server

SAMPLES = os.environ.get("SILO_SAMPLE_INPUTS", "")
GROWN_MB = 60
"""What a web process may grow by, whatever a file does to the child that reads it."""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.skipif(not SAMPLES, reason="SILO_SAMPLE_INPUTS names no folder of sample files"),
]


def manifest() -> list[tuple[str, set[str]]]:
    """Each file, and the classes of answer that are right for it."""
    path = Path(SAMPLES, "MANIFEST.csv")
    if not SAMPLES or not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["path"], {row["expected"], row["also_acceptable"]} - {""}) for row in rows]


@pytest.fixture(scope="module", params=["process", "thread"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param)
    server = Server(folder / "data", workers=1, SILO_RUNNER=request.param)
    server.start()
    Caller(server.port).upload("first.csv", b"a,b\n1,2\n")
    yield server
    assert server.stop() == 0


def resident(pid: int) -> float:
    """The memory that a process holds, in MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


@pytest.mark.parametrize(("name", "accepted"), manifest())
def test_s22_every_input_ends_in_its_class_and_the_server_lives(
    server: Server, name: str, accepted: set[str]
) -> None:
    [worker] = server.workers()
    before = resident(worker)
    told = end_of(Caller(server.port), Path(SAMPLES, name))
    end, _, sentence = told.partition(": ")
    assert ("report" if end == "complete" else "clear_error") in accepted, told
    if end != "complete":
        assert sentence.endswith((".", "”", "…")), told
        assert "on our side" not in sentence
    assert server.workers() == [worker]
    assert resident(worker) < before + GROWN_MB
