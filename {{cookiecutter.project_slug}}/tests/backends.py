"""The one list of back ends: contract tests run on each, so a new one is tested by its line."""

from __future__ import annotations

import threading
import uuid
import zlib
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

from servers import valkey

from {{ cookiecutter.package_name }}.silo.files.place import Place
from {{ cookiecutter.package_name }}.silo.files.places import open_place
from {{ cookiecutter.package_name }}.silo.records import Records, open_records
from {{ cookiecutter.package_name }}.silo.tasks.base import Runner
from {{ cookiecutter.package_name }}.silo.tasks.celery import CeleryRunner
from {{ cookiecutter.package_name }}.silo.tasks.child import Limits
from {{ cookiecutter.package_name }}.silo.tasks.crew import Crew
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.listener import CeleryWorker
from {{ cookiecutter.package_name }}.silo.tasks.process import ProcessRunner
from {{ cookiecutter.package_name }}.silo.tasks.slots import Slots
from {{ cookiecutter.package_name }}.silo.tasks.thread import ThreadRunner

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OTHER_KEY = "__________________________________________8="
"""Two keys that encrypt."""


@cache
def memory(_: Path) -> Records:
    return open_records("memory://")


def redis(folder: Path) -> str:
    prefix = sha256(str(folder).encode()).hexdigest()[:16]
    return f"{valkey.shared().url}?prefix={prefix}"


STORES: dict[str, Callable[[Path], str]] = {
    "sqlite": lambda folder: f"sqlite:///{folder}/silo.db",
    "redis": redis,
}
"""The URL of a folder's records, which several processes may open."""

URLS: dict[str, Callable[[Path], str]] = {"memory": lambda _: "memory://", **STORES}
"""The URL of a store for one process, which is the test."""


def shared(name: str) -> Callable[[Path], Records]:
    return lambda folder: open_records(STORES[name](folder))


RECORDS: dict[str, Callable[[Path], Records]] = {
    "memory": memory,
    **{name: shared(name) for name in STORES},
}
"""Opens the records of a folder. Opened twice, they are the same, as two processes have them."""


class CeleryHere(CeleryRunner):
    """With its worker in this process, so that both have the same records and the same clock.

    test_celery has workers in processes of their own, over records that processes share.
    """

    def __init__(self, jobs: Jobs) -> None:
        super().__init__(jobs, valkey.shared().url, uuid.uuid4().hex, Crew(preload=["targets"]))
        ready = threading.Event()
        self._worker = CeleryWorker(self, 2, ready=ready.set)
        self._thread = threading.Thread(target=self._worker.run, daemon=True)
        self._thread.start()
        assert ready.wait(60)

    def stop(self) -> None:
        self._worker.stop()
        self._thread.join()
        super().stop()


RUNNERS: dict[str, Callable[[Jobs], Runner]] = {
    "thread": ThreadRunner,
    "thread with a child": lambda jobs: ThreadRunner(jobs, limits=Limits()),
    "process": lambda jobs: ProcessRunner(jobs, Slots(2), Crew(preload=["targets"])),
    "celery": CeleryHere,
}


def bucket(folder: Path, keys: str = "") -> Place:
    """Below a prefix of the folder's own in the bucket of the run."""
    from servers.swift import shared

    swift = shared()
    prefix = f"{folder.name}-{zlib.crc32(str(folder).encode()):08x}"
    return open_place(f"s3://{swift.bucket}/{prefix}?endpoint={swift.endpoint}", keys)


PLACES: dict[str, Callable[[Path], Place]] = {
    "local": lambda folder: open_place(str(folder / "files")),
    "encrypted": lambda folder: open_place(str(folder / "files"), KEY),
    "objects": bucket,
    "encrypted objects": lambda folder: bucket(folder, KEY),
}
"""Opens the place for files of a folder. Opened twice, it is the same."""

FOLDERS = ("local", "encrypted")
"""The places that are folders of this machine."""
