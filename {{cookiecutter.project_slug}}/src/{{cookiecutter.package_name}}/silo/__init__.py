"""silo: isolated sessions with expiry, background tasks and files for Flask apps.

    silo = Silo(app, ttl=3600)
    silo.register("counter", lambda: {"value": 0})
    silo.state("counter")["value"] += 1

It knows nothing of the app that it is part of.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .cleanup import CleanupDaemon
from .errors import NamespaceError, SessionBusy, SessionExpired, SiloError
from .files.base import FileStore
from .sessions.base import SessionStore
from .tasks.task import BackgroundTask, TaskState

if TYPE_CHECKING:
    from .extension import Silo
    from .idempotency import Idempotent, gen_keyfunc

__all__ = [
    "BackgroundTask",
    "CleanupDaemon",
    "FileStore",
    "Idempotent",
    "NamespaceError",
    "SessionBusy",
    "SessionExpired",
    "SessionStore",
    "Silo",
    "SiloError",
    "TaskState",
    "gen_keyfunc",
]

LATE = {"Silo": ".extension", "Idempotent": ".idempotency", "gen_keyfunc": ".idempotency"}
"""What needs Flask, and where it is: loaded when asked for, since children run jobs without it."""


def __getattr__(name: str) -> Any:
    if name in LATE:
        return getattr(import_module(LATE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
