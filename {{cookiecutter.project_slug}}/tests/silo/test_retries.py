"""Terms of a task on real runners: delays, retries, and who is told of an error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import targets
from backends import RECORDS, RUNNERS
from support import Clock, eventually

from {{ cookiecutter.package_name }}.silo import BackgroundTask
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords
from {{ cookiecutter.package_name }}.silo.tasks.base import Call, Reporter, Runner, Terms
from {{ cookiecutter.package_name }}.silo.tasks.child import Limits
from {{ cookiecutter.package_name }}.silo.tasks.job import Job
from {{ cookiecutter.package_name }}.silo.tasks.jobs import INTERRUPTED, LONGEST_BACKOFF, Jobs
from {{ cookiecutter.package_name }}.silo.tasks.thread import ThreadRunner


@pytest.fixture(params=RUNNERS)
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runner]:
    """Each runner over a SQLite store."""
    runner = RUNNERS[request.param](Jobs(RECORDS["sqlite"](tmp_path)))
    yield runner
    runner.stop()
    runner.jobs.records.close()


def test_it_is_tried_again_until_it_succeeds_and_each_error_is_told(
    runner: Runner, tmp_path: Path
) -> None:
    told: list[tuple[int, str]] = []

    def tell(job: Job, trace: str) -> None:
        told.append((job.attempt, trace))

    runner.on_error(tell)
    task = BackgroundTask("flaky", runner=runner, retries=5, backoff=0.01)
    task.start(targets.succeed_at, 3, str(tmp_path / "tries"))
    eventually(lambda: not task.is_running)
    assert task.is_complete
    assert task.state.attempt == 3
    assert [attempt for attempt, _ in told] == [1, 2]
    assert all("Traceback" in trace and "not yet" in trace for _, trace in told)


def test_without_retries_left_it_has_failed(runner: Runner, tmp_path: Path) -> None:
    task = BackgroundTask("flaky", runner=runner, retries=1, backoff=0.01)
    task.start(targets.succeed_at, 9, str(tmp_path / "tries"))
    eventually(lambda: not task.is_running)
    assert task.is_failed
    assert task.state.attempt == 2


def test_s34_a_job_whose_files_are_away_is_tried_again_by_itself(
    runner: Runner, tmp_path: Path
) -> None:
    """Without retries of its own, and nobody is told of an error, since it has made none."""
    told: list[Job] = []
    runner.on_error(lambda job, _: told.append(job))
    task = BackgroundTask("patient", runner=runner, backoff=0.01)
    task.start(targets.finds_no_files, 4, str(tmp_path / "tries"))
    eventually(lambda: not task.is_running)
    assert task.is_complete
    assert task.state.attempt == 4
    assert told == []


def test_s34_a_job_whose_files_stay_away_fails_with_a_sentence(
    runner: Runner, tmp_path: Path
) -> None:
    task = BackgroundTask("patient", runner=runner, backoff=LONGEST_BACKOFF + 1)
    task.start(targets.finds_no_files, 4, str(tmp_path / "tries"))
    eventually(lambda: not task.is_running)
    assert task.state.error == "The file storage does not answer. Try again in a moment."


@pytest.mark.parametrize("waits", ["for its delay", "to be tried again"])
def test_a_waiting_job_whose_only_process_is_gone_has_failed(
    tmp_path: Path, clock: Clock, waits: str
) -> None:
    jobs = Jobs(RECORDS["sqlite"](tmp_path), clock, lease=15)
    call = Call(print, terms=Terms(delay=100, retries=1, backoff=50))
    job = ThreadRunner(jobs).prepare("closure", None, call)
    jobs.records.apply(*jobs.creation(job))
    wait = call.terms.delay
    if waits == "to be tried again":
        clock.advance(wait)
        assert jobs.claim(job.id)
        assert jobs.retry(job.id, 1)
        wait = call.terms.backoff
    for seconds, status in ((wait + 14, "queued"), (1, "failed")):
        clock.advance(seconds)
        jobs.recover()
        found = jobs.read(job.id)
        assert found
        assert found.status == status
        assert found.error == (INTERRUPTED if status == "failed" else None)
    assert jobs.records.count("lease") == 0


@pytest.mark.parametrize("limits", [None, Limits()], ids=["in the thread", "in a child of its own"])
def test_a_job_of_a_thread_whose_process_stops_is_not_tried_again_and_says_why(
    tmp_path: Path, limits: Limits | None
) -> None:
    """Nobody else can have its target, and nobody has asked for its end."""
    runner = ThreadRunner(Jobs(RECORDS["sqlite"](tmp_path)), limits=limits)
    task = BackgroundTask("heeds", runner=runner, retries=5)
    task.start(targets.heeds, str(tmp_path / "ended"), "update")
    eventually(lambda: task.state.message == "still at it")
    runner.stop()
    assert (task.state.status, task.state.error) == ("failed", INTERRUPTED)
    eventually(lambda: "silo-task-heeds" not in {each.name for each in threading.enumerate()})
    runner.jobs.records.close()


def test_a_job_of_a_thread_that_sees_the_stop_before_it_is_handed_back_says_why(
    tmp_path: Path,
) -> None:
    runner = ThreadRunner(Jobs(MemoryRecords()))
    task = BackgroundTask("heeds", runner=runner)
    task.start(targets.heeds, str(tmp_path / "ended"), "update")
    eventually(lambda: task.state.message == "still at it")
    runner.stopped.set()
    eventually(lambda: not task.is_running)
    assert (task.state.status, task.state.error) == ("failed", INTERRUPTED)


def test_what_a_person_was_told_is_not_tried_again(runner: Runner) -> None:
    task = BackgroundTask("refused", runner=runner, retries=5, backoff=0.01)
    task.start(targets.tells)
    eventually(lambda: not task.is_running)
    assert task.is_failed
    assert task.state.attempt == 1


def test_a_delayed_task_waits(runner: Runner) -> None:
    task = BackgroundTask("later", runner=runner, delay=2)
    task.start(targets.nothing)
    assert task.state.status == "queued"
    eventually(lambda: task.is_complete)
    state = task.state
    job = runner.jobs.read(state.id or "")
    assert job
    assert (state.started_at or 0) - job.created_at >= 2


def test_what_goes_wrong_after_somebody_has_cancelled_is_nobody_s_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as that the files are gone which a reset has removed."""
    told: list[str] = []
    runner = ThreadRunner(Jobs(MemoryRecords()))
    runner.on_error(lambda job, trace: told.append(trace))
    began, go_on = threading.Event(), threading.Event()

    def reads(task: Reporter) -> None:
        began.set()
        go_on.wait(60)
        (tmp_path / "gone").read_bytes()

    task = BackgroundTask("reads", runner=runner, retries=2)
    task.start(reads)
    assert began.wait(60)
    task.cancel()
    go_on.set()
    eventually(lambda: not task.is_running)
    assert (task.state.status, task.state.message) == ("cancelled", "Cancelled.")
    assert told == []
    assert "gone" not in caplog.text
    runner.stop()


def test_a_failing_hook_changes_nothing(runner: Runner, tmp_path: Path) -> None:
    def fail(job: Job, trace: str) -> None:
        raise RuntimeError("the hook itself")

    runner.on_error(fail)
    task = BackgroundTask("flaky", runner=runner, retries=1, backoff=0.01)
    task.start(targets.succeed_at, 2, str(tmp_path / "tries"))
    eventually(lambda: task.is_complete)


def test_unknown_terms_are_refused() -> None:
    with pytest.raises(TypeError):
        BackgroundTask("odd", patience=3)
