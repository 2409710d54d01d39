"""Ports for servers that must know theirs before they start, or keep it while they are away."""

from __future__ import annotations

import os
import random
import socket
import sys
from itertools import cycle

LOWEST = 10_100
SPAN = 2_000
"""Ports for each of the run's processes. All lie below those that systems hand out by themselves,
to a server on port 0 or to a caller: nobody takes one meanwhile. Browsers refuse 10080."""

_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 11
_own = range(LOWEST + _process * SPAN, LOWEST + (_process + 1) * SPAN)
_ports = cycle(random.sample(_own, SPAN))
_held: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody listens on, and that no other run of tests on this machine finds free."""
    return next(port for port in _ports if _take(port))


def _take(port: int) -> bool:
    holder = socket.socket()
    try:
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return False
    if sys.platform == "linux":
        # A server that says the same may listen there; who only looks whether it is free may not.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held.append(holder)
    else:
        holder.close()
    return True
