"""The fork server: a child a job at the cost of a fork, and no other child than a new Python is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import targets
from faults.server import children_of as children
from support import Clock, eventually, open_files, running

from {{ cookiecutter.package_name }}.silo import BackgroundTask
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords
from {{ cookiecutter.package_name }}.silo.tasks import forked
from {{ cookiecutter.package_name }}.silo.tasks.child import Limits
from {{ cookiecutter.package_name }}.silo.tasks.crew import Crew
from {{ cookiecutter.package_name }}.silo.tasks.forked import ForkServer
from {{ cookiecutter.package_name }}.silo.tasks.job import Job
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.process import ProcessRunner
from {{ cookiecutter.package_name }}.silo.tasks.relay import Relay
from {{ cookiecutter.package_name }}.silo.tasks.slots import Slots
from {{ cookiecutter.package_name }}.silo.tasks.spawn import spawn
from {{ cookiecutter.package_name }}.silo.tasks.worker import Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux alone")

THREADED = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


@pytest.fixture(scope="module")
def runner() -> Iterator[ProcessRunner]:
    """Two children at a time; shared by the tests."""
    with running(preload=["targets"]) as runner:
        yield runner


@pytest.fixture
def server() -> Iterator[ForkServer]:
    server = ForkServer(["targets"])
    assert server.warm(120)
    yield server
    server.close()


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which children find modules."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def whereabouts(runner: ProcessRunner) -> Any:
    return result_of(begun(runner))


def begun(runner: ProcessRunner, target: Any = targets.whereabouts, *args: str) -> BackgroundTask:
    task = BackgroundTask(runner=runner)
    task.start(target, *args)
    return task


def result_of(task: BackgroundTask) -> Any:
    eventually(lambda: not task.is_running)
    assert task.is_complete, task.state.error
    return task.result


def at_work(server: ForkServer, target: str, *args: Any) -> Worker:
    worker = Worker(["targets"], start=lambda *given: server.fork(*given) or spawn(*given))
    assert worker.give(Job("id", "name", target=f"targets:{target}", args=list(args)), Limits())
    return worker


def state(pid: int) -> str:
    """The letter of a process; none once it is reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def pid_of(server: ForkServer) -> int:
    assert server._running
    return server._running[0].pid


# Whose children they are


def test_each_job_has_a_fork_of_its_own_of_one_process(runner: ProcessRunner, gate: Path) -> None:
    both = [begun(runner, targets.whereabouts, str(gate)) for _ in range(2)]
    eventually(lambda: all(task.state.message == "here" for task in both))
    gate.touch()
    one, two = map(result_of, both)
    assert one["parent"] == two["parent"] != os.getpid()
    assert parent(one["parent"]) == os.getpid()
    assert len({one["pid"], two["pid"], one["parent"]}) == 3
    for each in (one, two):
        assert each["group"] == each["pid"]


def test_a_fork_has_no_more_than_a_new_python_has(runner: ProcessRunner, gate: Path) -> None:
    """Above all nothing of the server, nor of another that was forked."""
    other = begun(runner, targets.whereabouts, str(gate))
    eventually(lambda: other.state.message == "here")
    fork = whereabouts(runner)
    worker = Worker(["targets"])
    worker.give(Job("id", "new", target="targets:whereabouts"), Limits())
    said = [each for messages in iter(lambda: worker.listen(1), None) for each in messages]
    worker.kill()
    new = said[-1]["result"]
    assert fork["parent"] != new["parent"]
    assert (fork["files"], fork["threads"]) == (new["files"], new["threads"])


def test_forks_do_not_share_their_chance(runner: ProcessRunner, modules: Path) -> None:
    """Numpy's is copied by a fork, and nobody may have loaded it."""
    one, two = whereabouts(runner), whereabouts(runner)
    assert one["parent"] == two["parent"]
    assert not set(one["chance"]) & set(two["chance"])
    (modules / "numpy").mkdir()
    (modules / "numpy" / "random.py").write_text("seeded = []\ndef seed(): seeded.append(1)")
    with running(preload=["targets", "numpy.random"]) as other:
        assert whereabouts(other)["numpy"] == [1]


def test_temporary_files_lie_in_a_folder_of_the_job(modules: Path, tmp_path: Path) -> None:
    """Though the server may have looked where they lie."""
    (modules / "looks.py").write_text("import tempfile; tempfile.gettempdir()")
    with running(preload=["targets", "looks"], scratch=tmp_path / "scratch") as runner:
        one, two = whereabouts(runner), whereabouts(runner)
    assert one["parent"] == two["parent"]
    assert one["temporary"] != two["temporary"]
    for each in (one, two):
        assert Path(each["temporary"]).parent == tmp_path / "scratch"


# Ends


@pytest.mark.parametrize(
    ("target", "args", "code"),
    [
        ("leaves", [0], 0),
        ("leaves", [3], 3),
        ("leaves", [255], 255),
        ("aborts", [], -signal.SIGABRT),
        ("is_killed", [], -signal.SIGKILL),
        ("is_alarmed", [], -signal.SIGALRM),
        ("spins", [], -signal.SIGXCPU),
    ],
)
def test_the_runner_hears_how_a_fork_ended(
    server: ForkServer, target: str, args: list[Any], code: int
) -> None:
    worker = at_work(server, target, *args)
    pid = worker._process.pid
    assert parent(pid) == pid_of(server)
    eventually(lambda: worker.listen(0.1) is None)
    assert worker._process.wait() == code
    assert worker.was_killed is (target == "is_killed")
    assert state(pid) == "Z", "its process id may be another's by now"
    worker.kill()
    eventually(lambda: not state(pid))


def test_a_fork_that_its_runner_lets_go_of_is_ended(server: ForkServer) -> None:
    worker = at_work(server, "sleeps")
    process = worker._process
    assert isinstance(process, forked.Forked)
    process.let_go()
    eventually(lambda: not state(process.pid))
    worker._process.wait = lambda: 0  # type: ignore[method-assign]  # nobody tells any more
    worker.kill()


def test_fifty_jobs_leave_nothing_behind(runner: ProcessRunner) -> None:
    """Neither a dead child nor an open file, here nor in the server."""
    server = whereabouts(runner)["parent"]
    eventually(lambda: not children(server))
    ours, theirs = open_files(), files(server)
    for _ in range(50):
        assert whereabouts(runner)["parent"] == server
    eventually(lambda: not children(server))
    eventually(lambda: files(server) == theirs)
    eventually(lambda: open_files() <= ours)  # the last one's are closed after its end is told


# Who is killed


def test_a_job_whose_fork_server_is_killed_has_another_attempt(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with running(preload=["targets"]) as runner:
        server = whereabouts(runner)["parent"]
        eventually(lambda: not children(server))
        task = begun(runner, targets.whereabouts, str(gate))
        eventually(lambda: task.state.message == "here")
        [child] = children(server)
        os.kill(server, signal.SIGKILL)
        eventually(lambda: task.state.attempt == 2)
        eventually(lambda: state(child) in ("", "Z"))
        gate.touch()
        found = result_of(task)
        assert found["parent"] not in (server, os.getpid())
        assert parent(found["parent"]) == os.getpid()


def test_a_fork_server_that_is_killed_between_jobs_costs_none_an_attempt() -> None:
    with running(preload=["targets"], slots=1) as runner:
        before = whereabouts(runner)
        os.kill(before["parent"], signal.SIGKILL)
        task = begun(runner)
        after = result_of(task)
        assert task.state.attempt == 1
        assert after["parent"] != before["parent"]


class Dead:
    """A child whose fork server, or the thread that spawned it, has ended a moment before."""

    was_killed = True

    def listen(self, _: float) -> None: ...


@pytest.mark.parametrize(("stopping", "attempts"), [(True, 3), (False, 2)])
def test_a_runner_that_stops_costs_no_attempt_if_it_loses_the_child_first(
    stopping: bool, attempts: int
) -> None:
    jobs, stopped = Jobs(MemoryRecords(), Clock()), threading.Event()
    jobs.records.apply(*jobs.creation(Job("id", "name", target="targets:nothing", attempts=2)))
    job = jobs.claim_next()
    assert job
    if stopping:
        stopped.set()
    dead: Any = Dead()
    assert Relay(jobs, job, dead, Limits()).run(stopped) is None
    found = jobs.read("id")
    assert found
    assert (found.status, found.attempts) == ("queued", attempts)


def test_a_job_keeps_its_lease_while_imports_are_done_anew(modules: Path) -> None:
    (modules / "slow.py").write_text("import time; time.sleep(8)")
    jobs = Jobs(MemoryRecords(), time.time, lease=4)
    runner = ProcessRunner(jobs, Slots(2), Crew(preload=["targets", "slow"]))
    try:
        before = whereabouts(runner)
        os.kill(before["parent"], signal.SIGKILL)
        task = begun(runner)
        assert result_of(task)["parent"] != before["parent"]
        assert task.state.attempt == 1
    finally:
        runner.stop()


RUNNER = """
import sys, targets
from {package}.silo import BackgroundTask
from {package}.silo.sessions.memory import MemoryRecords
from {package}.silo.tasks.crew import Crew
from {package}.silo.tasks.jobs import Jobs
from {package}.silo.tasks.process import ProcessRunner
from {package}.silo.tasks.slots import Slots
runner = ProcessRunner(Jobs(MemoryRecords()), Slots(2), Crew(preload=[sys.argv[1]]))
for path in sys.argv[2:]:
    BackgroundTask(runner=runner).start(targets.sleeps, path)
runner.begin()
sys.stdin.read()
"""


@contextmanager
def apart(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a runner."""
    package = BackgroundTask.__module__.partition(".")[0]
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER.replace("{package}", package), *arguments],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_fork_server_and_its_children_die_with_the_runner(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    with apart("targets", *map(str, paths)) as process:
        eventually(lambda: all(p.exists() and p.read_text().endswith("\n") for p in paths))
        pids = [int(path.read_text()) for path in paths]
        [server] = {parent(pid) for pid in pids}
        assert parent(server) == process.pid
    for pid in (server, *pids):
        eventually(lambda pid=pid: state(pid) in ("", "Z"))  # type: ignore[misc]  # a number


def test_children_die_with_the_fork_server_though_the_runner_does_nothing(tmp_path: Path) -> None:
    path = tmp_path / "one"
    with apart("targets", str(path)) as process:
        eventually(lambda: path.exists() and path.read_text().endswith("\n"))
        child = int(path.read_text())
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(parent(child), signal.SIGKILL)
        eventually(lambda: state(child) in ("", "Z"))


def test_a_fork_server_dies_with_the_runner_while_it_imports(modules: Path) -> None:
    begun = modules / "begun"
    (modules / "slow.py").write_text(f"import time; open({str(begun)!r}, 'w'); time.sleep(60)")
    with apart("slow") as process:
        eventually(begun.exists)
        [server] = children(process.pid)
    eventually(lambda: state(server) in ("", "Z"))


# Where it cannot be


def test_what_starts_a_thread_is_spawned_before_it_is_needed(modules: Path) -> None:
    """By a preload; the spare child that waits for the next job may be killed."""
    (modules / "threaded.py").write_text(THREADED)
    with running(preload=["targets", "threaded"], slots=1) as runner:
        one = whereabouts(runner)
        assert one["parent"] == os.getpid()
        waiting = children(os.getpid())
        two = whereabouts(runner)
        assert two["pid"] in waiting
        [spare] = [pid for pid in children(os.getpid()) if pid not in waiting]
        os.kill(spare, signal.SIGKILL)
        task = begun(runner)
        assert result_of(task)["parent"] == os.getpid()
        assert task.state.attempt == 1


def test_a_job_that_waits_for_imports_too_long_has_a_child_that_does_its_own(
    modules: Path, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next has a fork, once they are done."""
    monkeypatch.setattr(forked, "WARM_SECONDS", 0)
    held = f"if 'forkserver' in str(sys.orig_argv): targets.wait_for({str(gate)!r})"
    (modules / "slow.py").write_text(f"import sys, targets\n{held}")
    with running(preload=["targets", "slow"], slots=1) as runner:
        assert whereabouts(runner)["parent"] == os.getpid()
        gate.touch()
        eventually(lambda: whereabouts(runner)["parent"] != os.getpid())


def test_a_server_that_does_not_answer_holds_up_no_job(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it forks later for nobody ends at once."""
    monkeypatch.setattr(forked, "FORK_SECONDS", 0.2)
    pid = pid_of(server)
    os.kill(pid, signal.SIGSTOP)
    worker = at_work(server, "whereabouts")
    assert parent(worker._process.pid) == os.getpid()
    worker.kill()
    os.kill(pid, signal.SIGCONT)
    monkeypatch.setattr(forked, "FORK_SECONDS", 60)
    worker = at_work(server, "whereabouts")  # it has been asked after the other one
    eventually(lambda: children(pid) == [worker._process.pid])
    worker.kill()
