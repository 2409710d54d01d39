"""What the counters of rate limits promise, on every store."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from backends import STORES
from support import Clock, eventually

from {{ cookiecutter.package_name }}.silo.counters import KIND, Counters
from {{ cookiecutter.package_name }}.silo.errors import StoreFull, StoreUnavailable
from {{ cookiecutter.package_name }}.silo.records import Delete, Records, Step, open_records
from {{ cookiecutter.package_name }}.silo.sessions import sqlite

from .conftest import OpenRecords, OpenStore

WINDOW = 60


@pytest.fixture
def counters(records: Records, clock: Clock) -> Counters:
    return Counters(records, clock)


def times(counters: Counters, key: str) -> int:
    """Count once more, and tell how often that has been."""
    return counters.hit(key, WINDOW)[0]


def test_s38_each_key_is_counted_by_itself(counters: Counters) -> None:
    assert [times(counters, "a") for _ in range(3)] == [1, 2, 3]
    assert [times(counters, key) for key in "bab"] == [1, 4, 2]


def test_s38_a_window_begins_with_its_first_count_and_is_not_prolonged(
    counters: Counters, clock: Clock
) -> None:
    ends = clock() + WINDOW
    assert counters.hit("a", WINDOW) == (1, ends)
    clock.advance(WINDOW - 1)
    assert counters.hit("a", WINDOW) == (2, ends)
    clock.advance(1)
    assert counters.hit("a", WINDOW) == (1, ends + WINDOW)


@pytest.mark.parametrize("key", ["", "é 表 \U0001f600", "LIMITER/../x", "'; --", "a" * 10_000])
def test_s38_any_text_is_a_key(counters: Counters, key: str) -> None:
    assert [times(counters, key), times(counters, key)] == [1, 2]


def test_s38_no_count_of_many_threads_is_lost(open_records: OpenRecords, clock: Clock) -> None:
    """Two counters over the same records, as two workers have them."""
    workers = [Counters(open_records(), clock) for _ in range(2)]

    def count(number: int) -> list[int]:
        return [times(workers[number % 2], "a") for _ in range(25)]

    with ThreadPoolExecutor(8) as pool:
        counted = [each for some in pool.map(count, range(8)) for each in some]
    assert sorted(counted) == list(range(1, 201)), "each is told another number"


def test_s38_the_cleanup_removes_counts_whose_window_is_over(
    open_store: OpenStore, records: Records, clock: Clock
) -> None:
    store = open_store()
    counters = Counters(store.records, clock)
    for number in range(150):
        counters.hit(f"early {number}", WINDOW)
    clock.advance(1)
    counters.hit("late", WINDOW)
    clock.advance(WINDOW - 1)
    store.cleanup()
    assert records.count(KIND) == 1
    assert times(counters, "late") == 2


def test_s38_a_cleanup_at_the_wrong_moment_loses_no_count(
    records: Records, counters: Counters, clock: Clock
) -> None:
    """It has seen a window that is over, and removes it when the next one has begun."""
    counters.hit("a", WINDOW)
    clock.advance(WINDOW)
    [(key, over)] = records.due(KIND, clock())
    counters.hit("a", WINDOW)
    assert not records.apply(Delete(KIND, key, over.version))
    assert times(counters, "a") == 2


def test_s38_a_full_store_refuses_nobody_but_who_was_refused_already(
    open_records: OpenRecords, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = open_records()
    counters = Counters(records, clock)
    assert [times(counters, "a") for _ in range(5)][-1] == 5

    def full(*steps: Step) -> int:
        raise StoreFull

    with monkeypatch.context() as patch:
        patch.setattr(records, "apply", full)
        assert [times(counters, "a"), times(counters, "a")] == [6, 6]
        assert times(counters, "b") == 1
    assert times(counters, "a") == 6


def test_s38_a_store_that_does_not_answer_is_said(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    counters = Counters(open_records(f"sqlite:///{tmp_path}/silo.db"), clock)
    times(counters, "a")
    other = sqlite3.connect(tmp_path / "silo.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable):
        times(counters, "a")
    other.execute("ROLLBACK")
    other.close()
    assert times(counters, "a") == 2


# Real processes, which only a store outside of them can serve


def count_up(url: str, number: int) -> None:
    counters = Counters(open_records(url), lambda: 1000.0)
    for _ in range(number):
        times(counters, "a")


@pytest.mark.parametrize("name", STORES)
def test_s38_processes_lose_no_count_of_each_other(tmp_path: Path, name: str) -> None:
    url, spawn = STORES[name](tmp_path), multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=count_up, args=(url, 100)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert Counters(open_records(url), lambda: 1000.0).hit("a", WINDOW)[0] == 301


@pytest.mark.parametrize("name", STORES)
def test_s38_a_process_that_is_killed_at_it_blocks_nobody(tmp_path: Path, name: str) -> None:
    url, spawn = STORES[name](tmp_path), multiprocessing.get_context("spawn")
    records = open_records(url)
    counting = spawn.Process(target=count_up, args=(url, 1_000_000))

    def counted() -> int:
        record = records.read(KIND, "a")
        return int(record.value) if record else 0

    counting.start()
    eventually(lambda: counted() > 20)
    assert counting.pid
    os.kill(counting.pid, signal.SIGKILL)
    counting.join(60)
    before = counted()
    assert times(Counters(records, lambda: 1000.0), "a") == before + 1
