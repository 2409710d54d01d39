"""A progress bar that can be cut into parts, so that a part of a step need not know the rest."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from .step import Progress


@dataclass(frozen=True)
class Bar:
    """A stretch of the progress bar: `bar(0.5, "Half done")` moves to the middle of it."""

    progress: Progress
    start: float = 0
    end: float = 1

    def __call__(self, part: float, message: str) -> None:
        self.progress(self._at(part), 1, message)

    def split(self, parts: int) -> list[Bar]:
        """The stretch in equal parts."""
        ends = [self._at(number / parts) for number in range(parts + 1)] if parts else []
        return [Bar(self.progress, start, end) for start, end in pairwise(ends)]

    def _at(self, part: float) -> float:
        return self.start * (1 - part) + self.end * part
