"""`check`: what the app is made of and connected to, each part really tried.

Nothing is left behind, and nothing is made that is not there yet. What does not answer within
seconds is said not to.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from . import choices, secretmark
from .config import ConfigError, Settings
from .opening import (
    files_of,
    reach_broker,
    reach_files,
    records_of,
    shown_files,
    shown_store,
    sqlite_file,
)
from .silo.errors import SiloError
from .silo.files.base import FileStore
from .silo.records import Delete, Put, Records
from .silo.tasks.presence import Presence
from .silo.urls import masked

State = Literal["ok", "warning", "error"]
Finding = tuple[State, str]
"""A state and its reason, as a sentence."""

PATIENCE_SECONDS = 7.0
"""Longer than the clients of stores and buckets wait: what takes more has hung."""
KIND, SECONDS = "hold", 60
"""Of the record that is there for a moment: if we are killed, the app's cleanup removes it."""


@dataclass(frozen=True)
class Part:
    """A part of the app: what is configured, without secrets, and what a try finds."""

    shown: Callable[[Settings], str]
    probe: Callable[[Settings], Iterator[Finding]]


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    part: str
    state: State
    shown: str
    sentence: str


def lines(settings: Settings) -> list[Line]:
    """What there is to say about the parts, in their order."""
    found = tried(settings)
    for rule in choices.broken(settings):
        found[PART_OF[rule.setting]].append(("error" if rule.refused else "warning", rule.sentence))
    return [
        Line(name, state, part.shown(settings), masked(sentence))
        for name, part in PARTS.items()
        for state, sentence in found[name]
    ]


def tried(settings: Settings) -> dict[str, list[Finding]]:
    """What each probe finds, all at the same time: one that hangs holds up no other."""
    found: dict[str, list[Finding]] = {}

    def run(name: str, part: Part) -> None:
        try:
            found[name] = list(part.probe(settings))
        except Exception as error:
            found[name] = [("error", str(error) or type(error).__name__)]

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in PARTS.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    silent: Finding = ("error", f"There was no answer within {PATIENCE_SECONDS:.0f} seconds.")
    return {name: found.get(name, [silent]) for name in PARTS}


def aligned(found: list[Line]) -> Iterator[str]:
    """The table in plain text, a line for each finding."""
    widths = [max(len(text) for text in column) for column in zip(*map(cells, found), strict=True)]
    for line in found:
        part, state, shown = map(str.ljust, cells(line), widths)
        yield f"{part}  {state}  {shown}  {line.sentence}"


def cells(line: Line) -> tuple[str, str, str]:
    return line.part, line.state, line.shown


# The parts


def probe_store(settings: Settings) -> Iterator[Finding]:
    """Whether a record can be written, read and removed, and whether it would be kept."""
    path = sqlite_file(settings)
    if path and not path.exists():
        yield to_be_made(path)
        return
    with contextlib.closing(records_of(settings)) as records:
        if keeps_a_record(records):
            ends = " All records end with the server." if records.volatile else ""
            yield "ok", f"A record was written, read and removed.{ends}"
        else:
            yield "error", "A record that was written is not there."
        for doubt in records.doubts():
            yield "warning", doubt


def keeps_a_record(records: Records) -> bool:
    key, value = secrets.token_hex(16), secrets.token_bytes(16)
    records.apply(Put(KIND, key, value, time.time() + SECONDS))
    try:
        found = records.read(KIND, key)
    finally:
        records.apply(Delete(KIND, key))
    return found is not None and found.value == value


def to_be_made(path: Path) -> Finding:
    """What is to be said of a file or folder that is not there."""
    parent = next(each for each in path.absolute().parents if each.exists())
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
        return "ok", "It is not there yet, and is made at the first start."
    return "error", f"It is not there, and cannot be made in {parent}."


def probe_files(settings: Settings) -> Iterator[Finding]:
    """Whether a file can be put, read and removed, and whether there is room."""
    path = None if choices.in_a_bucket(settings) else local_path(settings.files_url)
    if path and not path.exists():
        yield to_be_made(path)
        return
    reach_files(settings)
    place = files_of(settings)
    folder, data = secrets.token_hex(32), secrets.token_bytes(1000)  # as a session's: swept away
    try:
        place.put(folder, "check", BytesIO(data), "check")
        with place.open(folder, "check") as stream:
            same = stream.read() == data
    finally:
        place.remove_folder(folder)
    if same:
        yield "ok", "A file was put there, read and removed."
    else:
        yield "error", "A file that was put there is not as it was."
    try:
        FileStore(place, settings.min_free).check_room()
    except OSError:
        yield "error", "Less is free than SILO_MIN_FREE_MB says, so nobody can upload anything."


def local_path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path) if url.startswith("file:") else url)


def shown_runner(settings: Settings) -> str:
    return settings.silo_runner


def probe_runner(settings: Settings) -> Iterator[Finding]:
    """Whether somebody is there to work on jobs."""
    if not choices.by_celery(settings):
        yield "ok", f"Every server works on jobs, up to {settings.silo_workers} at a time."
        return
    try:
        with contextlib.closing(records_of(settings)) as records:
            number = Presence(records, records.clock or time.time).count()
    except (ConfigError, SiloError):
        yield "warning", "Whether workers are there is not known: the store would tell."
        return
    if number:
        yield "ok", f"{number} {'worker is' if number == 1 else 'workers are'} at work."
    else:
        yield "warning", "No worker is at work, so jobs wait: start one by the command worker."


def shown_broker(settings: Settings) -> str:
    try:
        return masked(settings.broker_url) if choices.by_celery(settings) else "none"
    except ConfigError:
        return "none"


def probe_broker(settings: Settings) -> Iterator[Finding]:
    """Whether workers can be woken."""
    if not choices.by_celery(settings):
        yield "ok", "None is needed."
        return
    yield "ok", f"It answers. Messages that wait: {reach_broker(settings)}."


def shown_secret(settings: Settings) -> str:
    return "given" if settings.secret_key else str(settings.silo_data_dir / "secret_key")


def probe_secret(settings: Settings) -> Iterator[Finding]:
    """Whether there is one, and the store knows no other."""
    path = settings.silo_data_dir / "secret_key"
    if settings.secret_key:
        yield "ok", "It is in SECRET_KEY."
    elif path.exists():
        yield "ok", "This machine has made it."
    else:
        yield to_be_made(path)
        return
    secret, store = settings.secret_key or path.read_text(), sqlite_file(settings)
    if store is None or store.exists():
        with (
            contextlib.suppress(ConfigError, SiloError),
            contextlib.closing(records_of(settings)) as records,
        ):
            if secretmark.differs(records, secret):
                yield "warning", secretmark.ANOTHER


def shown_encryption(settings: Settings) -> str:
    return "on" if settings.encryption_key else "off"


def probe_encryption(settings: Settings) -> Iterator[Finding]:
    keys = settings.encryption_key.count(",") + 1
    if not settings.encryption_key:
        yield "ok", "Files are kept as they are."
    elif keys == 1:
        yield "ok", "Files are encrypted with the one key."
    else:
        yield "ok", f"Files are encrypted with the first of {keys} keys."


PARTS = {
    "store": Part(shown_store, probe_store),
    "files": Part(shown_files, probe_files),
    "runner": Part(shown_runner, probe_runner),
    "broker": Part(shown_broker, probe_broker),
    "secret": Part(shown_secret, probe_secret),
    "encryption": Part(shown_encryption, probe_encryption),
}
PART_OF = {
    "silo_store_url": "store",
    "silo_files_url": "files",
    "silo_runner": "runner",
    "silo_broker_url": "broker",
    "secret_key": "secret",
    "silo_encryption_key": "encryption",
}
"""Which part a setting is of."""
