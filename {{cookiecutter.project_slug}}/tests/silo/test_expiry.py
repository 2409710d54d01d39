"""Expiry: at its time, exactly once, with everything that belongs to the session."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock

import pytest
from support import Absent, Clock, eventually

from {{ cookiecutter.package_name }}.silo import BackgroundTask, SessionStore
from {{ cookiecutter.package_name }}.silo.errors import StoreUnavailable
from {{ cookiecutter.package_name }}.silo.sessions.ids import SessionKey, session_key
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords
from {{ cookiecutter.package_name }}.silo.tasks.base import Reporter
from {{ cookiecutter.package_name }}.silo.tasks.job import decode
from {{ cookiecutter.package_name }}.silo.tasks.queue import SERVED_SECONDS

from .conftest import LEASE, RETAIN, TTL, OpenStore, add_job

SID = "a-session-of-a-client"


def test_a_session_ends_at_its_time_and_not_before(store: SessionStore, clock: Clock) -> None:
    store.get(SID)
    clock.advance(TTL - 0.5)
    assert store.cleanup() == []
    assert store.exists(SID)
    clock.advance(0.5)
    assert store.cleanup() == [SID]
    assert not store.exists(SID)
    assert (store.active_count, store.expired_count) == (0, 1)
    assert store.cleanup() == []


def test_one_pass_ends_all_that_are_due_and_no_other(store: SessionStore, clock: Clock) -> None:
    old = [f"old {n}" for n in range(250)]
    for sid in old:
        store.get(sid)
    clock.advance(TTL / 2)
    store.get("young")
    clock.advance(TTL / 2)
    assert sorted(store.cleanup()) == sorted(old)
    assert store.exists("young")
    clock.advance(RETAIN)
    assert store.cleanup() == ["young"]
    assert store.expired_count == 1


def test_one_pass_forgets_all_that_were_served_long_ago(store: SessionStore, clock: Clock) -> None:
    queue = store.runner.jobs.queue
    for n in range(250):
        store.records.apply(*queue.serving(f"old {n}"))
    clock.advance(SERVED_SECONDS - 1)
    store.records.apply(*queue.serving("young"))
    store.cleanup()
    assert store.records.count("served") == 251
    clock.advance(1)
    store.cleanup()
    assert [owner for owner, _ in store.records.each("served")] == ["young"]


def test_on_create_and_on_expire_are_called_once_a_life(store: SessionStore, clock: Clock) -> None:
    lives: list[str] = []
    store.on_create(lambda sid: lives.append(f"+{sid}"))
    store.on_expire(lambda sid: lives.append(f"-{sid}"))
    for _ in range(2):
        store.get(SID)
        with store.transaction(SID):
            pass
        store.reset(SID)
        clock.advance(TTL)
        store.cleanup()
        store.cleanup()
    store.get(SID)
    store.destroy(SID)
    assert lives == [f"+{SID}", f"-{SID}", f"+{SID}", f"-{SID}", f"+{SID}"]


def test_a_session_is_created_once_however_many_ask_at_once(open_store: OpenStore) -> None:
    created: list[str] = []
    stores = [open_store(), open_store()]
    for store in stores:
        store.on_create(created.append)
    together = threading.Barrier(8)

    def ask(n: int) -> None:
        together.wait()
        stores[n % 2].get(SID)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert created == [SID]


def test_s36_several_cleaners_end_each_session_once(open_store: OpenStore, clock: Clock) -> None:
    ended: list[str] = []
    removed: list[SessionKey] = []
    stores = [open_store() for _ in range(4)]
    sids = [f"session {n}" for n in range(60)]
    for sid in sids:
        stores[0].get(sid)
    for store in stores:
        store.on_expire(ended.append)
        store.on_remove(removed.append)
    clock.advance(TTL)
    together = threading.Barrier(8)

    def clean(n: int) -> list[str]:
        together.wait()
        return stores[n % 4].cleanup()

    with ThreadPoolExecutor(8) as pool:
        returned = [sid for found in pool.map(clean, range(8)) for sid in found]
    assert sorted(returned) == sorted(ended) == sorted(sids)
    assert set(removed) == {session_key(sid) for sid in sids}


def test_a_callback_that_fails_stops_nothing(
    store: SessionStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[str] = []

    def fail(sid: str) -> None:
        raise RuntimeError("callback")

    store.on_create(fail)
    store.on_expire(fail)
    store.on_expire(ended.append)
    store.get("one")
    store.get("two")
    assert "RuntimeError: callback" in caplog.text
    clock.advance(TTL)
    assert sorted(store.cleanup()) == sorted(ended) == ["one", "two"]


def test_a_busy_session_is_spared_and_begins_its_time_anew(
    store: SessionStore, clock: Clock
) -> None:
    asked: list[Any] = []
    busy = {"busy"}

    def check(sid: str, state: dict[str, Any]) -> bool:
        asked.append(state)
        return sid in busy

    store.set_busy_check(check)
    store.get("busy")
    store.get("idle")
    clock.advance(TTL)
    assert store.cleanup() == ["idle"]
    assert store.exists("busy")
    assert asked[0] == {"counter": {"value": 0}}
    busy.clear()
    clock.advance(TTL - 1)
    assert store.cleanup() == []
    clock.advance(1)
    assert store.cleanup() == ["busy"]


def test_a_busy_session_lives_between_passes_too(store: SessionStore, clock: Clock) -> None:
    store.set_busy_check(lambda sid, state: True)
    with store.transaction(SID) as state:
        state["counter"]["value"] = 5
    clock.advance(3 * TTL)
    assert store.get(SID)["counter"]["value"] == 5
    assert not store.is_expired(SID)


def test_a_session_with_a_task_is_busy_by_itself(open_store: OpenStore, clock: Clock) -> None:
    store, go = open_store(lease=10 * TTL), threading.Event()
    store.register_namespace("work", lambda: {"task": BackgroundTask("wait")})
    with store.transaction(SID) as state:
        state["work"]["task"].start(lambda task: go.wait(60) and None)
    clock.advance(TTL)
    assert store.cleanup() == []
    assert store.exists(SID)
    go.set()
    task = store.get(SID)["work"]["task"]
    eventually(lambda: task.is_complete)
    clock.advance(TTL)
    assert store.cleanup() == [SID]


def test_whoever_hears_that_a_destroyed_session_s_job_was_cancelled_finds_no_session(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, go, found = open_store(), threading.Event(), list[bool]()
    store.register_namespace("work", lambda: {"task": BackgroundTask("wait")})
    with store.transaction(SID) as state:
        state["work"]["task"].start(lambda task: go.wait(60) and None)
    cancel = store.runner.cancel

    def cancelled(job_id: str) -> Any:
        found.append(store.exists(SID))
        return cancel(job_id)

    monkeypatch.setattr(store.runner, "cancel", cancelled)
    store.destroy(SID)
    go.set()
    assert found == [False]


def test_a_session_that_somebody_works_on_is_left_to_the_next_pass(
    open_store: OpenStore, clock: Clock
) -> None:
    cleaner, server = open_store(), open_store()
    server.get(SID)
    clock.advance(TTL - 1)
    held = server.begin(SID)
    held.state["counter"]["value"] = 5
    clock.advance(1)
    assert cleaner.cleanup() == []
    held.commit()
    assert cleaner.cleanup() == []
    assert cleaner.get(SID)["counter"]["value"] == 5


def test_what_belongs_to_a_session_goes_with_it(store: SessionStore, clock: Clock) -> None:
    removed: list[SessionKey] = []
    store.on_remove(removed.append)
    store.get(SID)
    assert removed == []
    clock.advance(TTL)
    store.cleanup()
    assert removed == [session_key(SID)]


def test_s32_the_jobs_of_a_session_go_with_it(store: SessionStore, clock: Clock) -> None:
    store.register_namespace("work", lambda: {"task": BackgroundTask("quick")})
    with store.transaction(SID) as state:
        state["work"]["task"].start(lambda task: None)
    task = store.get(SID)["work"]["task"]
    eventually(lambda: task.is_complete)
    clock.advance(TTL)
    store.cleanup()
    assert store.records.count("job") == 0
    assert task.state.status == "idle"


def test_nobody_has_a_session_that_is_reset_before_its_files_are_gone(store: SessionStore) -> None:
    """They would be taken for those that the reset has to remove."""
    meanwhile: list[object] = []
    store.on_remove(lambda key: meanwhile.append(store.locks.take(key)))
    store.get(SID)
    store.reset(SID)
    assert meanwhile == [None]
    with store.transaction(SID):
        pass


def test_a_reset_whose_files_cannot_be_removed_says_so_and_keeps_nobody_out(
    store: SessionStore,
) -> None:
    trouble = [OSError("the disk went away")]

    def remove(_: SessionKey) -> None:
        if trouble:
            raise trouble.pop()

    store.on_remove(remove)
    store.get(SID)
    with pytest.raises(OSError, match="the disk went away"):
        store.reset(SID)
    store.reset(SID)


def test_s34_a_pass_that_meets_an_absent_store_gives_workers_a_lease_s_time(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    absent = Absent(MemoryRecords())
    store = SessionStore(records=absent, clock=clock, lease=LEASE)
    jobs = store.runner.jobs
    jobs.claim(add_job(jobs))
    absent.away = True
    clock.advance(LEASE + 1)
    with pytest.raises(StoreUnavailable):
        store.cleanup()
    assert "Traceback" not in caplog.text, "whoever asked for the pass says so, once"
    absent.away = False
    store.cleanup()
    [job] = [decode(record) for _, record in absent.each("job")]
    assert (job.status, job.attempt) == ("running", 1)


def test_a_pass_ends_sessions_though_the_jobs_cannot_be_looked_after(
    store: SessionStore,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store.runner, "tick", Mock(side_effect=ValueError("no such job")))
    store.get(SID)
    clock.advance(TTL)
    assert store.cleanup() == [SID]
    assert "no such job" in caplog.text


def test_s32_reset_and_destroy_cancel_tasks(store: SessionStore) -> None:
    def ends_when_cancelled(task: Reporter) -> None:
        while True:
            task.update(message="still at it")

    store.register_namespace("work", lambda: {"task": BackgroundTask("endless")})
    for end in (store.reset, store.destroy):
        with store.transaction(SID) as state:
            state["work"]["task"].start(ends_when_cancelled)
        task = store.get(SID)["work"]["task"]
        eventually(lambda task=task: task.state.message == "still at it")  # type: ignore[misc]
        end(SID)
        eventually(lambda task=task: task.state.status == "cancelled")  # type: ignore[misc]
        assert store.get(SID)["work"]["task"].state.status == "idle"


@pytest.mark.parametrize("delay", [0, 3600], ids=["runs", "waits"])
def test_a_session_that_lives_by_its_job_has_its_time_from_the_end_of_it(
    store: SessionStore, clock: Clock, delay: float
) -> None:
    """Or its report would be gone before anybody could have seen it."""
    go_on = threading.Event()
    store.register_namespace("work", lambda: {"task": BackgroundTask("work", delay=delay)})
    with store.transaction(SID) as state:
        state["work"]["task"].start(lambda task: go_on.wait(60))
    task = store.get(SID)["work"]["task"]
    clock.advance(TTL + 1)
    assert store.exists(SID)
    if delay:
        task.cancel()
    go_on.set()
    eventually(lambda: not task.is_running)
    clock.advance(TTL - 1)
    assert store.cleanup() == []
    clock.advance(1)
    assert store.cleanup() == [SID]


def test_a_late_look_spares_a_session_that_somebody_begins_anew(
    store: SessionStore, clock: Clock
) -> None:
    store.get(SID)
    clock.advance(TTL)
    store.cleanup()
    removed: list[SessionKey] = []
    store.on_remove(removed.append)
    clock.advance(LEASE)
    hold = store.locks.take(session_key(SID))
    assert hold
    store.cleanup()
    assert removed == []
    store.locks.abandon(hold)
    store.cleanup()
    assert removed == [session_key(SID)]


@pytest.mark.parametrize("end", ["expire", "destroy"])
def test_what_a_late_writer_leaves_is_removed_after_a_while(
    store: SessionStore, clock: Clock, end: str
) -> None:
    removed: list[SessionKey] = []
    store.get(SID)
    if end == "expire":
        clock.advance(TTL)
        store.cleanup()
    else:
        store.destroy(SID)
    store.on_remove(removed.append)
    store.cleanup()
    assert removed == []
    clock.advance(LEASE)
    store.cleanup()
    assert removed == [session_key(SID)]
    store.cleanup()
    assert len(removed) == 1
    assert store.records.count("garbage") == 0


def test_the_second_look_spares_a_session_that_lives_again(
    store: SessionStore, clock: Clock
) -> None:
    removed: list[SessionKey] = []
    store.get(SID)
    clock.advance(TTL)
    store.cleanup()
    store.get(SID)
    store.on_remove(removed.append)
    clock.advance(LEASE)
    store.cleanup()
    assert removed == []


@pytest.mark.parametrize("kind", ["session", "garbage"])
def test_s36_a_pass_that_broke_off_is_made_good_by_the_next(
    store: SessionStore, clock: Clock, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    trouble = [OSError("the disk went away")]
    removed: list[SessionKey] = []

    def remove(key: SessionKey) -> None:
        if trouble and key == session_key(SID):
            raise trouble.pop()
        removed.append(key)

    if kind == "session":
        store.on_remove(remove)
    store.get(SID)
    store.get("another")
    clock.advance(TTL)
    if kind == "garbage":
        store.cleanup()
        store.on_remove(remove)
        clock.advance(LEASE)
    assert store.cleanup() == (["another"] if kind == "session" else [])
    assert removed == [session_key("another")]
    assert "the disk went away" in caplog.text
    assert store.cleanup() == ([SID] if kind == "session" else [])
    assert removed == [session_key("another"), session_key(SID)]
    assert store.records.count("session") == 0


def test_a_session_whose_files_cannot_be_removed_is_expired_all_the_same(
    store: SessionStore, clock: Clock
) -> None:
    def refuse(key: SessionKey) -> None:
        raise OSError("read-only")

    store.on_remove(refuse)
    store.get(SID)
    clock.advance(TTL)
    store.cleanup()
    assert not store.exists(SID)
    assert store.is_expired(SID)
    with pytest.raises(OSError, match="read-only"):
        store.get(SID)


def test_many_broken_sessions_do_not_hide_the_others(
    store: SessionStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def check(sid: str, state: dict[str, Any]) -> bool:
        if sid.startswith("broken"):
            raise RuntimeError("busy check")
        return False

    for n in range(150):
        store.get(f"broken {n}")
    clock.advance(1)
    store.get(SID)
    store.set_busy_check(check)
    clock.advance(TTL)
    with caplog.at_level(logging.CRITICAL):
        assert store.cleanup() == [SID]
