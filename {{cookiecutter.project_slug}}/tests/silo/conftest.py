"""Fixtures for silo's contract tests: each back end of the one list in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backends import PLACES, RECORDS
from flask import Flask
from support import Clock

from {{ cookiecutter.package_name }}.silo import FileStore, SessionStore, Silo
from {{ cookiecutter.package_name }}.silo.records import Records
from {{ cookiecutter.package_name }}.silo.tasks.job import Job, new_id
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs

TTL = 100.0
RETAIN = 1000.0
LEASE = 15.0
SECRET = "a secret of the tests"

OpenRecords = Callable[[], Records]
OpenStore = Callable[..., SessionStore]
OpenApp = Callable[..., Flask]


@pytest.fixture(params=RECORDS)
def open_records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenRecords]:
    """Opens the test's records; called again, the same records, as another process has them."""
    opened: list[Records] = []

    def open_them() -> Records:
        opened.append(RECORDS[request.param](tmp_path))
        return opened[-1]

    yield open_them
    for records in opened:
        records.close()


@pytest.fixture
def records(open_records: OpenRecords) -> Records:
    """The test's records."""
    return open_records()


@pytest.fixture
def open_store(open_records: OpenRecords, clock: Clock) -> Iterator[OpenStore]:
    """Opens a store over the test's records; called again, a second process's store.

    It has a namespace `counter` that begins with `{"value": 0}`. Keywords go to SessionStore.
    """
    opened: list[SessionStore] = []

    def open_one(**options: Any) -> SessionStore:
        given: dict[str, Any] = {"ttl": TTL, "expired_retain": RETAIN, "lease": LEASE, **options}
        store = SessionStore(**{"records": open_records(), "clock": clock, **given})
        store.register_namespace("counter", lambda: {"value": 0})
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.runner.stop()


@pytest.fixture
def store(open_store: OpenStore) -> SessionStore:
    """A session store with a TTL of 100 s, a memory of 1,000 s and leases of 15 s."""
    return open_store()


@pytest.fixture
def open_app(open_records: OpenRecords, clock: Clock) -> Iterator[OpenApp]:
    """Opens a Flask app with Silo over the test's records; called again, another process's app.

    `prepare` says what Silo has before the app does. Keywords go to Silo, `secret` to the app.
    """
    silos: list[Silo] = []

    def open_one(
        prepare: Callable[[Silo], object], secret: str | None = SECRET, **options: Any
    ) -> Flask:
        given = {"ttl": TTL, "expired_retain": RETAIN, "lease": LEASE, "auto_cleanup": False}
        silo = Silo(**{"records": open_records(), "clock": clock, **given, **options})
        prepare(silo)
        app = Flask("example")
        app.config["SECRET_KEY"] = secret
        silo.init_app(app)
        silos.append(silo)
        return app

    yield open_one
    for silo in silos:
        silo.stop()


@pytest.fixture(params=PLACES)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    """An empty file store."""
    return FileStore(PLACES[request.param](tmp_path))


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """What targets wait for: `gate.touch()` opens it. Open at the latest when the test is over."""
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


def add_job(jobs: Jobs, target: str = "targets:nothing", **terms: Any) -> str:
    """Store a job that waits, and may be begun twice; its id."""
    job = Job(**{"id": new_id(), "name": "task", "target": target, "attempts": 2, **terms})
    assert jobs.records.apply(*jobs.creation(job))
    return job.id


def read_job(jobs: Jobs, job_id: str) -> Job:
    """The job as it is stored, which it has to be."""
    job = jobs.read(job_id)
    assert job
    return job
