"""Targets to run in the place of the app's own, which ends too soon to be watched."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from {{ cookiecutter.package_name }}.silo.tasks.base import Reporter


def endless(task: Reporter, *_: Any) -> None:
    """Run until cancelled."""
    task.log("Begun")
    while True:
        task.update(10, "Working")
        time.sleep(0.01)


def crash(*_: Any) -> None:
    """Die as a native parser does that hits an impossible file."""
    os.abort()


def mistake(*_: Any) -> None:
    raise ValueError("secret detail of /etc/passwd")


class Gate:
    """A target that says where it is, then waits until it is let go on; for the thread runner."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.open = threading.Event()

    def __call__(self, task: Reporter, *_: Any) -> None:
        task.log("First line")
        task.log("Second line")
        task.update(50, "Half done")
        self.began.set()
        while not self.open.wait(0.01):
            task.update(50)  # raises Cancelled
        task.log("Third line")
