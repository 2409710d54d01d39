"""What the storage of rate limits promises, on every store."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from backends import STORES
from limits import parse
from limits.strategies import FixedWindowRateLimiter
from support import Clock, eventually

from {{ cookiecutter.package_name }}.silo.counters import KIND, RecordsStorage
from {{ cookiecutter.package_name }}.silo.errors import StoreFull, StoreUnavailable
from {{ cookiecutter.package_name }}.silo.records import Delete, Put, Records, Step, open_records
from {{ cookiecutter.package_name }}.silo.sessions import sqlite

from .conftest import OpenRecords, OpenStore

WINDOW = 60


@pytest.fixture
def counters(records: Records, clock: Clock) -> RecordsStorage:
    return RecordsStorage(records=records, clock=clock)


def test_s38_each_key_is_counted_by_itself(counters: RecordsStorage) -> None:
    assert [counters.incr("a", WINDOW) for _ in range(3)] == [1, 2, 3]
    assert counters.incr("b", WINDOW, 5) == 5
    assert (counters.get("a"), counters.get("b"), counters.get("c")) == (3, 5, 0)


def test_s38_a_window_begins_with_its_first_count_and_is_not_prolonged(
    counters: RecordsStorage, clock: Clock
) -> None:
    begun = clock()
    counters.incr("a", WINDOW)
    clock.advance(WINDOW - 1)
    assert counters.incr("a", WINDOW) == 2
    assert counters.get_expiry("a") == begun + WINDOW
    clock.advance(1)
    assert counters.get("a") == 0
    assert counters.get_expiry("a") == clock(), "none runs"
    assert counters.incr("a", WINDOW) == 1
    assert counters.get_expiry("a") == clock() + WINDOW


def test_s38_of_a_key_that_was_never_counted_no_window_runs(
    counters: RecordsStorage, clock: Clock
) -> None:
    assert counters.get_expiry("a") == clock()


def test_s38_counts_can_be_forgotten(counters: RecordsStorage, records: Records) -> None:
    records.apply(Put("session", "a", b"another kind", 0))
    for key in ("a", "b", "c"):
        counters.incr(key, WINDOW)
    counters.clear("a")
    counters.clear("never counted")
    assert (counters.get("a"), counters.get("b")) == (0, 1)
    counters.reset()
    assert records.count(KIND) == 0
    assert records.count("session") == 1


@pytest.mark.parametrize("key", ["", "é 表 \U0001f600", "LIMITER/../x", "'; --", "a" * 10_000])
def test_s38_any_text_is_a_key(counters: RecordsStorage, key: str) -> None:
    assert [counters.incr(key, WINDOW), counters.incr(key, WINDOW)] == [1, 2]


def test_s38_it_answers(counters: RecordsStorage) -> None:
    assert counters.check()


def test_s38_a_strategy_of_the_package_counts_with_it(
    counters: RecordsStorage, clock: Clock
) -> None:
    limiter, limit = FixedWindowRateLimiter(counters), parse("2/minute")
    assert [limiter.hit(limit, "a") for _ in range(3)] == [True, True, False]
    assert limiter.get_window_stats(limit, "a") == (clock() + WINDOW, 0)
    clock.advance(WINDOW)
    assert limiter.hit(limit, "a")


def test_s38_no_count_of_many_threads_is_lost(open_records: OpenRecords, clock: Clock) -> None:
    """Two storages over the same records, as two workers have them."""
    storages = [RecordsStorage(records=open_records(), clock=clock) for _ in range(2)]

    def count(number: int) -> list[int]:
        return [storages[number % 2].incr("a", WINDOW) for _ in range(25)]

    with ThreadPoolExecutor(8) as pool:
        counted = [each for some in pool.map(count, range(8)) for each in some]
    assert sorted(counted) == list(range(1, 201)), "each is told another number"
    assert storages[0].get("a") == storages[1].get("a") == 200


def test_s38_the_cleanup_removes_counts_whose_window_is_over(
    open_store: OpenStore, records: Records, clock: Clock
) -> None:
    store = open_store()
    counters = RecordsStorage(records=store.records, clock=clock)
    for number in range(150):
        counters.incr(f"early {number}", WINDOW)
    clock.advance(1)
    counters.incr("late", WINDOW)
    clock.advance(WINDOW - 1)
    store.cleanup()
    assert records.count(KIND) == 1
    assert counters.get("late") == 1


def test_s38_a_cleanup_at_the_wrong_moment_loses_no_count(
    records: Records, counters: RecordsStorage, clock: Clock
) -> None:
    """It has seen a window that is over, and removes it when the next one has begun."""
    counters.incr("a", WINDOW)
    clock.advance(WINDOW)
    [(key, over)] = records.due(KIND, clock())
    counters.incr("a", WINDOW)
    assert not records.apply(Delete(KIND, key, over.version))
    assert counters.incr("a", WINDOW) == 2


def test_s38_a_full_store_refuses_nobody_but_who_was_refused_already(
    open_records: OpenRecords, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = open_records()
    counters = RecordsStorage(records=records, clock=clock)
    counters.incr("a", WINDOW, 5)

    def full(*steps: Step) -> int:
        raise StoreFull

    with monkeypatch.context() as patch:
        patch.setattr(records, "apply", full)
        assert [counters.incr("a", WINDOW), counters.incr("a", WINDOW)] == [6, 6]
        assert counters.incr("b", WINDOW) == 1
    assert counters.incr("a", WINDOW) == 6


def test_s38_a_store_that_does_not_answer_is_said(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    counters = RecordsStorage(records=open_records(f"sqlite:///{tmp_path}/silo.db"), clock=clock)
    counters.incr("a", WINDOW)
    other = sqlite3.connect(tmp_path / "silo.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable):
        counters.incr("a", WINDOW)
    other.execute("ROLLBACK")
    other.close()
    assert counters.incr("a", WINDOW) == 2


# Real processes, which only a store outside of them can serve


def count_up(url: str, times: int) -> None:
    counters = RecordsStorage(records=open_records(url), clock=lambda: 1000.0)
    for _ in range(times):
        counters.incr("a", WINDOW)


@pytest.mark.parametrize("name", STORES)
def test_s38_processes_lose_no_count_of_each_other(tmp_path: Path, name: str) -> None:
    url, spawn = STORES[name](tmp_path), multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=count_up, args=(url, 100)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert RecordsStorage(records=open_records(url), clock=lambda: 1000.0).get("a") == 300


@pytest.mark.parametrize("name", STORES)
def test_s38_a_process_that_is_killed_at_it_blocks_nobody(tmp_path: Path, name: str) -> None:
    url, spawn = STORES[name](tmp_path), multiprocessing.get_context("spawn")
    counters = RecordsStorage(records=open_records(url), clock=lambda: 1000.0)
    counting = spawn.Process(target=count_up, args=(url, 1_000_000))
    counting.start()
    eventually(lambda: counters.get("a") > 20)
    assert counting.pid
    os.kill(counting.pid, signal.SIGKILL)
    counting.join(10)
    before = counters.get("a")
    assert counters.incr("a", WINDOW) == before + 1
