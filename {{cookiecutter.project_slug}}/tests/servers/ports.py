"""Ports for servers that must know theirs before they start, or keep it while they are away."""

from __future__ import annotations

import os
import random
import socket
from itertools import cycle

LOWEST = 10_100
SPAN = 2_000
"""Ports for each of the run's processes. All lie below those that systems hand out by themselves,
to a server on port 0 or to a caller: nobody takes one meanwhile. Browsers refuse 10080."""

_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 11
_own = range(LOWEST + _process * SPAN, LOWEST + (_process + 1) * SPAN)
_ports = cycle(random.sample(_own, SPAN))


def free_port() -> int:
    """A port that nobody listens on, and that this process gets only once in a long while."""
    return next(port for port in _ports if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
