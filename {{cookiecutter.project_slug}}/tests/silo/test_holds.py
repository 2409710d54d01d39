"""A worker that dies: its job is handed back at once where locks tell, else when its lease is over.

All clocks stand still here, and leases are long, so nothing but a lock can tell.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from backends import RECORDS, STORES
from support import Clock

from {{ cookiecutter.package_name }}.silo import __name__ as silo
from {{ cookiecutter.package_name }}.silo.errors import StoreUnavailable
from {{ cookiecutter.package_name }}.silo.records import Put, Records, Step
from {{ cookiecutter.package_name }}.silo.records import open_records as open_url
from {{ cookiecutter.package_name }}.silo.tasks.holds import Holds
from {{ cookiecutter.package_name }}.silo.tasks.jobs import DYING_SECONDS, Jobs

from .conftest import add_job, read_job

LEASE = 600.0

CLAIM = """
import sys
from {silo}.records import open_records
from {silo}.tasks.jobs import Jobs
jobs = Jobs(open_records(sys.argv[1]), lambda: float(sys.argv[3]), 600)
print(jobs.claim(sys.argv[2]).attempt, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def open_jobs(tmp_path: Path, clock: Clock) -> Iterator[Callable[[], Jobs]]:
    """Opens the jobs of one SQLite file; called again, as another process has them."""
    opened: list[Records] = []

    def open_them() -> Jobs:
        opened.append(RECORDS["sqlite"](tmp_path))
        return Jobs(opened[-1], clock, LEASE)

    yield open_them
    for records in opened:
        records.close()


@contextmanager
def worker(url: str, job_id: str, clock: Clock) -> Iterator[subprocess.Popen[str]]:
    """A process that has claimed a job, and says nothing more."""
    script = CLAIM.format(silo=silo)
    with subprocess.Popen(
        [sys.executable, "-c", script, url, job_id, str(clock())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline().strip() == "1"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("name", STORES)
def test_s31_a_job_is_handed_back_at_once_only_where_its_worker_is_known_to_be_dead(
    tmp_path: Path, clock: Clock, name: str
) -> None:
    url = STORES[name](tmp_path)
    jobs = Jobs(open_url(url), clock, LEASE)
    job_id = add_job(jobs)
    with worker(url, job_id, clock) as process:
        jobs.recover()
        assert read_job(jobs, job_id).status == "running"
        process.kill()
        process.wait()
        jobs.recover()
    if jobs.records.file_locks is None:
        assert read_job(jobs, job_id).status == "running"
        clock.advance(LEASE)
        jobs.recover()
    assert read_job(jobs, job_id).status == "queued"
    clock.advance(DYING_SECONDS)
    again = jobs.claim_next()
    assert again
    assert (again.id, again.attempt) == (job_id, 2)
    jobs.records.close()


def test_a_job_whose_worker_died_waits_until_its_child_is_dead_too(
    tmp_path: Path, clock: Clock, open_jobs: Callable[[], Jobs]
) -> None:
    jobs = open_jobs()
    job_id = add_job(jobs)
    with worker(STORES["sqlite"](tmp_path), job_id, clock) as process:
        process.kill()
        process.wait()
        jobs.recover()
    assert jobs.claim_next() is None
    clock.advance(DYING_SECONDS)
    assert jobs.claim_next()


def test_a_job_of_a_dead_process_that_nobody_else_can_run_has_failed(
    tmp_path: Path, clock: Clock, open_jobs: Callable[[], Jobs]
) -> None:
    jobs = open_jobs()
    job_id = add_job(jobs, target="")
    with worker(STORES["sqlite"](tmp_path), job_id, clock):
        pass
    jobs.recover()
    assert "The server stopped" in (read_job(jobs, job_id).error or "")


def test_a_worker_that_lives_and_is_silent_for_too_long_loses_its_job_all_the_same(
    open_jobs: Callable[[], Jobs], clock: Clock
) -> None:
    silent, other = open_jobs(), open_jobs()
    job_id = add_job(silent)
    assert silent.claim(job_id)
    clock.advance(LEASE)
    other.recover()
    assert read_job(other, job_id).status == "queued"
    assert other.claim(job_id)
    silent.recover()
    assert read_job(other, job_id).attempt == 2


def test_each_attempt_has_its_own_lock_so_an_earlier_end_frees_nobody_elses(
    open_jobs: Callable[[], Jobs], clock: Clock
) -> None:
    jobs, other = open_jobs(), open_jobs()
    job_id = add_job(jobs)
    assert jobs.claim(job_id)
    clock.advance(LEASE)
    jobs.recover()
    again = jobs.claim(job_id)
    assert again
    assert jobs.finish(job_id, "complete", "Late", attempt=1) is None
    other.recover()
    assert read_job(other, job_id).status == "running"


def test_who_looks_at_the_same_moment_hands_back_one_attempt(open_jobs: Callable[[], Jobs]) -> None:
    dead, one, other = open_jobs(), open_jobs(), open_jobs()
    job_id = add_job(dead)
    assert dead.claim(job_id)
    dead.records.close()
    seen = list(one.records.each_due("lease", one.clock() + LEASE))
    other.recover()
    one.records.each_due = lambda kind, now: iter(seen)  # type: ignore[method-assign]  # looked earlier
    one.recover()
    assert (read_job(one, job_id).status, read_job(one, job_id).attempt) == ("queued", 1)


def test_a_lock_that_cannot_be_had_leaves_the_job_to_others_until_it_is_free(
    open_jobs: Callable[[], Jobs],
) -> None:
    jobs, other = open_jobs(), open_jobs()
    job_id = add_job(jobs)
    beginning = Holds(other.records.file_locks)
    assert beginning.take(job_id, 1)
    assert jobs.claim_next() is None
    assert read_job(jobs, job_id).status == "queued"
    beginning.free(job_id, 1)
    assert jobs.claim_next()


@pytest.mark.parametrize("how", ["refused", "away"])
def test_a_claim_that_comes_to_nothing_holds_nothing(
    open_jobs: Callable[[], Jobs], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    jobs, other = open_jobs(), open_jobs()
    job_id = add_job(jobs)

    def apply(*steps: Step) -> int:
        if how == "away":
            raise StoreUnavailable
        other.cancel(job_id)
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(jobs.records, "apply", apply)
        if how == "away":
            with pytest.raises(StoreUnavailable):
                jobs.claim(job_id)
        else:
            assert jobs.claim(job_id) is None
    assert Holds(other.records.file_locks).take(job_id, 1)


def test_an_ended_job_is_held_no_longer(open_jobs: Callable[[], Jobs]) -> None:
    jobs, other = open_jobs(), open_jobs()
    ends = {add_job(jobs): jobs.hand_back, add_job(jobs): jobs.release}
    job_id = add_job(jobs)
    assert jobs.claim(job_id)
    assert jobs.finish(job_id, "complete", "Done", 1)
    for each, end in ends.items():
        assert jobs.claim(each)
        end(each, 1)
    holds = Holds(other.records.file_locks)
    assert all(holds.take(each, 1) for each in (job_id, *ends))


def test_a_lease_without_a_lock_has_to_run_out(open_jobs: Callable[[], Jobs], clock: Clock) -> None:
    """As a worker of an earlier release has it, or one that was moved here from another store."""
    jobs = open_jobs()
    job_id = add_job(jobs)
    assert jobs.claim(job_id)
    jobs.records.apply(Put("lease", job_id, b"", clock() + LEASE))
    jobs.records.close()
    other = open_jobs()
    other.recover()
    assert read_job(other, job_id).status == "running"
    clock.advance(LEASE)
    other.recover()
    assert read_job(other, job_id).status == "queued"
