"""One server for all, as `serve` runs it: two workers, each job a child process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from faults.server import Caller, Server

COUNTED = ("SESSIONS", "UPLOADS", "ADDRESS_UPLOADS", "JOBS", "DOWNLOADS")
LIMITS: dict[str, Any] = {f"SILO_LIMIT_{name}": "off" for name in COUNTED}
"""For a server that does not count how often somebody calls."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform == "win32":
        for item in items:
            if "security" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason="gunicorn needs a Unix"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("security") / "instance", **LIMITS)
    server.start()
    yield server
    assert len(server.workers()) == 2
    server.stop()


@pytest.fixture
def attacker(server: Server) -> Caller:
    return Caller(server.port)


@pytest.fixture(scope="session")
def victim(server: Server) -> Caller:
    """Somebody with a finished report, to whom nothing may happen."""
    victim = Caller(server.port)
    assert victim.upload("sales.csv", b"Region,Amount\nNorth,1\nSouth,2\nNorth,3\n").status == 201
    assert victim.post("/api/process", b"{}").status == 202
    assert [*victim.listen("/api/events")][-1].event == "complete"
    return victim
