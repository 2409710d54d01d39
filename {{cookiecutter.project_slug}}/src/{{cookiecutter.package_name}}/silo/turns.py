"""How long a thread runs in one go while others wait for its core."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

SHORT = 500_000
"""Nanoseconds, a third of what others have or less; Linux knows 0.1 to 100 ms."""
USUAL = 0

SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
KEEP_POLICY = 0x08


def take(nanoseconds: int) -> bool:
    """Have this thread, and all that it starts, take turns of this length; whether Linux did.

    Since 6.12 whoever takes shorter turns comes first on waking, as long as it has not had more
    than its share; anybody else waits for the end of a turn, some 4 ms. So who answers calls waits
    less for jobs, and those have as much of a core as ever. Nothing in Python asks for it, nor did
    C's own library before glibc 2.41.
    """
    number = SCHED_SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period
    wish = struct.pack("=IIQiIQQQ", 48, 0, KEEP_POLICY, nice, 0, nanoseconds, 0, 0)
    failed: int = ctypes.CDLL(None).syscall(number, 0, wish, 0)
    return not failed
