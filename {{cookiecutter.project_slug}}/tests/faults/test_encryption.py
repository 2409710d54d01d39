"""Encryption in a real server: a damaged download breaks off, and `kill -9` loses no byte."""

from __future__ import annotations

import http.client
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from backends import KEY
from support import eventually

from .server import Caller, Server

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes are found in /proc"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two web workers; a dead one is noticed after three seconds."""
    folder = tmp_path_factory.mktemp("encryption") / "data"
    server = Server(folder, SILO_LEASE=3, SILO_WORKERS=1, SILO_ENCRYPTION_KEY=KEY)
    server.start()
    yield server
    server.stop()


def table() -> bytes:
    """A table whose report does not fit into one record."""
    chance = random.Random(1)
    rows = [f"{chance.getrandbits(320):x},{n}\n" for n in range(4000)]
    return "".join(["Region,Amount\n", *rows, *rows]).encode()


def has_report(caller: Caller) -> None:
    caller.post("/api/process", b'{"category": "Region"}')
    job = eventually(lambda: (now := caller.get("/api/progress").json)["finished_at"] and now, 60)
    assert job["status"] == "complete", job


def test_a_download_that_is_damaged_in_its_midst_is_never_whole(server: Server) -> None:
    caller = Caller(server.port)
    caller.upload("sales.csv", table())
    has_report(caller)
    whole = caller.get("/api/report.xlsx")
    assert int(whole.headers["Content-Length"]) == len(whole.body) > 2**17
    path = next(
        path
        for path in server.data.rglob("*.sealed")
        if len(whole.body) < path.stat().st_size < len(whole.body) + 2**10
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(http.client.IncompleteRead) as broken:
        caller.get("/api/report.xlsx")
    assert whole.body.startswith(broken.value.partial)
    log = (server.data.parent / "server.log").read_text()
    assert re.search(r"stored file \w+ cannot be read", log)
    assert caller.get("/healthz").status == 200


def test_a_server_that_is_killed_while_bytes_arrive_goes_on_from_what_is_authentic(
    server: Server,
) -> None:
    caller, data = Caller(server.port), table()
    upload = caller.create("sales.csv", len(data))
    connection = caller.append_in_part(upload, data, len(data) // 2)
    part = eventually(lambda: list(server.data.rglob("*.part")))[0]
    eventually(lambda: part.stat().st_size > 2**17)
    server.kill(*server.everyone())
    connection.close()
    server.start()
    offset = caller.offset(upload)
    assert 2**16 < offset <= len(data) // 2
    assert caller.append(upload, offset, data[offset:]).status == 200
    [number] = re.findall(r"\w+$", upload)
    assert caller.post("/api/upload", json.dumps({"uploads": [number]}).encode()).status == 201
    has_report(caller)
    assert not list(server.data.glob("scratch/*/*"))
