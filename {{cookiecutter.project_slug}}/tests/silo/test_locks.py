"""A session's lock: one writer at a time; a dead one blocks nobody, a late one changes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from support import Clock, eventually

from {{ cookiecutter.package_name }}.silo import SessionBusy, SessionStore
from {{ cookiecutter.package_name }}.silo.records import Record, Records, Step
from {{ cookiecutter.package_name }}.silo.sessions.ids import SessionKey
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords

from .conftest import LEASE, OpenStore

SID = "a-session-of-a-client"
SHORT = 0.3
"""A lease in seconds that a test can wait for."""


def add(store: SessionStore, amount: int = 1) -> None:
    with store.transaction(SID) as state:
        state["counter"]["value"] += amount


def value_of(store: SessionStore) -> Any:
    return store.get(SID)["counter"]["value"]


@pytest.mark.parametrize("processes", [1, 2])
def test_threads_and_processes_lose_no_increment(open_store: OpenStore, processes: int) -> None:
    stores = [open_store(lease=60) for _ in range(processes)]

    def work(n: int) -> None:
        for _ in range(25):
            add(stores[n % processes])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert value_of(stores[0]) == 200


def test_sessions_do_not_wait_for_each_other(store: SessionStore) -> None:
    with store.transaction(SID), store.transaction("another") as state:
        state["counter"]["value"] = 1
    assert store.get("another")["counter"]["value"] == 1


def test_readers_wait_for_nobody(store: SessionStore) -> None:
    add(store)
    with store.transaction(SID) as state:
        state["counter"]["value"] = 9
        assert value_of(store) == 1
    assert value_of(store) == 9


def test_who_waits_too_long_is_told_that_the_session_is_busy(open_store: OpenStore) -> None:
    store = open_store(lease=0.02)
    held = store.begin(SID)
    with pytest.raises(SessionBusy, match="busy"):
        store.begin(SID)
    held.commit()
    add(store)
    assert value_of(store) == 1


def test_a_holder_that_hangs_keeps_others_waiting_for_a_lease_at_most(
    open_store: OpenStore,
) -> None:
    hung, living = open_store(lease=SHORT), open_store(lease=SHORT)
    hung.begin(SID)
    began = time.monotonic()
    add(living)
    assert time.monotonic() - began >= SHORT
    assert value_of(living) == 1


def test_a_clock_set_back_keeps_no_session_locked(open_store: OpenStore, clock: Clock) -> None:
    hung, living = open_store(lease=SHORT), open_store(lease=SHORT)
    hung.begin(SID)
    clock.advance(-86_400)
    add(living)
    assert value_of(living) == 1


def test_a_late_holder_overwrites_nothing(open_store: OpenStore) -> None:
    slow, quick = open_store(lease=SHORT), open_store(lease=SHORT)
    late = slow.begin(SID)
    late.state["counter"]["value"] = 100
    add(quick, 7)
    with pytest.raises(SessionBusy):
        late.commit()
    assert value_of(slow) == 7
    add(slow)
    assert value_of(quick) == 8


def test_a_late_holder_brings_no_expired_session_back(open_store: OpenStore, clock: Clock) -> None:
    leases = MemoryRecords()
    slow, other = open_store(records=leases), open_store(records=leases)
    add(slow)
    late = slow.begin(SID)
    late.state["counter"]["value"] = 100
    clock.advance(slow.ttl)
    assert other.cleanup() == [SID]
    with pytest.raises(SessionBusy):
        late.commit()
    assert not slow.exists(SID)
    assert slow.is_expired(SID)


def test_a_destroyed_session_is_not_brought_back(open_store: OpenStore) -> None:
    slow, other = open_store(lease=SHORT), open_store(lease=SHORT)
    late = slow.begin(SID)
    other.destroy(SID)
    other.get(SID)
    with pytest.raises(SessionBusy):
        late.commit()
    assert value_of(other) == 0


@pytest.mark.parametrize("late", ["cleanup", "get", "transaction"])
def test_whoever_is_late_with_an_expired_session_spares_the_new_one(
    open_store: OpenStore, clock: Clock, late: str
) -> None:
    slow, quick = open_store(lease=SHORT), open_store(lease=SHORT)
    lives: list[str] = []
    for store in (slow, quick):
        store.on_create(lambda sid: lives.append("+"))
        store.on_expire(lambda sid: lives.append("-"))
    pauses = [True]

    def pause(key: SessionKey) -> None:
        """Removing files takes longer than the lease, and somebody else begins the session."""
        if pauses:
            pauses.clear()
            clock.advance(SHORT)
            add(quick, 7)

    slow.on_remove(pause)
    slow.get(SID)
    clock.advance(slow.ttl)
    if late == "cleanup":
        assert slow.cleanup() == []
    else:
        with pytest.raises(SessionBusy):
            slow.get(SID) if late == "get" else add(slow, 100)
    assert pauses == []
    assert value_of(slow) == 7
    assert lives == ["+", "-", "+"]
    add(slow)
    assert value_of(quick) == 8


def test_a_lease_that_has_run_out_by_the_clock_is_taken_over(
    open_store: OpenStore, clock: Clock
) -> None:
    leases = MemoryRecords()
    dead, living = open_store(records=leases), open_store(records=leases)
    dead.begin(SID)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(add, living)
        clock.advance(LEASE - 1)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.1)
        clock.advance(1)
        waiting.result(timeout=60)
    assert value_of(living) == 1


def test_a_late_holder_of_a_lease_does_not_unlock_for_the_one_after(
    open_store: OpenStore, clock: Clock
) -> None:
    leases = MemoryRecords()
    slow, quick, third = (open_store(records=leases) for _ in range(3))
    late = slow.begin(SID)
    clock.advance(LEASE)
    held = quick.begin(SID)
    late.rollback()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(add, third)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.1)
        held.state["counter"]["value"] = 10
        held.commit()
        waiting.result(timeout=60)
    assert value_of(third) == 11


def test_a_waiting_thread_goes_on_as_soon_as_the_lock_is_free(store: SessionStore) -> None:
    held = store.begin(SID)
    waiting = threading.Thread(target=add, args=(store,))
    waiting.start()
    held.rollback()
    waiting.join(timeout=60)
    assert not waiting.is_alive()
    assert value_of(store) == 1


class Failing(Records):
    """Records that fail to write while `broken`."""

    broken = False

    def __init__(self) -> None:
        self._inner = MemoryRecords()

    def read(self, kind: str, key: str) -> Record | None:
        return self._inner.read(kind, key)

    def versions(self, kind: str, keys: Collection[str]) -> dict[str, int]:
        return self._inner.versions(kind, keys)

    def apply(self, *steps: Step) -> int:
        if self.broken:
            raise OSError("no space left")
        return self._inner.apply(*steps)

    def due(self, kind: str, now: float, limit: int = 100) -> list[tuple[str, Record]]:
        return self._inner.due(kind, now, limit)

    def count(self, kind: str) -> int:
        return self._inner.count(kind)


def test_a_store_that_failed_keeps_no_session_locked(clock: Clock) -> None:
    records = Failing()
    store = SessionStore(records=records, clock=clock, lease=LEASE)
    store.register_namespace("counter", lambda: {"value": 0})
    with pytest.raises(OSError, match="space"), store.transaction(SID):
        records.broken = True
    records.broken = False
    clock.advance(LEASE)  # the lease could not be given back; it runs out
    add(store)
    assert value_of(store) == 1


def test_locks_leave_nothing_behind(store: SessionStore) -> None:
    for n in range(20):
        with store.transaction(f"session {n}"):
            pass
        with suppress(KeyError), store.transaction(f"session {n}"):
            raise KeyError
    eventually(lambda: store.records.count("lock") == 0)
