"""Limits of real servers: all workers count together, and a kill forgives nobody."""

from __future__ import annotations

import http.client
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .server import Caller, Server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn is for other systems")

ALLOWED = 20
NAMED = {"Content-Disposition": "attachment; filename=sales.csv", "X-Requested-With": "test"}

Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve(workers=2, SILO_TTL=60)` is a server that runs."""
    started: list[Server] = []

    def start(workers: int = 2, **settings: object) -> Server:
        server = Server(tmp_path / "data", workers, None, **settings)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


def begin(port: int, source: str = "127.0.0.1", forwarded: str = "") -> int:
    """The status of a first upload, over a connection from `source`."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=300, source_address=(source, 0)
    )
    headers = {**NAMED, **({"X-Forwarded-For": forwarded} if forwarded else {})}
    try:
        connection.request("POST", "/api/uploads", b"a,b\n1,2\n", headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_s38_all_workers_count_together_and_a_kill_forgives_nobody(serve: Serve) -> None:
    server = serve(SILO_LIMIT_SESSIONS=f"{ALLOWED}/hour")
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda _: begin(server.port), range(3 * ALLOWED)))
    assert statuses == {201: ALLOWED, 429: 2 * ALLOWED}
    server.kill(*server.workers())
    server.wait_ready()
    assert begin(server.port) == 429
    server.kill(server.master)
    server.ensure_up()
    refused = Caller(server.port).call("POST", "/api/uploads", b"a,b\n", NAMED)
    assert (refused.status, refused.json["error"]) == (429, "too_often")
    assert 3000 < int(refused.headers["Retry-After"]) <= 3600
    assert "X-Session-ID" not in refused.headers


@pytest.mark.skipif(sys.platform != "linux", reason="others have one address of their own only")
def test_s13_the_address_is_the_connection_s_whatever_a_header_says(serve: Serve) -> None:
    port = serve(workers=1, SILO_LIMIT_SESSIONS="2/hour").port
    said = [begin(port, "127.0.0.2", f"198.51.100.{number}") for number in range(3)]
    assert said == [201, 201, 429], "a header evades nothing"
    assert begin(port, "127.0.0.3", "127.0.0.2") == 201, "nor is it counted for another"
    for _ in range(2):
        begin(port, "127.0.0.4", "127.0.0.5")
    assert begin(port, "127.0.0.5") == 201


def test_s13_behind_a_proxy_the_address_is_the_one_that_it_saw(serve: Serve) -> None:
    port = serve(workers=1, SILO_LIMIT_SESSIONS="2/hour", SILO_TRUSTED_PROXIES=1).port
    said = [begin(port, forwarded=f"198.51.100.{n}, 203.0.113.1") for n in range(3)]
    assert said == [201, 201, 429], "what a client wrote before the proxy did evades nothing"
    assert begin(port, forwarded="198.51.100.0") == 201, "nor is it counted for another"
    assert begin(port, forwarded="203.0.113.2") == 201
