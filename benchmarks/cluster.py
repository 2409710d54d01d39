"""An app with its records, files and messages in servers, and its workers beside it.

It needs an environment that has a baked app with its tools, whose tests bring the servers: a Redis
or Valkey, and OpenStack Swift as the S3 server.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import acme_reports
import redis
import trivial
from acme_reports import create_app
from acme_reports.silo.records import Postpone
from acme_reports.silo.sessions.ids import session_key
from acme_reports.silo.tasks.base import Call, Runner, Terms
from acme_reports.silo.tasks.job import Job
from report import HERE

APP = Path(acme_reports.__file__).parents[2]
sys.path.append(str(APP / "tests"))
from stacks import LARGE  # noqa: E402 - found only now

SAMPLE = APP / "src" / "acme_reports" / "static" / "sample.xlsx"
LIMITS = ("SESSIONS", "UPLOADS", "ADDRESS_UPLOADS", "JOBS", "DOWNLOADS")
OWN = {"X-Requested-With": "bench"}


class Site:
    """An app on the largest of the tests' stacks; each has its own keys in the same servers."""

    def __init__(self, folder: Path) -> None:
        self.settings = {
            **LARGE.settings(),
            "SILO_DATA_DIR": str(folder / secrets.token_hex(4)),
            **{f"SILO_LIMIT_{each}": "off" for each in LIMITS},
        }
        self.app = create_app({name: self.settings[name] for name in self.settings if ours(name)})
        self.silo = self.app.extensions["silo"]
        self.runner: Runner = self.silo.store.runner
        self.redis = server_of(self.settings["SILO_STORE_URL"])
        self.asked = 0

    @contextlib.contextmanager
    def workers(self, count: int) -> Iterator[None]:
        """So many processes, each of which does one job at a time, ready for their first."""
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "acme_reports.cli", "worker", "--concurrency", "1"]
        processes = [
            subprocess.Popen(
                command,
                env={**os.environ, **self.settings, "PYTHONPATH": path},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(count)
        ]
        try:
            for process in processes:
                assert process.stdout
                if not process.stdout.readline():
                    raise SystemExit("a worker has ended by itself")
            time.sleep(1.5)  # so that each has done the imports of its children
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.communicate()

    def uploaded(self) -> str:
        """The id of a session with a file."""
        file = (io.BytesIO(SAMPLE.read_bytes()), SAMPLE.name)
        made = self.app.test_client().post("/api/upload", data={"file": file}, headers=OWN)
        return str(made.headers["X-Session-ID"])

    def process(self, sid: str) -> str:
        """The id of a job on that file."""
        headers = {**OWN, "X-Session-ID": sid}
        answer = self.app.test_client().post("/api/process", headers=headers)
        return str(answer.get_json()["id"])

    def trivial(self, priority: Any = "normal") -> str:
        return self.runner.start("now", Call(trivial.now, terms=Terms(priority))).id

    def fill(self, count: int) -> None:
        """Have so many jobs wait behind all others."""
        jobs = self.runner.jobs
        for _ in range(count):
            job = self.runner.prepare("now", None, Call(trivial.now, terms=Terms("low")))
            jobs.records.apply(*jobs.creation(job))

    def ended(self, job_id: str) -> Job:
        """The job, once it has ended."""
        while True:
            job = self.runner.jobs.read(job_id)
            self.asked += 1
            assert job
            if job.ended:
                assert job.status == "complete", job
                return job
            time.sleep(0.01)

    def commands(self) -> int:
        """How many commands the server of records has done, but for the looks of `ended`."""
        return int(self.redis.info("stats")["total_commands_processed"]) - self.asked

    def expire(self, sids: list[str]) -> float:
        """Seconds that the end of these sessions takes, with their files."""
        store = self.silo.store
        for sid in sids:
            store.records.apply(Postpone("session", session_key(sid), 0))
        began = time.perf_counter()
        while any(store.records.read("session", session_key(sid)) for sid in sids):
            store.cleanup()
        return time.perf_counter() - began

    def stop(self) -> None:
        """End it, and forget all that it has stored."""
        self.silo.stop()
        self.silo.store.records.close()
        self.redis.flushdb()
        self.redis.close()


def ours(name: str) -> bool:
    """Whether it is a setting of the app, and no credential."""
    return name.startswith(("SILO_", "SECRET_"))


def server_of(url: str) -> redis.Redis:
    return redis.Redis.from_url(url.partition("?")[0])
