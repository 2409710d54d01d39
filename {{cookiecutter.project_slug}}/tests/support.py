"""What tests of every kind use: a clock that they move, waiting that does not sleep, children."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import stand_in
from flask import Flask

from {{ cookiecutter.package_name }}.silo.errors import StoreUnavailable
from {{ cookiecutter.package_name }}.silo.records import BATCH, Record, Records, Step
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords
from {{ cookiecutter.package_name }}.silo.tasks.child import Limits
from {{ cookiecutter.package_name }}.silo.tasks.crew import Crew
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.process import ProcessRunner
from {{ cookiecutter.package_name }}.silo.tasks.slots import Slots
from {{ cookiecutter.package_name }}.silo.tasks.thread import ThreadRunner

stand_in.load_app()

T = TypeVar("T")


class Clock:
    """Unix seconds that stand still until a test moves them: `clock()` reads, `advance` moves."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Gate:
    """Jobs of servers with TESTS_GATE stop in their middle while it is shut; see `known_step`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def shut(self) -> None:
        self.path.touch()

    def open(self) -> None:
        self.path.unlink(missing_ok=True)


class Absent(Records):
    """Records that are away while `away`; with `deaf`, steps are taken and their answer is lost.

    `refused` is how often they were asked in vain.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self.away = False
        self.deaf = False
        self.refused = 0

    def _there(self) -> Records:
        if self.away:
            self.refused += 1
            raise StoreUnavailable
        return self._records

    def read(self, kind: str, key: str) -> Record | None:
        return self._there().read(kind, key)

    def versions(self, kind: str, keys: Collection[str]) -> dict[str, int]:
        return self._there().versions(kind, keys)

    def apply(self, *steps: Step) -> int:
        version = self._there().apply(*steps)
        if self.deaf:
            self.refused += 1
            raise StoreUnavailable
        return version

    def due(self, kind: str, now: float, limit: int = BATCH) -> list[tuple[str, Record]]:
        return self._there().due(kind, now, limit)

    def count(self, kind: str) -> int:
        return self._there().count(kind)


def eventually(condition: Callable[[], T], seconds: float = 120.0) -> T:
    """What `condition` gives as soon as that is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not so within {seconds} s: {condition}"
        time.sleep(0.005)
    return found


def open_files() -> set[tuple[str, str]]:
    """The number of each file that this process has open, and what it is; Linux only.

    A set, since what other tests left open may be closed at any moment: nothing may be added to it.
    """
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that the folder was read by
            found.add((each.name, str(each.readlink())))
    return found


@contextmanager
def running(
    limits: Limits | None = None, slots: int = 2, records: Records | None = None, **options: Any
) -> Iterator[ProcessRunner]:
    """A runner with so many children at a time, over records in memory if none are given.

    Options are those of its crew.
    """
    jobs = Jobs(records or MemoryRecords(), Clock())
    runner = ProcessRunner(jobs, Slots(slots), Crew(limits, **options))
    try:
        yield runner
    finally:
        runner.stop()


def without_children(app: Flask) -> None:
    """Have threads do jobs themselves: they begin at once, and do what a test has put there."""
    runner = app.extensions["silo"].store.runner
    if isinstance(runner, ThreadRunner):
        runner.limits = None
