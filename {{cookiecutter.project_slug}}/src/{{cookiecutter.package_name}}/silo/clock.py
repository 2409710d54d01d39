"""Clocks that several processes share, and that setting a machine's clock does not move."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .errors import SiloError
from .once import made_once

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
FOLLOW_SECONDS = 30.0


def steady_clock(directory: Path) -> Callable[[], float]:
    """Unix seconds that run evenly, whatever happens to the machine's clock.

    They are the time since the machine was started, which every process sees alike, plus the moment
    of that start, which the first to ask writes to a file in `directory`. Where the system does not
    say which start this is, it is the ordinary clock. Raises OSError.
    """
    if sys.platform != "linux" or not BOOT_ID.exists():
        return time.time
    path = directory / f"started-{BOOT_ID.read_text().strip()}"
    started = float(made_once(path, lambda: repr(time.time() - _since_start())))
    return lambda: started + _since_start()


def _since_start() -> float:
    """Seconds since the machine was started, those it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class FollowedClock:
    """Unix seconds of a clock elsewhere, which every machine that follows it has alike.

    `ask` gives its time, or raises SiloError; it is asked anew every `every` seconds. In between,
    and while it does not answer, its time goes on by the monotonic clock of this machine. Raises
    what `ask` raises if that is so from the beginning.
    """

    def __init__(
        self,
        ask: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        every: float = FOLLOW_SECONDS,
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._every = every
        self._asked = monotonic()
        self._ahead = self._difference()

    def __call__(self) -> float:
        now = self._monotonic()
        if now - self._asked >= self._every:
            self._asked = now  # other threads need not ask, too
            with contextlib.suppress(SiloError):
                self._ahead = self._difference()
        return self._ahead + self._monotonic()

    def _difference(self) -> float:
        """By how much it is ahead of the monotonic clock, asked at the middle of the question."""
        before = self._monotonic()
        there = self._ask()
        return there - (before + self._monotonic()) / 2
