"""The queue: who is next, and when; on every store."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from support import Clock

from {{ cookiecutter.package_name }}.silo.records import Records
from {{ cookiecutter.package_name }}.silo.tasks.job import Job, new_id
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.queue import PRIORITIES, WINDOW

from .conftest import OpenRecords


@pytest.fixture
def jobs(records: Records, clock: Clock) -> Jobs:
    return Jobs(records, clock, lease=15)


def put(jobs: Jobs, name: str, **terms: object) -> Job:
    job = replace(Job(id=new_id(), name=name, target="module:function"), **terms)  # type: ignore[arg-type]  # any field
    assert jobs.records.apply(*jobs.creation(job))
    return job


def claimed(jobs: Jobs, times: int) -> list[str]:
    """The names of the next jobs, each finished before the next is claimed."""
    names = []
    for _ in range(times):
        job = jobs.claim_next()
        assert job
        assert jobs.finish(job.id, "complete", "Done", job.attempt)
        names.append(job.name)
    return names


def test_first_come_first_served(jobs: Jobs, clock: Clock) -> None:
    for name in "abc":
        put(jobs, name)
        clock.advance(0.001)
    assert claimed(jobs, 3) == ["a", "b", "c"]
    assert jobs.claim_next() is None


def test_jobs_of_the_same_moment_keep_their_order(jobs: Jobs) -> None:
    for name in "abcdef":
        put(jobs, name)
    assert claimed(jobs, 6) == list("abcdef")


def test_higher_priority_comes_first(jobs: Jobs) -> None:
    put(jobs, "low", priority="low")
    put(jobs, "normal")
    put(jobs, "high", priority="high")
    assert [job.name for job in jobs.peek()] == ["high", "normal", "low"]
    assert claimed(jobs, 3) == ["high", "normal", "low"]


def test_peeking_takes_nothing(jobs: Jobs) -> None:
    put(jobs, "a")
    put(jobs, "b")
    assert [job.name for job in jobs.peek(limit=1)] == ["a"]
    assert claimed(jobs, 2) == ["a", "b"]


def test_a_session_with_many_jobs_does_not_hold_up_the_others(jobs: Jobs, clock: Clock) -> None:
    for _ in range(100):
        put(jobs, "greedy", owner="greedy")
    clock.advance(1)
    put(jobs, "modest", owner="modest")
    clock.advance(1)
    assert claimed(jobs, 1) == ["greedy"]
    clock.advance(1)
    assert claimed(jobs, 2) == ["modest", "greedy"]


def test_a_delayed_job_waits_its_time(jobs: Jobs, clock: Clock) -> None:
    put(jobs, "later", delay=60)
    assert jobs.queue.is_empty()
    assert jobs.claim_next() is None
    clock.advance(60)
    assert claimed(jobs, 1) == ["later"]


def test_a_job_is_tried_again_ever_later_and_not_more_often_than_it_may(
    jobs: Jobs, clock: Clock
) -> None:
    job = put(jobs, "flaky", retries=2, backoff=10)
    for wait in (10, 20):
        running = jobs.claim_next()
        assert running
        assert jobs.retry(running.id, running.attempt)
        clock.advance(wait - 1)
        assert jobs.claim_next() is None
        clock.advance(1)
    last = jobs.claim_next()
    assert last
    assert last.attempt == 3
    assert jobs.retry(last.id, last.attempt) is None
    assert jobs.is_active(job.id)


def test_a_cancelled_job_leaves_the_queue(jobs: Jobs) -> None:
    job = put(jobs, "never", priority="low")
    assert jobs.cancel(job.id)
    assert jobs.queue.is_empty()
    assert jobs.claim_next() is None


def test_a_worker_that_stops_in_good_order_costs_no_attempt(jobs: Jobs) -> None:
    put(jobs, "deployed over", attempts=2)
    for _ in range(5):
        running = jobs.claim_next()
        assert running
        jobs.release(running.id, running.attempt)
    last = jobs.claim_next()
    assert last
    assert last.attempt < last.attempts


def test_a_silent_worker_costs_an_attempt_and_the_last_one_fails_the_job(
    jobs: Jobs, clock: Clock
) -> None:
    job = put(jobs, "poison", attempts=2)
    for _ in range(2):
        assert jobs.claim_next()
        clock.advance(15)
        jobs.recover()
    assert jobs.claim_next() is None
    ended = jobs.read(job.id)
    assert ended
    assert ended.status == "failed"
    assert "start it again" in (ended.error or "")


def test_a_worker_that_renews_its_lease_keeps_its_job(jobs: Jobs, clock: Clock) -> None:
    job = put(jobs, "long")
    assert jobs.claim_next()
    for _ in range(10):
        clock.advance(10)
        jobs.renew(job.id)
        jobs.recover()
    assert jobs.is_active(job.id)
    assert jobs.claim_next() is None


def test_finished_jobs_are_dropped_when_nobody_refers_to_them(jobs: Jobs, clock: Clock) -> None:
    gone, kept = put(jobs, "gone"), put(jobs, "kept")
    claimed(jobs, 2)
    clock.advance(jobs.retain)
    jobs.sweep(lambda job: job.id == kept.id)
    assert jobs.read(gone.id) is None
    assert jobs.read(kept.id)


@pytest.mark.parametrize("sessions", [1, 7, 300])
def test_a_claim_costs_the_same_however_many_wait(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, sessions: int
) -> None:
    for number in range(300):
        put(jobs, str(number), owner=str(number % sessions))
    asked: list[int] = []
    due, read = jobs.records.due, jobs.records.read

    def counting(kind: str, now: float, limit: int = 100) -> object:
        found = due(kind, now, limit)
        asked.append(len(found))
        return found

    def counting_one(kind: str, key: str) -> object:
        asked.append(1)
        return read(kind, key)

    monkeypatch.setattr(jobs.records, "due", counting)
    monkeypatch.setattr(jobs.records, "read", counting_one)
    for _ in range(20):
        asked.clear()
        assert jobs.claim_next()
        assert sum(asked) <= 2 * WINDOW


def test_a_claim_looks_at_few_when_each_waits_for_the_first_time(
    jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        clock.advance(1)
        put(jobs, str(number), owner=str(number))
    asked: list[str] = []
    read = jobs.records.read

    def counting(kind: str, key: str) -> object:
        asked.append(kind)
        return read(kind, key)

    monkeypatch.setattr(jobs.records, "read", counting)
    assert [job and job.name for job in claims(jobs, 20)] == [str(n) for n in range(20)]
    assert asked.count("served") == 20
    left = list(jobs.queue.waiting())
    assert len(left) == len(set(left)) == 80


def claims(jobs: Jobs, times: int) -> list[Job | None]:
    return [jobs.claim_next() for _ in range(times)]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_is_that_of_all_compared(jobs: Jobs, clock: Clock, seed: int) -> None:
    """Whatever came and was served before: by priority, then by the later of both moments."""
    chance = random.Random(seed)
    came: dict[str, tuple[int, float, int]] = {}
    served: dict[str, float] = {}
    owners: dict[str, str] = {}
    for number in range(60):
        clock.advance(chance.choice((0, 0.5, 2)))
        owner, priority = chance.choice("abcd"), chance.choice(PRIORITIES)
        job = put(jobs, str(number), owner=owner, priority=priority)
        came[job.id] = PRIORITIES.index(priority), clock(), number
        owners[job.id] = owner
        if chance.random() < 0.4:
            taken = jobs.claim_next()
            assert taken
            assert taken.id == first(came, owners, served)
            del came[taken.id]
            served[taken.owner or ""] = clock()
    while came:
        expected = first(came, owners, served)
        clock.advance(chance.choice((0, 1)))
        taken = jobs.claim_next()
        assert taken
        assert taken.id == expected
        del came[taken.id]
        served[taken.owner or ""] = clock()


def first(
    came: dict[str, tuple[int, float, int]], owners: dict[str, str], served: dict[str, float]
) -> str:
    """The job whose turn it is."""

    def turn(job_id: str) -> tuple[int, float, float, int]:
        priority, moment, number = came[job_id]
        return priority, max(moment, served.get(owners[job_id], 0.0)), moment, number

    return min(came, key=turn)


def test_what_waits_outlives_a_restart(open_records: OpenRecords, clock: Clock) -> None:
    """Priority, delay and retries are the job's own, whoever opens the store next."""
    before = Jobs(open_records(), clock, lease=15)
    put(before, "flaky", retries=1, backoff=30)
    running = before.claim_next()
    assert running
    assert before.retry(running.id, running.attempt)
    put(before, "delayed", delay=60)
    put(before, "normal")
    put(before, "high", priority="high")
    after = Jobs(open_records(), clock, lease=15)
    assert claimed(after, 2) == ["high", "normal"]
    assert after.claim_next() is None
    clock.advance(30)
    assert claimed(after, 1) == ["flaky"]
    clock.advance(30)
    assert claimed(after, 1) == ["delayed"]
