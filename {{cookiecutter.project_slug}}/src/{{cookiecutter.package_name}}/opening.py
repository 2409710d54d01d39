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
    with named("SILO_FILES_URL", settings.files_url):
        return plain_place(settings.files_url)


def files_of(settings: Settings) -> Place:
    """The same, encrypted if that is wanted. Raises ConfigError."""
    place, keys = plain_files(settings), settings.encryption_key
    return encrypted(place, keys) if keys else place


@contextlib.contextmanager
def named(setting: str, value: str) -> Iterator[None]:
    """Say which setting it is that something cannot be opened for."""
    try:
        yield
    except (OSError, SiloError) as error:
        said = f"{setting} is {value!r}: {error.__cause__ or error}."
        raise ConfigError(masked(said)) from error
