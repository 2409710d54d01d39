"""Jobs: claimed once, ended once, taken from a silent worker, and deaf to it afterwards."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import Absent, Clock, eventually

from {{ cookiecutter.package_name }}.silo import SessionStore
from {{ cookiecutter.package_name }}.silo.errors import StoreUnavailable
from {{ cookiecutter.package_name }}.silo.records import Delete, Put, Records
from {{ cookiecutter.package_name }}.silo.tasks.job import Job
from {{ cookiecutter.package_name }}.silo.tasks.jobs import INTERRUPTED, Jobs
from {{ cookiecutter.package_name }}.silo.tasks.news import JobNews

from .conftest import LEASE, OpenRecords, add_job, read_job


@pytest.fixture
def jobs(records: Records, clock: Clock) -> Jobs:
    """The jobs of the test's records, with leases of 15 s."""
    return Jobs(records, clock, LEASE)


def claim(jobs: Jobs, job_id: str) -> Job:
    job = jobs.claim(job_id)
    assert job
    return job


def test_a_new_job_waits(jobs: Jobs, clock: Clock) -> None:
    job = read_job(jobs, add_job(jobs))
    assert (job.status, job.attempt, job.created_at) == ("queued", 0, clock())
    assert job.message == "Waiting to start"
    assert jobs.is_active(job.id)
    assert not jobs.is_active("unknown")


def test_a_job_is_claimed_once_however_many_workers_try(
    open_records: OpenRecords, clock: Clock
) -> None:
    ids = [add_job(Jobs(open_records(), clock)) for _ in range(20)]
    together = threading.Barrier(8)

    def work(_: int) -> list[str]:
        jobs = Jobs(open_records(), clock)
        together.wait()
        return [job.id for job in iter(jobs.claim_next, None)]

    with ThreadPoolExecutor(8) as pool:
        claimed = [job_id for found in pool.map(work, range(8)) for job_id in found]
    assert sorted(claimed) == sorted(ids)


def test_a_job_delivered_twice_runs_once(jobs: Jobs) -> None:
    job_id = add_job(jobs)
    assert jobs.claim(job_id)
    assert jobs.claim(job_id) is None
    assert jobs.claim_next() is None


def test_no_report_of_several_threads_is_lost(open_records: OpenRecords, clock: Clock) -> None:
    job_id = add_job(Jobs(open_records(), clock))

    def work(n: int) -> None:
        jobs = Jobs(open_records(), clock)
        for line in range(20):
            jobs.report(job_id, lines=[f"{n} {line}"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    job = read_job(Jobs(open_records(), clock), job_id)
    assert sorted(job.logs) == sorted(f"{n} {line}" for n in range(4) for line in range(20))
    ids = [number for number, _ in job.lines]
    assert ids == list(range(ids[0], ids[0] + 80))
    assert sorted(job.logs) == sorted(f"{n} {line}" for n in range(4) for line in range(20))


@pytest.mark.parametrize("by", ["recover", "cleanup"])
def test_a_silent_workers_job_waits_again_at_once(jobs: Jobs, clock: Clock, by: str) -> None:
    store = SessionStore(records=jobs.records, clock=clock, lease=LEASE)
    job_id = add_job(jobs)
    claim(jobs, job_id)
    clock.advance(LEASE - 1)
    jobs.recover()
    assert read_job(jobs, job_id).status == "running"
    clock.advance(1)
    jobs.recover() if by == "recover" else store.cleanup()
    assert read_job(jobs, job_id).status == "queued"
    assert claim(jobs, job_id).attempt == 2


def test_every_report_renews_the_lease(jobs: Jobs, clock: Clock) -> None:
    job = claim(jobs, add_job(jobs))
    for progress in range(5):
        clock.advance(LEASE - 1)
        assert jobs.report(job.id, job.attempt, progress=progress)
        jobs.recover()
    assert read_job(jobs, job.id).status == "running"


def test_s32_a_late_worker_is_not_heard(jobs: Jobs, clock: Clock) -> None:
    late = claim(jobs, add_job(jobs))
    jobs.report(late.id, late.attempt, progress=30)
    clock.advance(LEASE)
    jobs.recover()
    for attempt_is_running in (False, True):
        if attempt_is_running:
            assert claim(jobs, late.id).progress == 0
        assert jobs.report(late.id, late.attempt, progress=99, lines=["late"]) is None
        assert jobs.finish(late.id, "complete", "Late", late.attempt, "late result") is None
        assert jobs.finish(late.id, "failed", "Late", late.attempt) is None
        jobs.hand_back(late.id, late.attempt)
        job = read_job(jobs, late.id)
        assert (job.status, job.result, job.logs) == (
            "running" if attempt_is_running else "queued",
            None,
            [],
        )
    assert jobs.finish(late.id, "complete", "In time", 2, "result")
    assert read_job(jobs, late.id).result == "result"


def test_a_job_that_only_its_process_could_run_fails_with_it(jobs: Jobs, clock: Clock) -> None:
    job_id = add_job(jobs, target="", attempts=2)
    claim(jobs, job_id)
    clock.advance(LEASE)
    jobs.recover()
    assert read_job(jobs, job_id).status == "failed"


def test_a_cancelled_job_of_a_silent_worker_is_cancelled(jobs: Jobs, clock: Clock) -> None:
    job_id = add_job(jobs)
    claim(jobs, job_id)
    assert jobs.cancel(job_id)
    assert read_job(jobs, job_id).message == "Cancelling…"
    clock.advance(LEASE)
    jobs.recover()
    job = read_job(jobs, job_id)
    assert (job.status, job.message, job.finished_at) == ("cancelled", "Cancelled.", clock())


@pytest.mark.parametrize("first", ["complete", "failed", "cancelled"])
def test_the_first_end_is_the_only_one(jobs: Jobs, clock: Clock, first: str) -> None:
    job = claim(jobs, add_job(jobs))
    ended = jobs.finish(job.id, first, "First", job.attempt, "result")  # type: ignore[arg-type] # parametrized
    assert ended
    clock.advance(LEASE)
    assert jobs.finish(job.id, "complete", "Second") is None
    assert jobs.finish(job.id, "failed", "Second", job.attempt) is None
    assert jobs.cancel(job.id) is None
    assert jobs.report(job.id, progress=1, message="Second", lines=["Second"]) is None
    jobs.hand_back(job.id, job.attempt)
    jobs.recover()
    assert read_job(jobs, job.id) == ended
    assert jobs.records.count("lease") == 0


def test_a_job_that_is_gone_is_nobodys_trouble(jobs: Jobs) -> None:
    assert jobs.claim("gone") is None
    assert jobs.report("gone", 1, progress=1) is None
    assert jobs.finish("gone", "complete", "Done", 1) is None
    assert jobs.cancel("gone") is None
    jobs.hand_back("gone", 1)
    jobs.renew("gone")
    assert jobs.records.count("lease") == 0


def test_many_silent_workers_are_found_in_one_pass(jobs: Jobs, clock: Clock) -> None:
    ids = [add_job(jobs) for _ in range(150)]
    for job_id in ids:
        claim(jobs, job_id)
    clock.advance(LEASE)
    jobs.recover()
    assert {read_job(jobs, job_id).status for job_id in ids} == {"queued"}


def hear(jobs: Jobs, job_id: str, seen: int) -> list[tuple[str, int]]:
    """The names and ids of what somebody hears who has heard up to `seen`."""
    told = JobNews(job_id).news(jobs.records.read("job", job_id), seen)
    return [(each.name, each.id) for each in told.events]


def test_what_is_told_of_a_job_has_rising_ids_over_all_its_attempts(jobs: Jobs) -> None:
    job_id = add_job(jobs)
    start = read_job(jobs, job_id).events
    assert hear(jobs, job_id, 0) == [("progress", start)]
    claim(jobs, job_id)
    jobs.report(job_id, 1, progress=10, lines=["one", "two"])
    jobs.hand_back(job_id, 1)
    claim(jobs, job_id)
    jobs.report(job_id, 2, lines=["three"])
    first = [("log", start + 2), ("log", start + 3)]
    assert hear(jobs, job_id, start) == [*first, ("progress", start + 6), ("log", start + 7)]
    assert hear(jobs, job_id, start + 6) == [("log", start + 7)]
    jobs.finish(job_id, "complete", "Done", 2)
    end = ("complete", start + 8)
    assert hear(jobs, job_id, start + 6) == [("log", start + 7), end]
    assert hear(jobs, job_id, start + 8) == []


def test_a_report_that_changes_nothing_is_no_news(jobs: Jobs) -> None:
    job_id = add_job(jobs)
    claim(jobs, job_id)
    before = jobs.report(job_id, 1, 10, "Reading")
    after = jobs.report(job_id, 1, 10.01, "Reading")
    assert before
    assert after
    assert after.events == before.events
    assert hear(jobs, job_id, after.events) == []


def test_a_job_that_another_release_has_stored_is_read(jobs: Jobs) -> None:
    stored = b'{"id": "1", "name": "task", "status": "complete", "logs": ["Line"], "logged": 1}'
    jobs.records.apply(Put("job", "1", stored, 10.0))
    assert (read_job(jobs, "1").status, read_job(jobs, "1").logs) == ("complete", [])
    assert hear(jobs, "1", 5) == []


# What a store may forget in the end


def sweep(jobs: Jobs, clock: Clock) -> None:
    clock.advance(jobs.retain + 1)
    jobs.sweep(lambda _: True)


def test_s26_a_running_job_whose_lease_is_forgotten_runs_again(jobs: Jobs, clock: Clock) -> None:
    job_id = add_job(jobs)
    assert jobs.claim(job_id)
    jobs.records.apply(Delete("lease", job_id))
    sweep(jobs, clock)
    again = jobs.claim_next()
    assert again
    assert (again.id, again.attempt) == (job_id, 2)


def test_s26_a_waiting_job_whose_place_is_forgotten_gets_one_again(
    jobs: Jobs, clock: Clock
) -> None:
    job_id, other = add_job(jobs), add_job(jobs)
    jobs.records.apply(jobs.queue.leaving(job_id, "normal"))
    sweep(jobs, clock)
    sweep(jobs, clock)
    found = [jobs.claim_next() for _ in range(3)]
    assert [job and job.id for job in found] == [other, job_id, None]


def test_s26_a_job_of_a_process_that_is_gone_fails_though_its_lease_is_forgotten(
    jobs: Jobs, clock: Clock
) -> None:
    job_id = add_job(jobs, target="")
    jobs.records.apply(Delete("lease", job_id))
    sweep(jobs, clock)
    job = read_job(jobs, job_id)
    assert (job.status, job.error) == ("failed", INTERRUPTED)


def test_a_sweep_leaves_alone_what_lacks_nothing(jobs: Jobs, clock: Clock) -> None:
    waiting, running = add_job(jobs), add_job(jobs)
    assert jobs.claim(running)
    before = jobs.read(waiting), jobs.read(running)
    sweep(jobs, clock)
    assert (jobs.read(waiting), jobs.read(running)) == before


def test_a_job_of_this_process_that_is_cancelled_while_it_waits_has_no_lease(jobs: Jobs) -> None:
    job_id = add_job(jobs, target="")
    assert jobs.leases.read(job_id)
    job = jobs.cancel(job_id)
    assert job
    assert job.status == "cancelled"
    assert jobs.leases.read(job_id) is None


# A store that is away


def test_s34_after_an_absence_of_the_store_workers_have_a_lease_s_time_to_speak(
    records: Records, clock: Clock
) -> None:
    absent = Absent(records)
    jobs = Jobs(absent, clock, 0.2)
    job_id = add_job(jobs)
    assert jobs.claim(job_id)
    absent.away = True
    clock.advance(60)
    with pytest.raises(StoreUnavailable):
        jobs.recover()
    absent.away = False
    jobs.recover()
    job = read_job(jobs, job_id)
    assert job.status == "running"
    jobs.renew(job_id)
    clock.advance(60)
    assert eventually(lambda: recovered(jobs, job_id) == "queued")


def test_s36_of_two_that_look_for_the_silent_at_once_one_hands_a_job_back(
    records: Records, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other has seen the same lease run out, and comes when the job waits, or is claimed."""
    jobs, late = Jobs(records, clock, LEASE), Jobs(records, clock, LEASE)
    job_id = add_job(jobs)
    claim(jobs, job_id)
    clock.advance(LEASE + 1)
    seen = list(records.each_due("lease", clock()))
    jobs.recover()
    monkeypatch.setattr(records, "each_due", lambda kind, now: iter(seen))
    late.recover()
    assert read_job(jobs, job_id).status == "queued"
    claim(jobs, job_id)
    late.recover()
    job = read_job(jobs, job_id)
    assert (job.status, job.attempt) == ("running", 2)


def recovered(jobs: Jobs, job_id: str) -> str:
    jobs.recover()
    return read_job(jobs, job_id).status
