"""Runners whose store is away for a while: jobs go on, and their ends are told later."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import targets
from backends import RUNNERS
from support import Absent, Clock, eventually

from {{ cookiecutter.package_name }}.silo.errors import StoreUnavailable
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords
from {{ cookiecutter.package_name }}.silo.tasks.base import Call, Runner
from {{ cookiecutter.package_name }}.silo.tasks.job import Job
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.outage import insist

LEASE = 15.0


@pytest.fixture
def store() -> Absent:
    return Absent(MemoryRecords())


@pytest.fixture
def jobs(store: Absent, clock: Clock) -> Jobs:
    return Jobs(store, clock, LEASE)


@pytest.fixture(params=[name for name in RUNNERS if name.startswith(("thread", "process"))])
def runner(request: pytest.FixtureRequest, jobs: Jobs) -> Iterator[Runner]:
    runner = RUNNERS[request.param](jobs)
    yield runner
    runner.stop()


def status(jobs: Jobs, job_id: str) -> str:
    job = jobs.read(job_id)
    assert job
    return job.status


def begun(runner: Runner, target: Callable[..., object], *args: object) -> Job:
    """A job that is told to be at work."""
    job = runner.start("task", Call(target, args))
    at_work = eventually(lambda: progressed(runner.jobs, job.id))
    assert at_work
    return at_work


def progressed(jobs: Jobs, job_id: str) -> Job | None:
    job = jobs.read(job_id)
    return job if job and job.progress else None


def end_while_away(store: Absent, gate: Path, asked: int) -> None:
    """Let the target go on, and the store come back once it has refused more than so often."""
    store.away = True
    gate.touch()
    eventually(lambda: store.refused > asked)
    store.away = False


def test_s34_a_job_that_ends_meanwhile_is_told_later(
    runner: Runner, store: Absent, gate: Path
) -> None:
    """Once, with all that it has said."""
    job = begun(runner, targets.reports, str(gate))
    end_while_away(store, gate, asked=8)
    eventually(lambda: status(runner.jobs, job.id) != "running")
    found = runner.jobs.read(job.id)
    assert found
    assert (found.status, found.result, found.attempt) == ("complete", "result", 1)
    assert found.logs == ["line one", "line two"]


def test_s34_a_job_that_fails_meanwhile_is_told_later(
    runner: Runner, store: Absent, gate: Path
) -> None:
    job = begun(runner, targets.refuses_later, str(gate))
    end_while_away(store, gate, asked=5)
    eventually(lambda: status(runner.jobs, job.id) == "failed")
    found = runner.jobs.read(job.id)
    assert found
    assert found.error == "Not this one."


def test_s34_an_end_that_comes_too_late_is_not_heard(
    runner: Runner, store: Absent, gate: Path, clock: Clock
) -> None:
    """The lease was over, and somebody else has begun anew."""
    job = begun(runner, targets.reports, str(gate))
    others = Jobs(store._records, clock, LEASE)
    store.away = True
    others.hand_back(job.id, job.attempt)
    if again := others.claim(job.id):
        assert again.attempt == 2
    gate.touch()
    eventually(lambda: store.refused > 5)
    store.away = False
    if again:
        assert others.finish(job.id, "complete", "By another", again.attempt, "theirs")
    before = others.read(job.id)
    runner.stop()
    assert others.read(job.id) == before


def test_lines_whose_answer_was_lost_are_told_once(store: Absent, gate: Path, jobs: Jobs) -> None:
    runner = RUNNERS["process"](jobs)
    try:
        job = begun(runner, targets.gated_lines, str(gate))
        store.deaf = True
        gate.touch()
        eventually(lambda: told(jobs, job.id))
        eventually(lambda: store.refused)
        store.deaf = False
        eventually(lambda: status(jobs, job.id) == "complete")
        found = jobs.read(job.id)
        assert found
        assert found.logs == ["line 0", "line 1", "line 2"]
    finally:
        runner.stop()


def told(jobs: Jobs, job_id: str) -> list[str]:
    job = jobs.read(job_id)
    return job.logs if job else []


def test_s35_a_runner_stops_though_the_store_is_away(
    runner: Runner, store: Absent, gate: Path
) -> None:
    begun(runner, targets.reports, str(gate))
    store.away = True
    stopping = threading.Thread(target=runner.stop)
    stopping.start()
    stopping.join(60)
    assert not stopping.is_alive()
    store.away = False


def test_an_outage_is_logged_once(
    store: Absent, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    runner = RUNNERS["process"](jobs)
    try:
        runner.begin()
        store.away = True
        with caplog.at_level(logging.WARNING):
            eventually(lambda: store.refused > 5)
        assert len([each for each in caplog.records if "goes on" in each.getMessage()]) == 1
    finally:
        store.away = False
        runner.stop()


def test_insisting_ends_with_the_answer_or_with_the_stop() -> None:
    stopped, left = threading.Event(), iter(range(3, 0, -1))

    def answer() -> str:
        if next(left) > 1:
            raise StoreUnavailable
        return "there"

    assert insist(answer, stopped) == "there"
    stopped.set()
    left = iter(range(3, 0, -1))
    with pytest.raises(StoreUnavailable):
        insist(answer, stopped)
