"""A store that other machines share goes away for a while: nothing is lost, nothing done twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from servers.valkey import Valkey
from support import Gate, eventually

from .chaos import SMALL, Round
from .server import Answer, Caller, Event, Server, alive
from .test_kill import works_on
from .test_workers import counter

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes are found in /proc"
)

LEASE_SECONDS = 4
ENDS = ("complete", "failed", "cancelled", "expired")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Valkey]:
    """A server that keeps what it has answered, whatever happens to it."""
    store = Valkey(tmp_path / "store", durable=True)
    yield store
    store.stop()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


@pytest.fixture
def server(tmp_path: Path, store: Valkey, gate: Gate) -> Iterator[Server]:
    """Two web workers, one job at a time."""
    server = Server(
        tmp_path / "data",
        SECRET_KEY="0123456789abcdef-of-both",
        SILO_STORE_URL=store.url,
        SILO_LEASE=LEASE_SECONDS,
        SILO_WORKERS=1,
        TESTS_GATE=gate.path,
    )
    server.start()
    yield server
    gate.open()
    assert server.stop() == 0


def is_honest(server: Server, caller: Caller) -> None:
    """What the server says while it has no store."""
    assert caller.get("/healthz").status == 200
    assert caller.get("/readyz").status == 503
    for refused in (
        caller.get("/api/status"),
        caller.upload("more.csv", SMALL),
        caller.post("/api/process"),
        caller.get("/api/events"),
        Caller(server.port).upload("first.csv", SMALL),
    ):
        assert refused.status == 503, refused
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.json["error"] == "unavailable"
        assert refused.json["detail"].endswith(".")


def hear(caller: Caller, heard: list[Event]) -> None:
    """Listen to the job's events, and come back as a browser does, until it ends."""
    while not (heard and heard[-1].event in ENDS):
        last = heard[-1].id if heard else ""
        heard += [event for event in caller.listen("/api/events", last) if event.data]
        time.sleep(0.1)


def test_s34_a_job_that_ends_while_the_store_is_away_is_told_when_it_is_back(
    server: Server, store: Valkey, gate: Gate
) -> None:
    """Though its lease is over by then: nobody could renew one."""
    round_ = Round(server, Caller(server.port))
    gate.shut()
    round_.upload(SMALL)
    round_.process()
    round_.until(partial(works_on, 1))
    heard: list[Event] = []
    hearing = threading.Thread(target=hear, args=(round_.caller, heard))
    hearing.start()
    children = server.job_processes()
    store.kill()
    is_honest(server, round_.caller)
    gate.open()
    eventually(lambda: not all(map(alive, children)), 60)  # it has said how it ended
    time.sleep(1.5 * LEASE_SECONDS)  # the time itself is what is tested
    is_honest(server, round_.caller)
    store.start()
    assert round_.ended_well() == "complete, attempt 1"
    hearing.join(120)
    assert heard[-1].event == "complete"
    ids = [tuple(map(int, event.id.split("."))) for event in heard]
    assert ids == sorted(set(ids))
    round_.reset()
    assert server.left_behind() == []


def test_s34_a_job_that_still_runs_when_the_store_is_back_goes_on(
    server: Server, store: Valkey, gate: Gate
) -> None:
    round_ = Round(server, Caller(server.port))
    gate.shut()
    round_.upload(SMALL)
    round_.process()
    round_.until(partial(works_on, 1))
    for _ in range(2):
        store.kill()
        time.sleep(0.3)  # any moment will do
        store.start()
        eventually(lambda: server.answers())
    gate.open()
    assert round_.ended_well() == "complete, attempt 1"


def test_s34_a_store_that_hangs_is_said_and_works_again(server: Server, store: Valkey) -> None:
    round_ = Round(server, Caller(server.port))
    round_.upload(SMALL)
    with store.paused():
        refused = round_.caller.get("/api/status")
        assert refused.status == 503
        assert refused.json["error"] == "unavailable"
    # each worker may have heard a moment ago that the store hangs
    eventually(lambda: all(server.answers() for _ in range(20)))
    round_.process()
    assert round_.ended_well() == "complete, attempt 1"


def test_s34_a_web_worker_that_dies_meanwhile_ends_no_server(server: Server, store: Valkey) -> None:
    """The one that takes its place waits for the store, as the others do."""
    round_ = Round(server, Caller(server.port))
    round_.upload(SMALL)
    store.kill()
    before = set(server.workers())
    server.kill(before.pop())
    eventually(lambda: set(server.workers()) - before)
    is_honest(server, round_.caller)
    store.start()
    server.wait_ready()
    round_.process()
    assert round_.ended_well() == "complete, attempt 1"


CALLS, RESTARTS = 150, 3


def test_s34_calls_with_a_key_count_once_each_through_restarts(
    tmp_path: Path, store: Valkey
) -> None:
    """Each client makes its call again with the same key until it is told that it was done."""
    with counter(store.url, tmp_path / "holder", LEASE_SECONDS) as port:
        caller = Caller(port)
        caller.post("/api/increment")
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(until_done, port, caller.sid, str(n)) for n in range(CALLS)]
            for restart in range(1, RESTARTS + 1):
                eventually(partial(are_told, calls, restart * CALLS // 5))
                store.kill()
                store.start()
            statuses = Counter(call.result(120).status for call in calls)
        assert statuses == {200: CALLS}
        assert caller.get("/api/count").json == {"value": CALLS + 1}


def are_told(calls: list[Future[Answer]], number: int) -> bool:
    return sum(call.done() for call in calls) > number


def until_done(port: int, sid: str | None, key: str) -> Answer:
    while True:
        answer = Caller(port, sid).call(
            "POST", "/api/keyed", b"", {"Idempotency-Key": f'"key-{key}"'}
        )
        if answer.status not in (409, 503):
            return answer
        time.sleep(0.05)
