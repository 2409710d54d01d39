"""`serve --reload`, for development: the server starts anew whenever its code changes.

The server is a process of its own below this one, which loads nothing of the app. So nothing is
left of the code as it was, and code that cannot be loaded ends the server alone: what it said of
that is shown at its address until the next change. Sessions, files and jobs outlive it, in the
store.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from . import address
from .config import load_settings
from .notice import shown

PACKAGE = Path(__file__).parent
POLL_SECONDS = 0.25
END_SECONDS = 10
"""For calls that take their time; then the server is killed."""
SAID_CHARS = 8000

Code = dict[str, tuple[int, int]]
"""When each file was changed, in nanoseconds, and its size in bytes."""


def serve(host: str, port: int, workers: int) -> None:
    """Serve until told to stop. Raises ConfigError if that cannot be, whatever the code."""
    load_settings().settled()
    address.check(host, port, development=True)
    told = _Told()
    while not told.to_stop:
        _serve_until_changed(host, port, workers, told)


class _Told:
    """Whether this process is told to stop. It is looked at where stopping leaves nothing behind:
    an exception in the middle of a start would leave the server that was being started."""

    def __init__(self) -> None:
        self.to_stop = False
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if number := getattr(signal, name, None):
                signal.signal(number, self._stop)

    def _stop(self, *_: object) -> None:
        self.to_stop = True


def _serve_until_changed(host: str, port: int, workers: int, told: _Told) -> None:
    before = code()
    with _running(host, port, workers) as server:
        while server.alive and not told.to_stop and code() == before:
            time.sleep(POLL_SECONDS)
    if not told.to_stop and code() == before:
        click.echo("The server has ended. It starts again when a file is saved.", err=True)
        with shown(host, port, server.said or "The server has ended."):
            while not told.to_stop and code() == before:
                time.sleep(POLL_SECONDS)
    if told.to_stop:
        return
    now = _settled()
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    click.echo(f"Changed: {', '.join(names[:5])}. Starting again…", err=True)


def code() -> Code:
    """The package's modules, its templates and its static files, as they are now."""
    found: Code = {}
    for pattern in ("**/*.py", "templates/**/[!.]*", "static/**/[!.]*"):
        for path in PACKAGE.glob(pattern):
            with contextlib.suppress(OSError):  # editors put new files in the place of old ones
                status = path.stat()
                found[path.relative_to(PACKAGE).as_posix()] = (status.st_mtime_ns, status.st_size)
    return found


def _settled() -> Code:
    """The code once nobody writes at it any more, as an editor may that saves many files."""
    before, now = None, code()
    while before != now:
        time.sleep(POLL_SECONDS / 2)
        before, now = now, code()
    return now


class _Server:
    """The process that serves. What it says goes to standard error, and is kept for the page."""

    def __init__(self, host: str, port: int, workers: int) -> None:
        at = ["--host", host, "--port", str(port), "--workers", str(workers)]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", f"{__package__}.cli", "serve", *at],
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, "SILO_DEVELOPMENT": "1"},
        )
        self.said = ""
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Let it hand back its jobs, and wait for its end."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.wait()
        self._hearing.join(END_SECONDS)

    def _hear(self) -> None:
        stream: Any = self._process.stderr
        for line in stream:
            sys.stderr.write(line)
            sys.stderr.flush()
            self.said = (self.said + line)[-SAID_CHARS:]


@contextlib.contextmanager
def _running(host: str, port: int, workers: int) -> Iterator[_Server]:
    server = _Server(host, port, workers)
    try:
        yield server
    finally:
        server.end()
