"""Counts: they only rise, and every process of a store tells the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import pytest
from support import eventually

from {{ cookiecutter.package_name }}.silo.counts import Counts
from {{ cookiecutter.package_name }}.silo.errors import StoreUnavailable
from {{ cookiecutter.package_name }}.silo.records import Records, Step
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords

from .conftest import OpenRecords

LONG = 1000.0


def flushing(counts: Counts) -> bool:
    """Whether a thread is there to put on record what was counted."""
    timers = [each for each in threading.enumerate() if isinstance(each, threading.Timer)]
    return any(each.function == counts._flush_in_time for each in timers)


def test_what_was_counted_is_told_once_it_is_on_record(records: Records) -> None:
    counts = Counts(records, LONG)
    counts.add({("calls", "a"): 1, ("seconds",): 0.5})
    counts.add({("calls", "a"): 2, ("calls", "b"): 1})
    assert counts.read() == {}
    counts.flush()
    assert counts.read() == {("calls", "a"): 3, ("seconds",): 0.5, ("calls", "b"): 1}
    counts.flush()
    assert counts.read()["calls", "a"] == 3


def test_it_gets_there_by_itself(records: Records) -> None:
    counts = Counts(records, 0.01)
    counts.add({("calls",): 1})
    eventually(lambda: counts.read() == {("calls",): 1})
    counts.add({("calls",): 1})
    eventually(lambda: counts.read() == {("calls",): 2})
    eventually(lambda: not flushing(counts))  # its store is closed next


def test_processes_that_count_at_once_lose_nothing(open_records: OpenRecords) -> None:
    every = [Counts(open_records(), LONG) for _ in range(4)]

    def count(counts: Counts) -> None:
        for _ in range(25):
            counts.add({("calls",): 1})
            counts.flush()

    threads = [threading.Thread(target=count, args=(counts,)) for counts in every]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [counts.read() for counts in every] == [{("calls",): 100}] * 4


def test_who_flushes_waits_for_what_another_thread_is_putting_on_record() -> None:
    counts, go_on, put = Counts(MemoryRecords(), LONG), threading.Event(), threading.Event()
    apply = counts._records.apply

    def slowly(*steps: Step) -> int:
        put.set()
        assert go_on.wait(60)
        return apply(*steps)

    counts.add({("calls",): 1})
    with patch.object(counts._records, "apply", slowly), ThreadPoolExecutor(2) as threads:
        first = threads.submit(counts.flush)
        assert put.wait(60)
        second = threads.submit(counts.flush)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.1)
        go_on.set()
        for flush in (second, first):
            flush.result()
        assert counts.read() == {("calls",): 1}


def test_a_process_that_comes_anew_goes_on_from_there(open_records: OpenRecords) -> None:
    first = Counts(open_records(), LONG)
    first.add({("calls",): 5})
    first.flush()
    second = Counts(open_records(), LONG)
    assert second.read() == {("calls",): 5}
    second.add({("calls",): 1})
    second.flush()
    assert first.read() == {("calls",): 6}


def test_what_the_store_refuses_is_kept_for_later(records: Records) -> None:
    counts = Counts(records, LONG)
    counts.add({("calls",): 1})
    with (
        patch.object(records, "apply", side_effect=StoreUnavailable),
        pytest.raises(StoreUnavailable),
    ):
        counts.flush()
    counts.add({("calls",): 1})
    counts.flush()
    assert counts.read() == {("calls",): 2}
