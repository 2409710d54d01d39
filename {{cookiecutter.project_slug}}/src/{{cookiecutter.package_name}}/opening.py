"""Stores and places opened as the settings want it, told in a sentence if that cannot be."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from . import choices
from .config import ConfigError, Settings, load_settings
from .silo.errors import SiloError
from .silo.files.place import Place, PlainPlace
from .silo.files.places import encrypted, plain_place
from .silo.records import Records, open_records
from .silo.sessions.sqlite import path_of
from .silo.urls import masked


def records_of(settings: Settings) -> Records:
    """The store. Raises ConfigError."""
    with named("SILO_STORE_URL", settings.store_url):
        return open_records(settings.store_url)


def sqlite_file(settings: Settings) -> Path | None:
    """The file that the store is, if it is one. Raises ConfigError."""
    if not choices.in_sqlite(settings):
        return None
    with named("SILO_STORE_URL", settings.store_url):
        return path_of(settings.store_url)


def shown_store(settings: Settings) -> str:
    """Where sessions, jobs and keys are, for a person to read."""
    with contextlib.suppress(ConfigError):
        if file := sqlite_file(settings):
            return f"sqlite:///{file.absolute()}"
    return masked(settings.store_url)


def plain_files(settings: Settings) -> PlainPlace:
    """The place for files, as it keeps them. Raises ConfigError."""
    with named("SILO_FILES_URL", shown_files(settings)):
        return plain_place(settings.files_url)


def files_of(settings: Settings) -> Place:
    """The same, encrypted if that is wanted. Raises ConfigError."""
    place, keys = plain_files(settings), settings.encryption_key
    return encrypted(place, keys) if keys else place


def reach_broker(settings: Settings) -> int:
    """Ask the broker of SILO_RUNNER=celery how many messages wait. Raises ConfigError."""
    from .silo.tasks.broker import Broker  # here, since it needs an extra

    with named("SILO_BROKER_URL", settings.broker_url):
        return Broker(settings.broker_url, __package__ or "", 1).waiting()


def shown_files(settings: Settings) -> str:
    """Where files are, for a person to read."""
    endpoint = settings.silo_files_endpoint
    return f"{settings.silo_files_url} at {endpoint}" if endpoint else settings.files_url


def reach_files(settings: Settings) -> None:
    """Ask whether files can be kept there; of a bucket, this takes seconds. Raises ConfigError."""
    place = plain_files(settings)
    with named("SILO_FILES_URL", shown_files(settings)):
        place.check()


def reach_files_apart(settings: Settings) -> None:
    """The same for a process that forks, from another one: a bucket's client has threads.

    Takes the settings from the environment. Raises ConfigError.
    """
    if plain_files(settings).shared:
        path = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
        asked = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", __name__],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode:
            raise ConfigError(asked.stderr.strip().rpartition("\n")[2])


@contextlib.contextmanager
def named(setting: str, value: str) -> Iterator[None]:
    """Say which setting it is that something cannot be opened for."""
    try:
        yield
    except (OSError, SiloError) as error:
        why = str(error.__cause__ or error).rstrip(".")
        raise ConfigError(masked(f"{setting} is {value!r}: {why}.")) from error


if __name__ == "__main__":
    try:
        reach_files(load_settings())
    except ConfigError as error:
        sys.exit(str(error))
