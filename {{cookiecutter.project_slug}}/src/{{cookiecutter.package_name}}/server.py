"""Serve the app: gunicorn with threads, or waitress where there is no gunicorn."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from flask import Flask

from . import address, choices, logs
from .app import create_app, make_silo
from .config import ConfigError, load_settings
from .opening import reach_broker, reach_files_apart
from .silo.errors import SiloError
from .silo.watcher import PER_PROCESS

log = logging.getLogger(__name__)

THREADS = PER_PROCESS + 200
"""A stream holds one each, and other calls must always find one free; made as they are needed."""
WAITRESS_THREADS = 64
"""waitress makes all of them at the start."""
WAIT_SECONDS = 1.0
CONNECTIONS = 4000
FILES = 65_536
"""Open files that are enough for as many connections as will ever be taken."""
OWN_FILES, FILES_EACH = 100, 3
"""What a process has open besides, and what it may open for a connection."""


def serve(host: str, port: int, workers: int, ready: Callable[[], object]) -> None:
    """Serve until told to stop; `ready` is called once connections are accepted.

    Raises ConfigError if a setting is wrong or the address cannot be listened on.
    """
    check(host, port, workers)
    settings = load_settings()
    logs.configure(settings.silo_log_format)
    choices.warn(settings)
    if sys.platform == "win32":
        from waitress import serve as serve_waitress

        ready()
        app = warmed_app()
        app.extensions["silo"].events.watcher.per_process = WAITRESS_THREADS - 16
        serve_waitress(app, host=host, port=port, threads=WAITRESS_THREADS)
    else:
        _gunicorn(host, port, workers, ready)


def check(host: str, port: int, workers: int) -> None:
    """Whether it can work, found out here, where a sentence still reaches the person."""
    settings = load_settings().settled()
    if workers > 1 and settings.store_url.startswith("memory:"):
        raise ConfigError(
            "SILO_STORE_URL is 'memory://', which each worker has for itself: serve with one."
        )
    make_silo(settings).store.records.close()
    reach_files_apart(settings)
    if choices.by_celery(settings):
        reach_broker(settings)
    address.check(host, port, settings.silo_development)


def warmed_app() -> Flask:
    """The app, with the dead workers' jobs handed back and all ready that the first job needs."""
    app = create_app()
    app.extensions["silo"].store.runner.begin()
    return app


def _once_reached() -> Flask:
    """The app of a process that takes the place of another, perhaps while the store is away.

    gunicorn would end the whole server. Where the settings are wrong, `check` has said so.
    """
    while True:
        try:
            return warmed_app()
        except ConfigError as error:
            log.warning("this process waits: %s", error)
            time.sleep(WAIT_SECONDS)


def _gunicorn(host: str, port: int, workers: int, ready: Callable[[], object]) -> None:
    from gunicorn.app.base import BaseApplication

    from . import connections, malformed

    files = allow_files()
    connections.install()

    class Server(BaseApplication):
        def load_config(self) -> None:
            ours = settings_of(host, port, workers, files)
            ours |= connections.settings_of(load_settings().silo_upload_idle)
            for name, value in ours.items():
                self.cfg.set(name, value)
            self.cfg.set("when_ready", lambda _: ready())

        def load(self) -> Any:  # gunicorn's types know WSGI and ASGI apps, and no Flask
            app = _once_reached()
            malformed.init_app(app)
            return app

    Server().run()


def settings_of(host: str, port: int, workers: int, files: int) -> dict[str, Any]:
    """gunicorn's settings; a call that takes long, as an upload may, holds up no other.

    `files` may be open at a time. More connections than that leaves room for would end a worker.
    """
    connections = max(1, min(CONNECTIONS, (files - OWN_FILES) // FILES_EACH))
    return {
        "bind": address.address(host, port),
        "workers": workers,
        "threads": max(1, THREADS * connections // CONNECTIONS),
        "worker_connections": connections,
        "graceful_timeout": 5,
        "timeout": 60,
        # It would believe whoever calls from this machine, a proxy that hands on what it was sent
        # among them. How many proxies are believed is the app's own setting.
        "forwarded_allow_ips": "",
        # Whoever may open it may stop the server, and it lies in a home, which a container has not.
        "control_socket_disable": True,
        "post_worker_init": _end_streams_at_signals,
        "worker_exit": lambda _, worker: _stop(worker),
        "loglevel": "warning",
        "logger_class": _logger_class(),
    }


def _logger_class() -> type:
    """gunicorn's own events go where the app's go, in the same form."""
    from gunicorn.glogging import Logger

    class Passing(Logger):
        def setup(self, cfg: Any) -> None:
            super().setup(cfg)
            self.error_log.handlers.clear()
            self.error_log.propagate = True

    return Passing


def allow_files() -> int:
    """Let this process and its children open as many files as it may allow itself; how many."""
    import resource  # which Windows has not

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= enough:
        return FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
    return enough


def _end_streams_at_signals(worker: Any) -> None:
    """Have the streams end as soon as the worker is told to: it waits for open answers."""
    events = worker.app.wsgi().extensions["silo"].events
    for number in (signal.SIGTERM, signal.SIGQUIT):
        before: Any = signal.getsignal(number)

        def handle(number: int, frame: Any, before: Any = before) -> None:
            events.stop()
            before(number, frame)

        signal.signal(number, handle)


def _stop(worker: Any) -> None:
    """End a worker that has waited for its requests as long as it should.

    Python would wait for their threads without end, and one may still read a slow upload.
    """
    app: Flask = worker.app.wsgi()
    app.extensions["silo"].stop()
    with contextlib.suppress(SiloError):
        app.extensions["metrics"].counts.flush()
    os._exit(0)
