"""`migrate`: all that the app keeps, from where the settings in force say, to somewhere else.

From the settings in force, because they are known to be right: until they are changed, as the last
step, the app finds all that it had, whatever becomes of the move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field

from . import keys, secretmark
from .config import ConfigError, Settings, load_settings
from .opening import plain_files, reach_files, records_of
from .silo.kinds import MOVING
from .silo.moving import Moved, check_records, move_files, move_records, others
from .silo.records import Records
from .silo.urls import masked

KINDS = (keys.KIND, secretmark.KIND, *MOVING)
"""Every kind of record that moves. What all files hold together is counted anew where they are."""
PRECIOUS = ("session", keys.KIND)
"""Of what nobody overwrites without being told to."""

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""Shows, under a name, how many of so many are done."""


@dataclass
class Summary:
    """What was moved: records by their kinds, and files, if it was asked for."""

    records: dict[str, Moved] = field(default_factory=dict)
    files: Moved | None = None


def target_of(store: str | None, files: str | None, endpoint: str | None) -> Settings:
    """The settings in force, but with another store or place for files. Raises ConfigError."""
    given = {"SILO_STORE_URL": store} if store else {}
    if files:
        given |= {"SILO_FILES_URL": files, "SILO_FILES_ENDPOINT": endpoint or ""}
    elif endpoint:
        raise ConfigError("--to-endpoint is of a bucket: name that, too, with --to-files.")
    return load_settings(given)


def migrate(source: Settings, target: Settings, replace: bool, bar: Bar) -> Summary:
    """Copy records and files, as far as the settings differ, and look whether they arrived.

    The source is left as it is. Files go first, so that a store that has a session has its files.
    Raises ConfigError, NotMoved, OSError, and StoreUnavailable.
    """
    refuse(source, target)
    summary = Summary()
    with closing(records_of(source)) as records:
        if source.files_url != target.files_url:
            reach_files(target)
            there = plain_files(target)
            with bar("Files", records.count("session") + 1) as told:
                folders = folders_of(records, source)
                summary.files = move_files(plain_files(source), there, folders, told)
        if source.store_url != target.store_url:
            with closing(records_of(target)) as other:
                if not replace:
                    refuse_others(records, other, target)
                summary.records = move_all(records, other, bar)
    return summary


def move_all(source: Records, target: Records, bar: Bar) -> dict[str, Moved]:
    moved = {}
    with bar("Records", 2 * sum(map(source.count, KINDS))) as told:
        for kind in KINDS:
            moved[kind] = move_records(source, target, kind, told)
        for kind in KINDS:
            check_records(source, target, kind, moved[kind], told)
    return moved


def folders_of(records: Records, settings: Settings) -> Iterator[str]:
    """The folders of live sessions, and that of the kept reports."""
    for key, _ in records.each("session"):
        yield key
    yield settings.silo_cache_prefix


def refuse(source: Settings, target: Settings) -> None:
    """Raises ConfigError if there is nothing to move, or nowhere to."""
    if (source.store_url, source.files_url) == (target.store_url, target.files_url):
        raise ConfigError("Everything is there already: name another store or place for files.")
    for settings in (source, target):
        if settings.store_url.startswith("memory:"):
            raise ConfigError("SILO_STORE_URL is 'memory://', which ends with its process.")


def refuse_others(source: Records, target: Records, settings: Settings) -> None:
    """Raises ConfigError if the target holds what would be lost."""
    found = {kind: number for kind in PRECIOUS if (number := others(source, target, kind))}
    if found:
        many = " and ".join(f"{number} of the kind {kind!r}" for kind, number in found.items())
        raise ConfigError(
            f"{masked(settings.store_url)!r} is in use: it holds records that are not here, or not "
            f"the same ({many}). Name another one, or say --replace to have them removed."
        )


def lines(summary: Summary, source: Settings, target: Settings) -> Iterator[str]:
    """What was done, for a person, and what is left to do."""
    if summary.files:
        yield f"{'files':15}{shown(summary.files)}"
    for kind, moved in summary.records.items():
        if moved.count:
            yield f"{kind:15}{shown(moved)}"
    yield "All of it was read again where it went, and is the same."
    yield "Now set these, for every server and worker, and start them:"
    if summary.records:
        yield f"  SILO_STORE_URL={masked(target.store_url)}"
    if summary.files:
        yield f"  SILO_FILES_URL={target.silo_files_url}"
        yield f"  SILO_FILES_ENDPOINT={target.silo_files_endpoint}"
    if not source.secret_key:
        path = source.silo_data_dir.absolute() / "secret_key"
        yield f"  SECRET_KEY=what {path} holds; with another one nobody finds their session"
    yield "What was copied is still where it was. Remove it once the app runs well: people's files"
    yield "are in it, and nobody expires them there."


def shown(moved: Moved) -> str:
    return f"{moved.count:>9,}  {moved.size / 2**20:>11,.1f} MB  {moved.fresh:>9,} new"
