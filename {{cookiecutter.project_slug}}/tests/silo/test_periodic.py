"""Jobs that come back, across processes and restarts; on every store."""

from __future__ import annotations

from pathlib import Path

import pytest
from backends import RECORDS
from support import Clock, eventually
from targets import nothing

from {{ cookiecutter.package_name }}.silo.records import Records
from {{ cookiecutter.package_name }}.silo.tasks.crew import Crew
from {{ cookiecutter.package_name }}.silo.tasks.job import Job
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.process import ProcessRunner
from {{ cookiecutter.package_name }}.silo.tasks.slots import Slots


class Quiet(ProcessRunner):
    """A runner that stores what is due and starts no threads, so that a test can count."""

    def begin(self) -> None:
        pass


def runner(records: Records, clock: Clock) -> Quiet:
    quiet = Quiet(Jobs(records, clock), Slots(1), Crew())
    quiet.every(60, nothing, name="tidy")
    return quiet


def finish_next(runner: Quiet) -> Job:
    job = runner.jobs.claim_next()
    assert job
    assert runner.jobs.finish(job.id, "complete", "Done", job.attempt)
    return job


def test_it_starts_every_so_many_seconds(records: Records, clock: Clock) -> None:
    quiet = runner(records, clock)
    quiet.tick()
    assert quiet.jobs.peek() == []
    for _ in range(3):
        clock.advance(60)
        quiet.tick()
        assert finish_next(quiet).target == "targets:nothing"
    assert quiet.jobs.peek() == []


def test_several_processes_start_it_once(tmp_path: Path, clock: Clock) -> None:
    for name, opened in RECORDS.items():
        first, second = (runner(opened(tmp_path / name), clock) for _ in range(2))
        clock.advance(60)
        first.tick()
        second.tick()
        assert len(first.jobs.peek()) == 1, name


def test_it_outlives_a_restart_and_makes_up_for_the_time_between_once(
    tmp_path: Path, clock: Clock
) -> None:
    runner(RECORDS["sqlite"](tmp_path), clock).jobs.records.close()
    clock.advance(60 * 24)
    again = runner(RECORDS["sqlite"](tmp_path), clock)
    again.tick()
    again.tick()
    assert len(again.jobs.peek()) == 1


def test_a_beat_is_left_out_while_the_last_job_still_runs(records: Records, clock: Clock) -> None:
    quiet = runner(records, clock)
    clock.advance(60)
    quiet.tick()
    clock.advance(60)
    quiet.tick()
    assert len(quiet.jobs.peek()) == 1
    finish_next(quiet)
    clock.advance(60)
    quiet.tick()
    assert len(quiet.jobs.peek()) == 1


def test_a_changed_interval_counts_from_now(records: Records, clock: Clock) -> None:
    runner(records, clock)
    clock.advance(30)
    quiet = Quiet(Jobs(records, clock), Slots(1), Crew())
    quiet.every(5, nothing, name="tidy")
    clock.advance(5)
    quiet.tick()
    assert len(quiet.jobs.peek()) == 1


@pytest.mark.parametrize("seconds", [0.05])
def test_a_real_runner_runs_it_again_and_again(tmp_path: Path, seconds: float) -> None:
    real = ProcessRunner(Jobs(RECORDS["sqlite"](tmp_path)), Slots(1), Crew(preload=["targets"]))
    try:
        real.every(seconds, nothing)
        eventually(lambda: real.jobs.records.count("job") >= 2)
    finally:
        real.stop()
