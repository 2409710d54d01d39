"""Whether a worker is at work on this machine, for whoever restarts what has died.

It asks nothing of the store or the broker: a worker that waits for them must not be restarted.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

from .config import Settings

ALIVE_SECONDS = 30.0
"""How long ago a worker that is at work may have looked after the queue."""


def is_alive(settings: Settings) -> bool:
    """Whether a worker with this data directory, on this machine, has looked after the queue."""
    try:
        return time.time() - alive_file(settings).stat().st_mtime < ALIVE_SECONDS
    except OSError:
        return False


def alive_file(settings: Settings) -> Path:
    """What a worker touches while it is at work; several of one machine share it."""
    return settings.silo_data_dir / f"worker-{socket.gethostname()}"
