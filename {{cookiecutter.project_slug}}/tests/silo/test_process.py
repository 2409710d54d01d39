"""ProcessRunner: whatever a target does, it takes its own child along and nothing else."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import targets
from support import Clock, eventually, running

from {{ cookiecutter.package_name }}.silo import BackgroundTask
from {{ cookiecutter.package_name }}.silo.errors import TaskError
from {{ cookiecutter.package_name }}.silo.records import Record
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords
from {{ cookiecutter.package_name }}.silo.tasks import relay
from {{ cookiecutter.package_name }}.silo.tasks.base import TRACE_CHARS, Call, Runner, Target
from {{ cookiecutter.package_name }}.silo.tasks.child import NICE, ChildTask, Limits, _limit
from {{ cookiecutter.package_name }}.silo.tasks.crew import Crew
from {{ cookiecutter.package_name }}.silo.tasks.job import LINE_CHARS, LOG_LINES, SENTENCE_CHARS, Job
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.process import ProcessRunner
from {{ cookiecutter.package_name }}.silo.tasks.slots import Slots
from {{ cookiecutter.package_name }}.silo.tasks.thread import ThreadRunner
from {{ cookiecutter.package_name }}.silo.tasks.worker import Process, Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MEMORY_MB = 600


@pytest.fixture(scope="module")
def runner() -> Iterator[ProcessRunner]:
    """Two children at a time, each with 600 MB and a minute; shared by the tests."""
    with running(Limits(MEMORY_MB, seconds=60), preload=["targets", "wave"]) as runner:
        yield runner


@pytest.fixture(scope="module")
def single() -> Iterator[ProcessRunner]:
    """One child at a time, which may write a megabyte; shared by the tests."""
    with running(Limits(MEMORY_MB, file_mb=1), slots=1) as runner:
        yield runner


@pytest.fixture
def task(runner: ProcessRunner) -> BackgroundTask:
    return BackgroundTask("classify", runner=runner)


def end_of(task: BackgroundTask) -> str:
    """The sentence with which a task ended that did not end well."""
    eventually(lambda: not task.is_running)
    assert not task.is_complete
    return task.state.error or task.state.message


def result_of(task: BackgroundTask) -> Any:
    eventually(lambda: not task.is_running)
    assert task.is_complete, task.state.error
    return task.result


def clock_of(runner: ProcessRunner) -> Clock:
    clock = runner.jobs.clock
    assert isinstance(clock, Clock)
    return clock


def is_gone(pid: str) -> bool:
    """Whether a process has ended, a zombie of somebody else's included."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


# What can be run


def test_a_target_that_cannot_be_imported_is_refused_with_what_to_do(task: BackgroundTask) -> None:
    def closure(_: object) -> None: ...

    class Local:
        def method(self, _: object) -> None: ...

    for target in (closure, lambda _: None, Local().method, task.start):
        with pytest.raises(TaskError, match="Make it a function at the top level of a module, or"):
            task.start(target)
    assert task.state.status == "idle"


@pytest.mark.parametrize(
    ("given", "place"), [(object(), r"args\[1\]"), ([1, b""], r"args\[1\]\[1\]")]
)
def test_arguments_that_are_not_json_are_refused_by_where_they_stand(
    task: BackgroundTask, given: object, place: str
) -> None:
    with pytest.raises(TaskError, match=place):
        task.start(targets.echo, "fine", given)
    with pytest.raises(TaskError, match=r"kwargs\.it"):
        task.start(targets.echo, it=object())
    assert task.state.status == "idle"


def test_a_job_that_another_process_has_queued_is_found(runner: ProcessRunner) -> None:
    job = runner.prepare("elsewhere", None, Call(targets.echo))
    runner.begin()
    runner.jobs.records.apply(*runner.jobs.creation(job))
    eventually(lambda: not runner.jobs.is_active(job.id))
    done = runner.jobs.read(job.id)
    assert done
    assert done.result == ["elsewhere", [], {}]


# Limits


def test_s22_every_limit_is_set_in_the_child_and_preloads_are_done(task: BackgroundTask) -> None:
    task.start(targets.limits)
    assert result_of(task) == {
        "AS": MEMORY_MB * 2**20,
        "CPU": 61,
        "CPU at most": 62,
        "FSIZE": 1024 * 2**20,
        "NOFILE": 256,
        "CORE": 0,
        "alarm": 70,
        "nice": min(19, os.nice(0) + NICE),
        "preloaded": True,
    }


DEATHS = [
    (targets.aborts, "Processing crashed on this input"),
    (targets.leaves, "Processing crashed on this input"),
    (targets.eats_memory, "Processing needs more memory than the 600 MB"),
    (targets.eats_memory_and_swallows, "Half of it was read."),
    (targets.spins, "Processing took longer than the 60 seconds"),
    (targets.is_alarmed, "Processing took longer than the 60 seconds"),
    (targets.is_killed, "Processing was killed each time"),
]


@pytest.fixture(params=["process", "thread"])
def limited(request: pytest.FixtureRequest, runner: ProcessRunner) -> Iterator[Runner]:
    """Every runner, with the limits of `runner`."""
    if request.param == "process":
        yield runner
    else:
        threads = ThreadRunner(Jobs(MemoryRecords(), Clock()), limits=Limits(MEMORY_MB, seconds=60))
        yield threads
        threads.stop()


def test_s22_a_child_that_dies_is_a_sentence_and_nobody_elses_trouble(
    limited: Runner, tmp_path: Path, gate: Path
) -> None:
    other = BackgroundTask("other", runner=limited)
    other.start(targets.notes, str(tmp_path / "ran"), "word", str(gate))
    dying = [BackgroundTask(target.__name__, runner=limited) for target, _ in DEATHS]
    for task, (target, _) in zip(dying, DEATHS, strict=True):
        task.start(target)
    for task, (_, sentence) in zip(dying, DEATHS, strict=True):
        assert end_of(task).startswith(sentence), task.name
        assert task.is_failed
    assert other.is_running
    gate.touch()
    assert result_of(other) is None


def test_what_was_said_before_the_death_is_kept(
    task: BackgroundTask, caplog: pytest.LogCaptureFixture
) -> None:
    task.start(targets.aborts)
    end_of(task)
    assert task.state.logs == ["before the abort"]
    assert f"code {-signal.SIGABRT}" in caplog.text
    assert "Fatal Python error" not in str(task.state.to_dict())


@pytest.mark.parametrize("target", [targets.sleeps, targets.floods])
def test_s22_a_target_that_takes_too_long_is_ended(
    target: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "GRACE_SECONDS", 0.2)
    with running(Limits(seconds=0.3), slots=1) as runner:
        task = BackgroundTask(runner=runner)
        task.start(target)
        assert end_of(task).startswith("Processing took longer than")


def test_a_target_is_asked_to_stop_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "GRACE_SECONDS", 60)
    stopped = tmp_path / "stopped"
    with running(Limits(seconds=0.3), slots=1) as runner:
        task = BackgroundTask(runner=runner)
        task.start(targets.heeds, str(stopped), "update")
        assert end_of(task).startswith("Processing took longer than")
    assert stopped.read_text() == "stopped\n"


def test_s22_a_file_larger_than_allowed_is_refused(single: ProcessRunner, tmp_path: Path) -> None:
    task = BackgroundTask(runner=single)
    task.start(targets.fills_the_disk, str(tmp_path / "large"))
    assert "larger than a job may write" in end_of(task)
    assert (tmp_path / "large").stat().st_size == 2**20


def test_a_target_may_have_threads_within_the_usual_memory() -> None:
    with running(Limits(), slots=1) as runner:
        task = BackgroundTask(runner=runner)
        task.start(targets.starts_threads, 32)
        assert result_of(task) == 32 * 10**5


@pytest.mark.parametrize(
    ("target", "most"),
    [(targets.fails_at_length, SENTENCE_CHARS), (targets.raises_at_length, TRACE_CHARS)],
)
def test_what_is_said_at_length_is_cut(
    task: BackgroundTask, caplog: pytest.LogCaptureFixture, target: Target, most: int
) -> None:
    task.start(target, 10**6)
    assert len(end_of(task)) < SENTENCE_CHARS + 100
    assert len(caplog.text) < most + 2000
    if most == TRACE_CHARS:
        assert "Traceback" in caplog.text
        assert "ValueError: xxx" in caplog.text
        assert "xxx the end" in caplog.text


def test_what_no_child_can_be_told_runs_in_the_thread() -> None:
    runner = ThreadRunner(Jobs(MemoryRecords(), Clock()), limits=Limits())
    task = BackgroundTask(runner=runner)
    task.start(lambda _: os.getpid())
    assert result_of(task) == os.getpid()
    task.reset()
    task.start(targets.limits)
    assert result_of(task)["CORE"] == 0
    runner.stop()


# What a child says


def test_what_a_library_prints_is_not_heard(task: BackgroundTask) -> None:
    task.start(targets.prints)
    assert result_of(task) == "fine"
    assert task.state.logs == ["honest"]
    assert task.state.progress == 100


def test_what_a_target_starts_reads_nothing_and_waits_for_nobody(limited: Runner) -> None:
    task = BackgroundTask(runner=limited)
    task.start(targets.starts_a_reader)
    assert result_of(task) == ""


def test_a_target_may_have_a_pool_of_processes(limited: Runner) -> None:
    task = BackgroundTask(runner=limited)
    task.start(targets.pools)
    assert result_of(task) == [1, 2]


def test_a_fork_that_outlives_the_child_is_neither_heard_nor_taken_for_it(limited: Runner) -> None:
    task = BackgroundTask(runner=limited)
    task.start(targets.leaves_a_fork)
    assert end_of(task).startswith("Processing crashed on this input")
    assert task.state.logs == []


def test_a_word_that_came_along_with_the_work_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    job = Job("id", "heeds", target="targets:heeds", args=[str(tmp_path / "stopped"), "update"])
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_write", lambda _, line: said.append(line))
        patch.setattr(Worker, "listen", lambda *_: [{"begun": True}])
        worker = Worker([])
        worker.give(job, Limits())
        worker.cancel()
    worker._write("".join(said))
    messages = iter(lambda: worker.listen(1), None)
    ends = [each["end"] for some in messages for each in some if "end" in each]
    worker.kill()
    assert ends == ["cancelled"]


def test_a_long_log_blocks_nothing(task: BackgroundTask) -> None:
    task.start(targets.chatters, 20_000)
    assert result_of(task) is None
    assert len(task.state.logs) == LOG_LINES
    assert task.state.logs[0] == "line 19801"


def test_a_line_is_cut_before_it_travels() -> None:
    worker = Worker([])
    worker.give(Job("id", "chatters", target="targets:chatters", args=[1]), Limits())
    lines = []
    while (messages := worker.listen(1)) is not None:
        lines += [message["log"] for message in messages if "log" in message]
    worker.kill()
    assert lines == ["line 0", "x" * LINE_CHARS]


def test_where_no_thread_can_be_had_what_was_said_comes_with_the_next_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading.Timer, "start", Mock(side_effect=RuntimeError))
    out = io.StringIO()
    task = ChildTask("classify", "id", 0.0, {}, out)
    for progress in (10, 20, 30):
        task.update(progress)
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [{"progress": 10.0}]
    task.complete("All done")
    said = [json.loads(line) for line in out.getvalue().splitlines()[1:]]
    assert said == [{"progress": 30.0}, {"end": "complete", "message": "All done"}]


# Cancelling


@pytest.mark.parametrize("target", [targets.sleeps, targets.floods])
def test_a_target_that_does_not_heed_is_killed_after_a_grace(
    task: BackgroundTask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: Callable[..., None],
) -> None:
    monkeypatch.setattr(relay, "GRACE_SECONDS", 0.2)
    pid = tmp_path / "pid"
    if target is targets.sleeps:
        task.start(target, str(pid))
        eventually(lambda: pid.exists() and pid.read_text().endswith("\n"))
    else:
        task.start(target)
        eventually(lambda: task.state.logs)
    assert task.cancel()
    assert end_of(task) == "Cancelled."
    assert task.state.status == "cancelled"
    if pid.exists():
        eventually(lambda: is_gone(pid.read_text().strip()))


def test_a_job_that_waits_is_cancelled_at_once_and_never_runs(
    single: ProcessRunner, tmp_path: Path, gate: Path
) -> None:
    first, second, third = (BackgroundTask(runner=single) for _ in range(3))
    ran = tmp_path / "ran"
    first.start(targets.notes, str(ran), "first", str(gate))
    second.start(targets.notes, str(ran), "second")
    third.start(targets.notes, str(ran), "third")
    eventually(ran.exists)
    assert second.cancel()
    assert (second.state.status, second.state.attempt) == ("cancelled", 0)
    gate.touch()
    assert result_of(third) is None
    assert ran.read_text() == "first\nthird\n"


# How many, and in what order


def test_jobs_run_in_the_order_in_which_they_came(single: ProcessRunner, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    tasks = [BackgroundTask(runner=single) for _ in range(3)]
    for n, task in enumerate(tasks):
        task.start(targets.notes, str(ran), str(n))
    eventually(lambda: all(task.is_complete for task in tasks))
    assert ran.read_text().split() == ["0", "1", "2"]


def test_no_more_run_at_a_time_than_there_are_slots(
    runner: ProcessRunner, tmp_path: Path, gate: Path
) -> None:
    folder = tmp_path / "running"
    folder.mkdir()
    tasks = [BackgroundTask(runner=runner) for _ in range(4)]
    for task in tasks:
        task.start(targets.overlaps, str(folder), str(gate))
    eventually(lambda: len(list(folder.iterdir())) == 2)
    assert sum(task.state.status == "running" for task in tasks) == 2
    gate.touch()
    assert max(result_of(task) for task in tasks) <= 2


def test_slots_of_one_directory_are_shared(tmp_path: Path) -> None:
    one, two = Slots(2, tmp_path / "slots"), Slots(2, tmp_path / "slots")
    first, second = one.take(), two.take()
    assert first is not None
    assert second is not None
    assert one.take() is None
    assert two.take() is None
    one.free(first)
    third = two.take()
    assert third is not None
    two.free(second)
    two.free(third)


def test_slots_without_a_directory_are_this_runners_own() -> None:
    slots = Slots(1)
    taken = slots.take()
    assert taken is not None
    assert slots.take() is None
    assert Slots(1).take() is not None
    slots.free(taken)
    assert slots.take() is not None


# Nothing is left behind


@pytest.mark.parametrize("then", ["sleep", "abort", "return"])
def test_the_children_of_a_child_end_with_it(
    task: BackgroundTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.setattr(relay, "GRACE_SECONDS", 0.2)
    pids = tmp_path / "pids"
    task.start(targets.breeds, str(pids), then)
    eventually(lambda: pids.exists() and pids.read_text().endswith("\n"))
    if then == "sleep":
        task.cancel()
    eventually(lambda: not task.is_running)
    eventually(lambda: all(is_gone(pid) for pid in pids.read_text().split()))


def test_stopping_hands_the_job_to_whoever_comes_next(tmp_path: Path) -> None:
    records, pids = MemoryRecords(), tmp_path / "pids"
    with running(Limits(), slots=1, records=records) as runner:
        task = BackgroundTask(runner=runner)
        task.start(targets.notes, str(pids), "word", str(tmp_path / "gate"))
        eventually(lambda: pids.exists() and pids.read_text() == "word\n")
    assert task.state.status == "queued"
    (tmp_path / "gate").touch()
    with running(Limits(), slots=1, records=records) as runner:
        runner.begin()
        eventually(lambda: task.is_complete)
    assert pids.read_text() == "word\nword\n"
    assert task.state.attempt == 2


def test_a_child_gets_the_credentials_of_a_bucket_and_not_those_of_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    withheld = ("SECRET_KEY", "SILO_ENCRYPTION_KEY", "SILO_STORE_URL", "SILO_BROKER_URL")
    for name in (*withheld, "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "a-password")
    with running(Limits(), slots=1) as runner:
        task = BackgroundTask(runner=runner)
        task.start(targets.environment)
        eventually(lambda: task.is_complete)
    assert task.result["AWS_SECRET_ACCESS_KEY"] == "a-password"
    assert not set(withheld) & set(task.result)
    assert task.result["TOKIO_WORKER_THREADS"] == "1", "many threads leave a job no memory"


PARENT = """
import sys, targets
from {package}.silo import BackgroundTask
from {package}.silo.sessions.memory import MemoryRecords
from {package}.silo.tasks.crew import Crew
from {package}.silo.tasks.jobs import Jobs
from {package}.silo.tasks.process import ProcessRunner
from {package}.silo.tasks.slots import Slots
runner = ProcessRunner(Jobs(MemoryRecords()), Slots(1), Crew())
BackgroundTask(runner=runner).start(targets.sleeps, sys.argv[1])
sys.stdin.read()
"""


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    package = BackgroundTask.__module__.partition(".")[0]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.replace("{package}", package), str(pid)],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    eventually(lambda: pid.exists() and pid.read_text().endswith("\n"))
    parent.kill()
    parent.communicate()
    eventually(lambda: is_gone(pid.read_text().strip()))


# Trouble around it


class Moody(MemoryRecords):
    """Records that fail whenever `trouble` says so."""

    trouble = 0

    def due(self, kind: str, now: float, limit: int = 100) -> list[tuple[str, Record]]:
        if self.trouble:
            self.trouble -= 1
            raise OSError("the store went away")
        return super().due(kind, now, limit)


def test_a_store_that_fails_for_a_while_stops_no_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = Moody()
    records.trouble = 2
    with running(Limits(), slots=1, records=records) as runner:
        task = BackgroundTask(runner=runner)
        task.start(targets.nothing)
        eventually(lambda: task.is_complete)
    assert "the store went away" in caplog.text


def refuse_children(monkeypatch: pytest.MonkeyPatch, error: int, times: int = 10**6) -> None:
    """Have the system refuse so many children with this error."""
    start, refused = Crew._start, itertools.count()

    def refuse(crew: Crew, *given: Any) -> Process:
        if next(refused) < times:
            raise OSError(error, os.strerror(error))
        return start(crew, *given)

    monkeypatch.setattr(Crew, "_start", refuse)


def test_a_job_waits_for_a_child_while_the_system_has_room_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_children(monkeypatch, errno.EAGAIN, times=1)
    with running(Limits(), slots=1, scratch=tmp_path) as runner:
        task = BackgroundTask(runner=runner)
        task.start(targets.nothing)
        eventually(lambda: task.state.status == "queued" and task.state.attempt == 1)
        assert task.state.message == "The server has no room to start this; trying again"
        assert list(tmp_path.iterdir()) == []
        clock_of(runner).advance(1)
        eventually(lambda: task.is_complete)
        assert task.state.attempt == 2
    assert "Resource temporarily unavailable" in caplog.text


def test_a_job_for_which_the_disk_has_no_room_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_children(monkeypatch, errno.ENOSPC)
    with running(Limits(), slots=1, scratch=tmp_path) as runner:
        task = BackgroundTask(runner=runner)
        task.start(targets.nothing)
        assert "disk is full" in end_of(task)
        assert list(tmp_path.iterdir()) == []


def test_s22_on_macos_a_child_has_all_limits_but_that_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, _: asked.append(kind))
    monkeypatch.setattr(signal, "alarm", Mock())
    monkeypatch.setattr(os, "nice", Mock())
    _limit(Limits())
    usual = set(asked)
    asked.clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    _limit(Limits())
    assert usual - set(asked) == {resource.RLIMIT_AS}


def test_a_preload_that_cannot_be_imported_fails_the_job_and_is_logged_for_it_alone(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(Limits(), slots=1, preload=["no_such_module"]) as runner:
        task = BackgroundTask(runner=runner)
        task.start(targets.nothing)
        assert end_of(task).startswith("Processing crashed")
    assert "No module named 'no_such_module'" in caplog.text
    assert capfd.readouterr().err == ""
