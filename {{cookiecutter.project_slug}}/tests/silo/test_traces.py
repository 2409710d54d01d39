"""Children leave no trace: no process, no thread, no open file, however they ended."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import targets
from faults.server import children_of
from support import Clock, eventually

from {{ cookiecutter.package_name }}.silo import BackgroundTask
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords
from {{ cookiecutter.package_name }}.silo.tasks.child import Limits
from {{ cookiecutter.package_name }}.silo.tasks.crew import Crew
from {{ cookiecutter.package_name }}.silo.tasks.job import Job
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.process import ProcessRunner
from {{ cookiecutter.package_name }}.silo.tasks.slots import Slots
from {{ cookiecutter.package_name }}.silo.tasks.worker import Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def open_now() -> dict[str, int]:
    """How many open files, children (dead ones that nobody waited for too) and threads we have."""
    threads = [each for each in threading.enumerate() if each.name.startswith("silo-")]
    return {
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "children": len(children_of(os.getpid())),
        "threads": len(threads),
    }


def assert_no_more_than(before: dict[str, int]) -> None:
    """What others had open may have been closed meanwhile; nothing may have come to stay."""

    def nothing_came() -> bool:
        now = open_now()
        return all(now[name] <= count for name, count in before.items())

    eventually(nothing_came)


def test_jobs_of_every_fate_leave_nothing_behind(tmp_path: Path) -> None:
    before = open_now()
    runner = ProcessRunner(Jobs(MemoryRecords(), Clock()), Slots(2, tmp_path / "slots"), Crew())
    ends: list[Callable[..., object]] = [
        targets.nothing,
        targets.fails,
        targets.aborts,
        targets.prints,
        targets.is_killed,
    ]
    tasks = [BackgroundTask(runner=runner) for _ in range(2) for _ in ends]
    for n, task in enumerate(tasks):
        task.start(ends[n % len(ends)])
    stubborn = BackgroundTask(runner=runner)
    stubborn.start(targets.sleeps)
    eventually(lambda: not any(task.is_running for task in tasks), 60)
    eventually(lambda: stubborn.state.message == "asleep")
    runner.stop()
    assert_no_more_than(before)


def test_a_child_that_nobody_listens_to_leaves_nothing_behind() -> None:
    before = open_now()
    worker = Worker([])
    worker.give(Job("id", "floods", target="targets:floods"), Limits())
    eventually(worker._messages.full)
    worker.kill()
    assert_no_more_than(before)
