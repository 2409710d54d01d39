"""What the files of all sessions hold together, and the most that they may.

A walk over all files is slow, a count that each of them keeps is wrong after the first crash. So
one record holds what the last walk has found and what was added since. Whoever adds, adds there
first, by compare-and-set, so uploads at the same moment stay below the limit together. What is
removed makes room at the next walk.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from .problems import Problem
from .silo import FileStore
from .silo.records import NEW, Put, Records

KIND, KEY = "total", "files"
OLD_SECONDS = 60
"""After which somebody walks again."""
AGAIN_SECONDS = 5
"""After which somebody does so before anybody is refused."""
LISTED = 10
"""How many times as long in a bucket, where each thousand files are a call that costs; without a
limit they are not counted there at all."""


@dataclass(frozen=True)
class Figure:
    """`found` is what was found less what had been added by then; `at` is when, in unix seconds."""

    found: int
    added: int
    at: float

    @property
    def held(self) -> int:
        return self.found + self.added


class Total:
    """Bytes of all sessions; `quota` is the most that they may be, 0 if there is no limit."""

    def __init__(
        self, records: Records, files: FileStore, clock: Callable[[], float], quota: int = 0
    ) -> None:
        self._records = records
        self._files = files
        self._clock = clock
        self._quota = quota
        self._counts = bool(quota) or not files.shared
        self._patience = LISTED if files.shared else 1

    def stored(self) -> int:
        """About how much there is now; what has gone counts for a minute still."""
        return self._figure(OLD_SECONDS * self._patience)[0].held

    def known(self) -> int | None:
        """The same without a walk, however old it is; None before the first one."""
        record = self._records.read(KIND, KEY)
        return Figure(**json.loads(record.value)).held if record else None

    def check(self, size: int) -> None:
        """Raises Problem if so many bytes more would be too many by now."""
        if self._counts:
            self._fitting(size)

    def add(self, size: int) -> None:
        """Count bytes that are on the disk already, and are about to be kept. Raises Problem."""
        while self._counts:
            figure, version = self._fitting(size)
            if self._put(replace(figure, added=figure.added + size), version):
                return

    def _fitting(self, size: int) -> tuple[Figure, int]:
        for age in (OLD_SECONDS, AGAIN_SECONDS):
            figure, version = self._figure(age * self._patience)
            if not self._quota or figure.held + size <= self._quota:
                return figure, version
        raise Problem("total_full", "The server holds as many files as it may. Try again later.")

    def _figure(self, age: float) -> tuple[Figure, int]:
        """What is known, not older than so many seconds, and its version."""
        while True:
            record = self._records.read(KIND, KEY)
            if record is None:
                self._put(Figure(self._files.total_size_bytes, 0, self._clock()), NEW)
                continue
            figure = Figure(**json.loads(record.value))
            if abs(self._clock() - figure.at) <= age:
                return figure, record.version
            self._walk(figure, record.version)

    def _walk(self, before: Figure, version: int) -> None:
        """Look anew, unless somebody else has begun to; until then the last figure holds.

        What is added meanwhile may have been found, too, and then counts twice until the next walk.
        """
        if not self._put(replace(before, at=self._clock()), version):
            return
        found = self._files.total_size_bytes - before.added
        while record := self._records.read(KIND, KEY):
            now = Figure(**json.loads(record.value))
            if self._put(replace(now, found=found), record.version):
                return

    def _put(self, figure: Figure, version: int) -> bool:
        value = json.dumps(asdict(figure)).encode()
        return bool(self._records.apply(Put(KIND, KEY, value, math.inf, version)))
