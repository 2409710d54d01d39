"""Targets to run in the place of the app's own, which ends too soon to be watched."""

from __future__ import annotations

import os
import threading
import time
from typing import Any
from unittest.mock import patch

from {{ cookiecutter.package_name }} import jobs, paths
from {{ cookiecutter.package_name }}.report import Attachment, Column, Report, Table
from {{ cookiecutter.package_name }}.silo.tasks.base import Reporter
from {{ cookiecutter.package_name }}.step import Cancelled, UserError


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


def gives_up(*_: Any) -> None:
    raise Cancelled


def refuses(*_: Any) -> None:
    raise UserError


def attach(task: Reporter, *given: Any) -> None:
    """Make a report with two files."""
    files = [Attachment("raw/one.csv", b"one"), Attachment("Ü two.bin", b"2" * 100_000)]
    report = Report("R", [Table("T", [Column("C")], [["cell"]])], files=files)
    with patch.object(jobs, "process", lambda *_: report):
        jobs.run(task, *given)


def only_file(task: Reporter, *given: Any) -> None:
    """Return a file and nothing else."""
    with patch.object(jobs, "process", lambda *_: Attachment("plan.pdf", b"%PDF")):
        jobs.run(task, *given)


def write_files(task: Reporter, *given: Any) -> Any:
    """Make files, two of one name but for their folders, for the command line."""
    made = {"x/a.csv": b"one", "b.txt": b"two", "y/a.csv": b"three"}
    report = Report("R", files=[Attachment(*each) for each in made.items()])
    with patch.object(jobs, "process", lambda *_: report):
        return paths.run_paths(task, *given)


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
