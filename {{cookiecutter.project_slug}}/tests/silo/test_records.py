"""What every store promises about records."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import pytest
from backends import RECORDS
from hypothesis import given, settings
from hypothesis import strategies as st
from support import eventually, open_files

from {{ cookiecutter.package_name }}.silo import SiloError
from {{ cookiecutter.package_name }}.silo.errors import StoreUnavailable
from {{ cookiecutter.package_name }}.silo.records import (
    NEW,
    Delete,
    Postpone,
    Put,
    Record,
    Records,
    Step,
    open_records,
)

from .conftest import OpenRecords


@pytest.fixture
def interrupted() -> Iterator[None]:
    """Threads that are interrupted at every step, so that what is not atomic shows itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def put(key: str, expect: int | None = None, value: bytes = b"v", due: float = 10.0) -> Put:
    return Put("kind", key, value, due, expect)


def keys_due(records: Records, now: float, limit: int = 100) -> list[str]:
    return [key for key, _ in records.due("kind", now, limit)]


def test_what_was_put_is_read(records: Records) -> None:
    version = records.apply(put("a", value=b"\x00\xff", due=12.5))
    assert version > NEW
    assert records.read("kind", "a") == Record(b"\x00\xff", version, 12.5)


def test_what_was_not_put_is_none(records: Records) -> None:
    records.apply(put("a"))
    assert records.read("kind", "b") is None
    assert records.read("other kind", "a") is None


@pytest.mark.parametrize("key", ["", "a" * 1000, "é 表 \U0001f600", "'; --", "%", "../x"])
def test_any_text_is_a_key_and_any_bytes_are_a_value(records: Records, key: str) -> None:
    value = bytes(range(256)) * 4000
    records.apply(put(key, value=value), put(key + "x", value=b""))
    found, empty = records.read("kind", key), records.read("kind", key + "x")
    assert found
    assert found.value == value
    assert empty
    assert empty.value == b""


@pytest.mark.parametrize("key", ["", "a" * 1000, "é 表 \U0001f600", "'; --", "%", '"\\\n'])
def test_versions_are_told_by_any_key(records: Records, key: str) -> None:
    version = records.apply(put(key))
    records.apply(put("another"))
    assert records.versions("kind", [key, "none"]) == {key: version}
    assert records.versions("other kind", [key]) == {}


def test_the_versions_of_many_records_are_told_at_once(records: Records) -> None:
    keys = [str(number) for number in range(5000)]
    versions = {key: records.apply(put(key)) for key in keys[:50]}
    assert records.versions("kind", keys) == versions
    assert records.versions("kind", []) == {}
    records.apply(Delete("kind", "0"), Postpone("kind", "1", 99))
    versions["2"] = records.apply(put("2", versions["2"]))
    del versions["0"]
    assert records.versions("kind", set(keys)) == versions


def test_new_is_written_only_where_nothing_is(records: Records) -> None:
    assert records.apply(put("a", NEW, b"first"))
    assert records.apply(put("a", NEW, b"second")) == 0
    assert read_value(records, "a") == b"first"


def test_a_version_is_overwritten_only_while_it_stands(records: Records) -> None:
    first = records.apply(put("a", NEW))
    second = records.apply(put("a", first, b"second"))
    assert second > first
    assert records.apply(put("a", first, b"late")) == 0
    assert read_value(records, "a") == b"second"


def test_without_expectation_it_is_written_anyway(records: Records) -> None:
    assert records.apply(put("a", None, b"first"))
    assert records.apply(put("a", None, b"second"))
    assert read_value(records, "a") == b"second"


def test_delete_expects_a_version_or_takes_any(records: Records) -> None:
    version = records.apply(put("a"))
    assert records.apply(Delete("kind", "a", version + 1)) == 0
    assert records.read("kind", "a")
    assert records.apply(Delete("kind", "a", version))
    assert records.read("kind", "a") is None
    assert records.apply(put("b"), Delete("kind", "a"))
    assert records.apply(Delete("kind", "b"))
    assert records.count("kind") == 0


def test_deleting_a_version_of_a_record_that_is_gone_fails(records: Records) -> None:
    version = records.apply(put("a"))
    records.apply(Delete("kind", "a"))
    assert records.apply(Delete("kind", "a", version), put("b")) == 0
    assert records.read("kind", "b") is None


@pytest.mark.parametrize("wrong", [put("c", 99), Delete("kind", "a", 99), put("a", NEW)])
@pytest.mark.parametrize("last", [True, False])
def test_all_steps_are_done_or_none(records: Records, wrong: Step, last: bool) -> None:
    records.apply(put("a", value=b"before", due=5), put("gone soon", due=6))
    right: list[Step] = [
        put("a", value=b"after", due=7),
        put("b"),
        Delete("kind", "gone soon"),
        Postpone("kind", "a", 1),
    ]
    assert records.apply(*([*right, wrong] if last else [wrong, *right])) == 0
    assert read_value(records, "a") == b"before"
    assert records.read("kind", "b") is None
    assert keys_due(records, 100) == ["a", "gone soon"]
    assert keys_due(records, 4) == []


def test_versions_never_come_back(records: Records) -> None:
    first = records.apply(put("a", NEW))
    records.apply(Delete("kind", "a"))
    second = records.apply(put("a", NEW, b"anew"))
    assert second > first
    assert records.apply(put("a", first, b"late")) == 0
    assert records.apply(Delete("kind", "a", first)) == 0
    assert read_value(records, "a") == b"anew"


def test_the_version_returned_is_that_of_every_record_written(records: Records) -> None:
    version = records.apply(put("a"), put("b"))
    assert records.apply(put("a", version), put("b", version))


def test_postpone_moves_the_due_time_both_ways_and_keeps_the_version(records: Records) -> None:
    version = records.apply(put("a", due=10))
    for due in (20.0, 5.0, 15.0, 8.0):
        assert records.apply(Postpone("kind", "a", due))
        assert records.read("kind", "a") == Record(b"v", version, due)
        assert keys_due(records, due - 1) == []
        assert keys_due(records, due) == ["a"]


def test_postponing_what_is_gone_makes_nothing(records: Records) -> None:
    records.apply(Postpone("kind", "a", 5))
    assert records.read("kind", "a") is None
    assert keys_due(records, 100) == []


def test_due_are_those_whose_time_has_come_the_longest_overdue_first(records: Records) -> None:
    for key, due in (("c", 3.0), ("a", 1.0), ("d", 4.0), ("b", 2.0)):
        records.apply(put(key, due=due))
    records.apply(Put("other kind", "x", b"", 1.0))
    assert keys_due(records, 0.9) == []
    assert keys_due(records, 3) == ["a", "b", "c"]
    assert keys_due(records, 9, limit=2) == ["a", "b"]
    assert keys_due(records, 9) == ["a", "b", "c", "d"]


def test_due_only_looks(records: Records) -> None:
    version = records.apply(put("a", due=1))
    for _ in range(3):
        assert records.due("kind", 1) == [("a", Record(b"v", version, 1))]


def test_a_record_is_due_once_whatever_happened_to_it(records: Records) -> None:
    for n in range(5):
        records.apply(put("a", due=9 - n))
        records.apply(Postpone("kind", "a", 3 - n / 10), Postpone("kind", "a", 8))
        records.apply(Delete("kind", "a"))
    records.apply(put("a", due=5))
    records.apply(Postpone("kind", "a", 4))
    records.apply(Postpone("kind", "a", 6))
    records.apply(Postpone("kind", "a", 2))
    assert keys_due(records, 1.9) == []
    assert keys_due(records, 2) == ["a"]
    assert keys_due(records, 50) == ["a"]


def test_each_kind_is_counted(records: Records) -> None:
    assert records.count("kind") == 0
    records.apply(put("a"), put("b"), Put("other kind", "a", b"", 1))
    records.apply(put("a"), Delete("kind", "b"), put("c"), Delete("kind", "never was"))
    assert records.count("kind") == 2
    assert records.count("other kind") == 1


@pytest.mark.usefixtures("interrupted")
def test_no_increment_is_lost_among_threads(open_records: OpenRecords) -> None:
    open_records().apply(put("n", NEW, b"0"))

    def work(_: int) -> None:
        records = open_records()
        for _ in range(200):
            while True:
                found = records.read("kind", "n")
                assert found
                value = b"%d" % (int(found.value) + 1)
                if records.apply(put("n", found.version, value)):
                    break

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert read_value(open_records(), "n") == b"1600"


@pytest.mark.usefixtures("interrupted")
def test_what_is_due_is_taken_once_among_threads(open_records: OpenRecords) -> None:
    open_records().apply(*(put(str(n), due=n) for n in range(400)))
    taken: list[str] = []

    def work(_: int) -> None:
        records = open_records()
        while found := records.due("kind", 1000, limit=5):
            for key, record in found:
                if records.apply(Delete("kind", key, record.version)):
                    taken.append(key)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert sorted(taken, key=int) == [str(n) for n in range(400)]


@pytest.mark.usefixtures("interrupted")
def test_half_of_a_step_is_never_seen(open_records: OpenRecords) -> None:
    open_records().apply(put("a", value=b"0"), put("b", value=b"0"))
    done = threading.Event()

    def write() -> None:
        records = open_records()
        for n in range(300):
            records.apply(put("b", value=b"%d" % n), put("a", value=b"%d" % n))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    records = open_records()
    while not done.is_set():
        # b is read first, and both are written at once: a is as new as b, or newer
        b, a = read_value(records, "b"), read_value(records, "a")
        assert int(a) >= int(b)
    writer.join()


def test_looking_for_what_is_due_costs_the_same_however_many_records_there_are(
    records: Records,
) -> None:
    records.apply(put("first", due=1000))
    records.due("kind", 1)
    costs = opcodes_of(records, 1)
    for start in range(0, 5000, 500):
        records.apply(*(put(str(n), due=1001 + n) for n in range(start, start + 500)))
    assert opcodes_of(records, 1) == costs


def test_records_that_come_and_go_leave_nothing_behind(records: Records) -> None:
    def come_and_go(times: int) -> None:
        for _ in range(times):
            version = records.apply(put("lock", NEW, due=1e9))
            records.apply(Delete("kind", "lock", version))
            records.apply(put("state", due=1e9), Postpone("kind", "state", 1e8))

    come_and_go(500)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        come_and_go(2000)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000  # 10 bytes each
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("name", RECORDS)
def test_closing_gives_back_every_open_file(name: str, tmp_path: Path) -> None:
    RECORDS[name](tmp_path).close()  # the first may start a server for all tests
    before = open_files()
    for _ in range(3):
        records = RECORDS[name](tmp_path)
        records.apply(put("a"))
        assert records.read("kind", "a")
        records.close()
    eventually(lambda: open_files() <= before)


def test_who_still_asks_while_it_closes_is_answered_or_hears_that_it_is_away(
    open_records: OpenRecords,
) -> None:
    """As threads do that have just ended a job when the process stops."""
    for _ in range(10):
        records, closed = open_records(), threading.Event()

        def ask(records: Records = records, closed: threading.Event = closed) -> None:
            while not closed.is_set():
                with contextlib.suppress(StoreUnavailable):
                    records.read("kind", "a")
                    records.apply(put("a"), put("b"))

        with ThreadPoolExecutor(3) as threads:
            asking = [threads.submit(ask) for _ in range(3)]
            time.sleep(0.02)
            records.close()
            closed.set()
            for each in asking:
                each.result()


def test_an_unknown_store_is_refused_by_name() -> None:
    with pytest.raises(SiloError, match=r"'paper://desk' is no store.*memory"):
        open_records("paper://desk")


KEYS = st.sampled_from("abc")
TIMES = st.integers(0, 9).map(float)
EXPECTATIONS = st.sampled_from(["any", "new", "current", "stale"])
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, TIMES, EXPECTATIONS),
    st.tuples(st.just("delete"), KEYS, TIMES, EXPECTATIONS),
    st.tuples(st.just("postpone"), KEYS, TIMES, EXPECTATIONS),
)


@pytest.mark.parametrize("name", RECORDS)
@settings(max_examples=150)
@given(st.lists(st.lists(STEPS, min_size=1, max_size=3, unique_by=lambda s: s[1]), max_size=25))
def test_records_behave_as_a_plain_dict_would(name: str, batches: list[list[Any]]) -> None:
    with TemporaryDirectory() as folder:
        records, model = RECORDS[name](Path(folder)), dict[str, Record]()
        last = 0
        for batch in batches:
            steps = [step_of(model, *each) for each in batch]
            holds = all(expectation_holds(model, step) for step in steps)
            version = records.apply(*steps)
            assert bool(version) == holds
            if holds:
                assert version > last
                last = version
                for step in steps:
                    do(model, step, version)
            assert {key: records.read("kind", key) for key in "abc" if key in model} == model
            assert records.count("kind") == len(model)
            for now in (2.0, 5.0, 9.0):
                found = records.due("kind", now)
                assert dict(found) == {k: r for k, r in model.items() if r.due <= now}
                assert [r.due for _, r in found] == sorted(r.due for _, r in found)
        records.close()


def step_of(model: dict[str, Record], action: str, key: str, due: float, expect: str) -> Step:
    current = model[key].version if key in model else NEW
    expected = {"any": None, "new": NEW, "current": current, "stale": current + 1000}[expect]
    if action == "put":
        return Put("kind", key, str(due).encode(), due, expected)
    if action == "delete":
        return Delete("kind", key, expected)
    return Postpone("kind", key, due)


def expectation_holds(model: dict[str, Record], step: Step) -> bool:
    if isinstance(step, Postpone) or step.expect is None:
        return True
    return step.expect == (model[step.key].version if step.key in model else NEW)


def do(model: dict[str, Record], step: Step, version: int) -> None:
    if isinstance(step, Put):
        model[step.key] = Record(step.value, version, step.due)
    elif isinstance(step, Delete):
        model.pop(step.key, None)
    elif step.key in model:
        model[step.key] = Record(model[step.key].value, model[step.key].version, step.due)


def read_value(records: Records, key: str) -> bytes:
    found = records.read("kind", key)
    assert found
    return found.value


def opcodes_of(records: Records, now: float) -> int:
    """How many instructions Python executes to find that nothing is due."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        assert records.due("kind", now) == []
    finally:
        sys.settrace(before)
    return count
