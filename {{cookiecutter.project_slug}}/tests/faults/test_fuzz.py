"""A seeded part of `make fuzz`: calls from the app's own document, and mutated files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutants import ends, mutants

from .fuzz import UNCOUNTED, call_at_random, wrong
from .server import Caller, Server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn is for other systems")

NEVER = {
    "GET /api/report/files/{number}",
    "GET /api/review",
    "PATCH /api/review",
    "POST /api/cancel",
    "POST /api/finish",
}
"""What a fuzzer finds nothing to do for: a job that runs at that very moment, a file beside the
report, and rows to review, which the step of the tests has none of."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data", **UNCOUNTED)
    server.start()
    yield server
    assert server.stop() == 0


def test_s14_calls_of_all_kinds_find_no_undocumented_answer(server: Server, tmp_path: Path) -> None:
    before = server.workers()
    result = call_at_random(server.port, 100, 1, tmp_path)
    assert result.sound, result.said
    assert result.calls > 900
    assert result.report["operations"]["tested"] == result.report["operations"]["total"]
    assert set(result.report["valid_rates"]) - result.accepted() <= NEVER
    assert server.workers() == before


def test_s42_mutated_files_end_in_a_report_or_a_sentence(server: Server, tmp_path: Path) -> None:
    before, kinds = server.workers(), set()
    for end in ends(list(mutants(tmp_path / "files", 100, 1))):
        kinds.add(end.kind)
        assert not wrong(end, Caller(server.port)), end
    assert kinds >= {"report", "error"}
    assert server.workers() == before


@pytest.mark.parametrize("runner", ["process", "thread"])
def test_s22_what_kills_its_reader_fails_its_own_job_alone(tmp_path: Path, runner: str) -> None:
    """A mutant found by `make fuzz`, whose reader aborts: no exception, no end, no word."""
    *_, path = mutants(tmp_path / "files", 120, 1)
    [end] = ends([path])
    if end.kind != "death":
        pytest.skip("the reader that is installed survives this file")
    server = Server(tmp_path / "data", workers=1, SILO_RUNNER=runner)
    server.start()
    before = server.workers()
    assert not wrong(end, Caller(server.port))
    assert server.workers() == before
    assert server.stop() == 0
