"""Serve the app: gunicorn with threads, or waitress where there is no gunicorn."""

from __future__ import annotations

import sys
from typing import Any

from flask import Flask
from . import create_app
from .config import ConfigError, load_settings
from .silo.tasks.process import ProcessRunner

THREADS = 64
"""Enough for every stream to hold one and for other calls to find one free."""


def serve(host: str, port: int, workers: int) -> None:
    """Serve until told to stop. Raises ConfigError."""
    settings = load_settings()
    if workers > 1 and settings.store_url.startswith("memory:"):
        raise ConfigError(
            "SILO_STORE_URL is 'memory://', which each worker has for itself: serve with one."
        )
    if sys.platform == "win32":
        from waitress import serve as serve_waitress

        serve_waitress(warmed_app(), host=host, port=port, threads=THREADS)
    else:
        _gunicorn(host, port, workers)


def warmed_app() -> Flask:
    """The app, with a spare child process ready for the first job."""
    app = create_app()
    runner = app.extensions["silo"].store.runner
    if isinstance(runner, ProcessRunner):
        runner.begin()
    return app


def _gunicorn(host: str, port: int, workers: int) -> None:
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):
        def load_config(self) -> None:
            for name, value in settings_of(host, port, workers).items():
                self.cfg.set(name, value)

        def load(self) -> Any:  # gunicorn's types know WSGI and ASGI apps, and no Flask
            return warmed_app()

    Server().run()


def settings_of(host: str, port: int, workers: int) -> dict[str, Any]:
    """gunicorn's settings; a call that takes long, as an upload may, holds up no other."""
    return {
        "bind": f"{host}:{port}",
        "workers": workers,
        "worker_class": "gthread",
        "threads": THREADS,
        "worker_connections": 4000,
        "graceful_timeout": 5,
        "timeout": 60,
        "worker_exit": lambda _, worker: _stop(worker),
        "loglevel": "warning",
    }


def _stop(worker: Any) -> None:
    app: Flask = worker.app.wsgi()
    app.extensions["silo"].stop()
