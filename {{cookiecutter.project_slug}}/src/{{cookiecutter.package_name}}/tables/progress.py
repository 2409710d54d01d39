"""Progress of a part of the work as a fraction of the whole."""

from __future__ import annotations

from collections.abc import Callable

Fraction = Callable[[float], None]


def nobody(_done: float) -> None:
    """Progress that nobody watches."""


def part(progress: Fraction, start: float, end: float) -> Fraction:
    """A progress callable whose 0 to 1 is `start` to `end` of `progress`."""
    return lambda done: progress(start + (end - start) * min(1.0, done))
