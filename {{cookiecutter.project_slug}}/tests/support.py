"""What tests of every kind use: a clock that they move, and waiting without sleeping blindly."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import stand_in
from flask import Flask

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


def eventually(condition: Callable[[], T], seconds: float = 20.0) -> T:
    """What `condition` gives as soon as that is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not so within {seconds} s: {condition}"
        time.sleep(0.005)
    return found


def without_children(app: Flask) -> None:
    """Have threads do jobs themselves: they begin at once, and do what a test has put there."""
    runner = app.extensions["silo"].store.runner
    if isinstance(runner, ThreadRunner):
        runner.limits = None
