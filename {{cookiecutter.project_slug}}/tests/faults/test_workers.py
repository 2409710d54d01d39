"""One session, many web workers: nothing is lost and nothing overwritten."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from backends import STORES
from servers.ports import free_port
from support import eventually

from .server import Answer, Caller, insist

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn is for other systems")

CALLS, CLIENTS, WORKERS = 2000, 16, 4
LEASE_SECONDS = 6
"""Whoever waits for a session does so for twice as long, and then is refused."""
BUSY_SECONDS = 30
"""What a busy machine may need besides: without a lease to end it, a call is held for a minute."""


@pytest.fixture
def holder(tmp_path: Path) -> Path:
    """The file in which the worker that holds the lock writes its process id."""
    return tmp_path / "holder"


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each store that the workers of the counter app can share."""
    return STORES[request.param](tmp_path)


@pytest.fixture
def port(store: str, holder: Path) -> Iterator[int]:
    with counter(store, holder, LEASE_SECONDS) as port:
        yield port


@contextlib.contextmanager
def counter(store: str, holder: Path, lease: float) -> Iterator[int]:
    """The counter app, served by four workers over the store of a URL; its port."""
    port, ready = free_port(), holder.with_name("ready")
    ready.mkdir()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "faults.counter:app"),
            *("--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS)),
            *("--worker-class", "gthread", "--threads", str(CLIENTS)),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "COUNTER_STORE": store,
            "COUNTER_HOLDER": str(holder),
            "COUNTER_READY": str(ready),
            "COUNTER_LEASE": str(lease),
        },
        stderr=subprocess.DEVNULL,
    )
    # Each of them: one that meets no store when it begins would end them all.
    eventually(lambda: len(list(ready.iterdir())) == WORKERS and answers(port))
    yield port
    process.terminate()
    process.wait(120)


def answers(port: int) -> bool:
    try:
        return Caller(port).get("/readyz").status == 200
    except OSError:
        return False


def increment(port: int, sid: str | None, times: int) -> Counter[int]:
    """The statuses of so many calls from all clients together, each over a new connection."""
    statuses: Counter[int] = Counter()
    turns = iter(range(times))
    guard = threading.Lock()

    def call() -> None:
        while True:
            with guard:
                if next(turns, None) is None:
                    return
            status = Caller(port, sid).post("/api/increment").status
            with guard:
                statuses[status] += 1

    threads = [threading.Thread(target=call) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def test_every_increment_counts(store: str, holder: Path) -> None:
    """However long each has to wait."""
    with counter(store, holder, lease=60) as port:
        caller = Caller(port)
        caller.post("/api/increment")
        assert increment(port, caller.sid, CALLS - 1) == {200: CALLS - 1}
        assert caller.get("/api/count").json == {"value": CALLS}


def test_s31_a_holder_that_is_killed_blocks_nobody_for_long(port: int, holder: Path) -> None:
    """The others go on when its lease is over, and what it had changed was never kept."""
    caller = Caller(port)
    caller.post("/api/increment")
    held = threading.Thread(target=lost_call, args=(port, caller.sid))
    held.start()
    pid = int(eventually(lambda: holder.exists() and holder.read_text()))
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    assert increment(port, caller.sid, 100) == {200: 100}
    assert time.monotonic() - began < LEASE_SECONDS + BUSY_SECONDS
    assert caller.get("/api/count").json == {"value": 101}
    held.join(60)


def lost_call(port: int, sid: str | None) -> None:
    """A call whose worker is killed before it answers."""
    with pytest.raises(http.client.RemoteDisconnected):
        Caller(port, sid).post("/api/hold")


def test_a_killed_worker_s_key_heals_within_its_lease(port: int, holder: Path) -> None:
    """Twenty send one key until they are answered: one of them acts, all hear the same."""
    caller = Caller(port)
    caller.post("/api/increment")
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(insist, call_once, port, caller.sid) for _ in range(20)]
        pid = int(eventually(lambda: holder.exists() and holder.read_text()))
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        answers = [call.result(120) for call in calls]
    assert time.monotonic() - began < 2 * LEASE_SECONDS + BUSY_SECONDS
    assert {(answer.status, answer.body) for answer in answers} == {(201, b'{"value":2}\n')}
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert caller.get("/api/count").json == {"value": 2}


def call_once(port: int, sid: str | None) -> Answer:
    return Caller(port, sid).call("POST", "/api/once", b"", {"Idempotency-Key": '"once"'})
