"""Reports that were made before, found again by what they were made of.

A report is kept beside the sessions' files, as one object: a line that says when it expires, how
long its JSON is, and the SHA-256 of all that; then the JSON; then its files, one after the other.
Nothing in it, nor in its name, is of the session that it was made in, and it outlives that session.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .silo.errors import FilesUnavailable, UnreadableFile
from .silo.files.place import Place

log = logging.getLogger(__name__)

HEAD_BYTES = 200
SWEEP_SECONDS = 600.0
"""Expired objects are looked for this often, because every object has to be looked at."""


def version_of(folder: Path) -> str:
    """A hash of the code in a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        code = path.read_bytes()
        found.update(f"{path.relative_to(folder).as_posix()} {len(code)}\n".encode() + code)
    return found.hexdigest()


STEP_VERSION = version_of(Path(__file__).parent)
"""Of the whole package, since the step may use any of it to read and to write. It is told when the
code is loaded, so that a process of before an update keeps no report under the version after it.
"""


@dataclass(frozen=True)
class Found:
    """A report as JSON and its files in one stream, which whoever asked for it closes."""

    report: bytes
    files: BinaryIO


class Unusable(Exception):
    """An object that has expired or is damaged; its text says which."""


class ResultCache:
    """Keeps reports for `ttl` seconds in the folder `prefix` of `place`.

    With `purge`, what is found to be unusable is removed at once, else when the next one like it is
    kept, or by `sweep`. `clock` gives unix seconds, the same in every process.
    """

    def __init__(
        self,
        place: Place,
        ttl: float,
        prefix: str = "cache",
        purge: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._place = place
        self._ttl = ttl
        self._folder, self._due = prefix, f"{prefix}-due"
        self._purge = purge
        self._clock = clock
        self._sweep_at = 0.0

    def find(self, key: str) -> Found | None:
        """The report, or None: missing, expired, damaged or unreadable, which is logged."""
        try:
            with self._place.open(self._folder, key) as stream:
                return self._read(stream)
        except FileNotFoundError:
            return None
        except (Unusable, UnreadableFile) as error:
            said = error if isinstance(error, Unusable) else "unreadable"
            log.warning("cached report %s is %s", key, said)
            if self._purge:
                self._remove(key)
        except (OSError, FilesUnavailable):
            log.exception("cached report %s cannot be read", key)
        return None

    def keep(self, key: str, report: bytes, files: BinaryIO) -> None:
        """Keep a report, in the place of an older one. If that fails, it is logged."""
        expires = self._clock() + self._ttl
        files.seek(0)
        digest = _begin(expires, len(report))
        digest.update(report)
        hashlib.file_digest(files, lambda: digest)  # type: ignore[arg-type] # it has readinto
        head = json.dumps([expires, len(report), digest.hexdigest()]).encode()
        try:
            with tempfile.TemporaryFile() as whole:
                whole.write(head + b"\n" + report)
                files.seek(0)
                shutil.copyfileobj(files, whole)
                whole.seek(0)
                if self._place.shared:
                    self._place.put(self._due, f"{math.ceil(expires):012}-{key}", io.BytesIO(), "")
                self._place.put(self._folder, key, whole, "")
        except (OSError, FilesUnavailable):
            log.exception("report %s cannot be cached", key)

    def sweep(self) -> None:
        """Remove what has expired or says no expiry; does nothing if that was done lately."""
        if self._clock() < self._sweep_at:
            return
        self._sweep_at = self._clock() + SWEEP_SECONDS
        if self._place.shared:
            self._sweep_due()
            return
        for name in self._place.names(self._folder):
            self._weed(name)

    def _sweep_due(self) -> None:
        """The same where looking at each object is dear: their names of when they expire do."""
        for name in self._place.names(self._due):
            expires, _, key = name.partition("-")
            if int(expires) <= self._clock():
                self._weed(key)
                self._place.remove(self._due, name)

    def _weed(self, key: str) -> None:
        """Remove an object that has expired, or says no expiry."""
        try:
            with self._place.open(self._folder, key) as stream:
                self._head(stream)
        except (Unusable, UnreadableFile, FileNotFoundError):
            self._place.remove(self._folder, key)

    def _remove(self, key: str) -> None:
        with contextlib.suppress(FilesUnavailable):
            self._place.remove(self._folder, key)

    def _head(self, stream: BinaryIO) -> tuple[float, int, str]:
        """When an object expires, the length of its JSON, and its digest. Raises Unusable."""
        try:
            expires, length, digest = json.loads(stream.readline(HEAD_BYTES))
            expires, length = float(expires), int(length)
        except (ValueError, TypeError) as error:
            raise Unusable("damaged") from error
        if not expires > self._clock():  # nor what is no number
            raise Unusable("expired")
        return expires, length, digest

    def _read(self, stream: BinaryIO) -> Found:
        expires, length, told = self._head(stream)
        report = stream.read(length)
        files = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's to close
        try:
            shutil.copyfileobj(stream, files)
            files.seek(0)
            digest = _begin(expires, length)
            digest.update(report)
            hashlib.file_digest(files, lambda: digest)
            if digest.hexdigest() != told:
                raise Unusable("damaged")
            files.seek(0)
        except BaseException:
            files.close()
            raise
        return Found(report, files)


def key_of(files: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> str:
    """Under what a report of these files and options is kept: another one is another key.

    `files` are as `uploads.receive` made them. Their names belong to it, because a report says them
    and nobody may read what somebody else calls the same file.
    """
    inputs = [[file["name"], file["sha256"]] for file in files]
    made_of = json.dumps([STEP_VERSION, options, inputs], sort_keys=True)
    return hashlib.sha256(made_of.encode()).hexdigest()


def _begin(expires: float, length: int) -> Any:
    return hashlib.sha256(f"{expires!r} {length}\n".encode())
