"""Celery's workers in processes of their own, to be stopped and killed."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from {{ cookiecutter.package_name }}.silo.records import open_records
from {{ cookiecutter.package_name }}.silo.tasks.celery import CeleryRunner
from {{ cookiecutter.package_name }}.silo.tasks.child import Limits
from {{ cookiecutter.package_name }}.silo.tasks.crew import Crew
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.listener import CeleryWorker

START_SECONDS = 120


class WorkerProcess:
    """A worker for the jobs of a store, so many at a time.

    `given` goes to `runner_of`; besides, a `schedule` is one of its runner's, and the names of jobs
    with unforeseen `errors` go to a file. What it logs is in `workers.log`.
    """

    def __init__(self, folder: Path, concurrency: int = 1, **given: Any) -> None:
        self._ready = folder / f"ready-{time.monotonic_ns()}"
        self._log = folder / "workers.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", __name__, str(self._ready), str(concurrency)),
                    json.dumps(given),
                ],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> WorkerProcess:
        """Wait until it hears messages."""
        deadline = time.monotonic() + START_SECONDS
        while not self._ready.exists():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.01)
        return self

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def code(self) -> int:
        """Its exit code, once it has ended."""
        return self._process.wait(START_SECONDS)

    def kill(self) -> None:
        """`kill -9`; nothing happens if it has ended."""
        self._process.kill()
        self._process.wait()


def runner_of(
    store: str,
    broker: str,
    name: str,
    lease: float = 15,
    limits: Mapping[str, Any] | None = None,
) -> CeleryRunner:
    """A runner over the records of a URL, as tests and their workers have it."""
    jobs = Jobs(open_records(store), lease=lease)
    return CeleryRunner(jobs, broker, name, Crew(Limits(**(limits or {})), ["targets"]))


def main(ready: str, concurrency: str, given: str) -> None:
    logging.basicConfig(level=logging.INFO)
    options: dict[str, Any] = json.loads(given)
    schedule: dict[str, Any] | None = options.pop("schedule", None)
    errors: str | None = options.pop("errors", None)
    runner = runner_of(**options)
    if schedule:
        target = getattr(import_module("targets"), schedule["target"])
        runner.every(schedule["seconds"], target, *schedule["args"])
    if errors:
        runner.on_error(lambda job, _: _note(errors, job.name))
    worker = CeleryWorker(runner, int(concurrency), ready=Path(ready).touch)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    sys.exit(worker.run())


def _note(path: str, word: str) -> None:
    with Path(path).open("a") as file:
        file.write(f"{word}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
