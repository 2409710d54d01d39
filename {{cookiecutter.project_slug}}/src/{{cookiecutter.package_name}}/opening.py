"""Stores and places opened as the settings want it, told in a sentence if that cannot be."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .config import ConfigError, Settings
from .silo.errors import SiloError
from .silo.files.base import Place, PlainPlace, encrypted, plain_place
from .silo.records import Records, open_records
from .silo.urls import masked


def records_of(settings: Settings) -> Records:
    """The store. Raises ConfigError."""
    with named("SILO_STORE_URL", settings.store_url):
        return open_records(settings.store_url)


def plain_files(settings: Settings) -> PlainPlace:
    """The place for files, as it keeps them. Raises ConfigError."""
    with named("SILO_FILES_URL", shown_files(settings)):
        return plain_place(settings.files_url)


def try_files(settings: Settings) -> None:
    """Ask the place for files whether it can be used. Raises ConfigError."""
    with named("SILO_FILES_URL", shown_files(settings)):
        plain_files(settings).check()


def files_of(settings: Settings) -> Place:
    """The same, encrypted if that is wanted. Raises ConfigError."""
    place, keys = plain_files(settings), settings.encryption_key
    return encrypted(place, keys) if keys else place


def shown_files(settings: Settings) -> str:
    """Where files are, for a person to read."""
    endpoint = settings.silo_files_endpoint
    return f"{settings.silo_files_url} at {endpoint}" if endpoint else settings.files_url


@contextlib.contextmanager
def named(setting: str, value: str) -> Iterator[None]:
    """Say which setting it is that something cannot be opened for."""
    try:
        yield
    except (OSError, SiloError) as error:
        why = str(error.__cause__ or error).rstrip(".")
        raise ConfigError(masked(f"{setting} is {value!r}: {why}.")) from error
