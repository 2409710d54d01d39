"""A clock for all processes of a machine that setting the machine's clock does not move."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from .once import made_once

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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
