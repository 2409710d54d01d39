"""Storage that fails for a while: an honest answer meanwhile, and recovery by itself."""

from __future__ import annotations

import ctypes
import hashlib
import resource
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .chaos import LARGE, SMALL, Round
from .server import Caller, Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are set by prlimit")

CAPABILITY_DROP, OVERRIDE_PERMISSIONS = 24, 1
"""Of prctl(2) and capabilities(7): without it, permissions hold for the superuser too."""

LITTLE, MUCH = 2**16, 2**21
"""Bytes that a file may have while the disk is as good as full; the store needs some itself."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data", workers=1)
    server.start()
    yield server
    assert server.stop() == 0


def limit(server: Server, size: int) -> None:
    """Let the kernel refuse the web processes files larger than `size`."""
    for pid in server.workers():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_s34_a_full_disk_is_said_and_nothing_is_lost(server: Server) -> None:
    round_ = Round(server, Caller(server.port))
    round_.upload(SMALL)
    before = round_.ask()["files"]
    limit(server, LITTLE)
    refused = round_.caller.upload("large.csv", SMALL * 100)
    assert refused.status == 507
    assert refused.json["error"] == "no_space"
    assert round_.ask()["files"] == before
    limit(server, resource.RLIM_INFINITY)
    round_.upload(SMALL * 100)
    round_.process()
    assert round_.ended_well().startswith("complete")
    round_.reset()
    assert server.left_behind() == []


def obey_permissions() -> None:
    ctypes.CDLL(None).prctl(CAPABILITY_DROP, OVERRIDE_PERMISSIONS, 0, 0, 0)


def test_s34_a_read_only_directory_is_said_and_works_again(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", workers=1, prepare=obey_permissions)
    server.start()
    round_, stranger = Round(server, Caller(server.port)), Caller(server.port)
    round_.upload(SMALL)
    before = round_.ask()["files"]
    for folder in (server.data, *server.data.glob("files/**/")):
        folder.chmod(0o500)
    for refused in (round_.caller.upload("more.csv", SMALL), stranger.upload("new.csv", SMALL)):
        assert refused.status == 507
        assert refused.json["error"] == "no_space"
        assert "read-only" in refused.json["detail"]
    assert round_.ask()["files"] == before
    for folder in (server.data, *server.data.glob("files/**/")):
        folder.chmod(0o700)
    round_.upload(SMALL)
    round_.process()
    assert round_.ended_well().startswith("complete")
    round_.reset()
    assert server.left_behind() == []
    assert server.stop() == 0


def test_s34_an_upload_keeps_what_fitted_on_a_full_disk(server: Server) -> None:
    round_, data = Round(server, Caller(server.port)), LARGE * 8
    path = round_.caller.create("large.csv", len(data))
    limit(server, MUCH)
    refused = round_.caller.append(path, 0, data)
    assert refused.status == 507
    assert refused.json["error"] == "no_space"
    limit(server, resource.RLIM_INFINITY)
    assert round_.caller.offset(path) == MUCH
    assert round_.caller.append(path, MUCH, data[MUCH:]).status == 200
    [file] = round_.take(path)
    assert file["sha256"] == hashlib.sha256(data).hexdigest()
    round_.reset()
    assert server.left_behind() == []


def test_s34_a_locked_store_is_said_and_works_again(server: Server) -> None:
    round_ = Round(server, Caller(server.port))
    round_.upload(SMALL)
    other = sqlite3.connect(server.data / "silo.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    refused = round_.caller.post("/api/process")
    other.execute("ROLLBACK")
    other.close()
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json["error"] == "unavailable"
    round_.process()
    assert round_.ended_well().startswith("complete")
