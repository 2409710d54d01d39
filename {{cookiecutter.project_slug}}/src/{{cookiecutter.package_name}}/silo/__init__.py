"""silo: isolated sessions with expiry, background tasks and files for Flask apps.

    silo = Silo(app, ttl=3600)
    silo.register("counter", lambda: {"value": 0})
    silo.state("counter")["value"] += 1

It knows nothing of the app that it is part of.
"""

from .cleanup import CleanupDaemon
from .errors import NamespaceError, SessionBusy, SessionExpired, SiloError
from .extension import Silo
from .files.base import FileStore
from .idempotency import Idempotent, gen_keyfunc
from .sessions.base import SessionStore
from .tasks.task import BackgroundTask, TaskState

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
