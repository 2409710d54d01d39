"""The runner's side of the fork server: start it, and ask it for children."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from .spawn import python

WARM_SECONDS = 60
"""How long imports are waited for. A child that cannot be forked by then does its own."""
FORK_SECONDS = 5


class Forked:
    """A child of the fork server; to its runner what a `Popen` is, and to be let go of.

    `status` is the runner's end of the socket on which the server tells of the child. A server that
    dies takes its children along, so a child that nobody tells of was killed.
    """

    def __init__(self, status: socket.socket, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.pid = 0
        self.stdin = stdin
        self.stdout = stdout
        self._status = status
        self._code: int | None = None

    def begun(self) -> None:
        """Wait for the fork. Raises OSError if there was none."""
        self._status.settimeout(FORK_SECONDS)
        self.pid = int(self._status.recv(16) or 0)
        self._status.settimeout(None)
        if not self.pid:
            raise ChildProcessError("there was no fork")

    def wait(self) -> int:
        """Its exit code; negative is the signal that ended it."""
        if self._code is None:
            self._code = int(self._status.recv(16) or -signal.SIGKILL)
        return self._code

    def let_go(self) -> None:
        """From here on its process id may become another's."""
        self._status.close()


class ForkServer:
    """A process that has imported the modules `preload`, and forks children that have them, too.

    It is started anew if somebody has killed it; where it cannot be, it is not tried again.
    """

    def __init__(self, preload: Sequence[str] = ()) -> None:
        self._preload = preload
        self._lock = threading.Lock()
        self._running: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        self._begun = 0.0
        self._possible = sys.platform == "linux"
        self.ready = False
        """Whether it has done its imports, and forks."""

    def warm(self, seconds: float) -> bool:
        """See to it that it runs, and wait for its imports; False if they may still end well."""
        self._control(seconds)
        late = time.monotonic() > self._begun + WARM_SECONDS
        return self.ready or late or self._running is None

    def fork(self, stderr: IO[bytes], folder: Path | None) -> Forked | None:
        """A child whose temporary files lie in `folder`; None if there can be none."""
        control = self._control(0)
        if control is None:
            return None
        status, theirs = pair()
        (read, stdin), (stdout, write) = os.pipe(), os.pipe()
        child = Forked(status, os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb"))
        try:
            message = json.dumps(folder and str(folder)).encode()
            streams = [read, write, stderr.fileno(), theirs.fileno()]
            try:
                socket.send_fds(control, [message], streams)
            finally:
                theirs.close()
                os.close(read)
                os.close(write)
            child.begun()
        except OSError:
            child.let_go()
            child.stdin.close()
            child.stdout.close()
            return None
        return child

    def close(self) -> None:
        """End it, and all its children."""
        with self._lock:
            self._possible = False
            self._end()

    def _control(self, seconds: float) -> socket.socket | None:
        """Where to ask; None if it is not ready in so many seconds."""
        with self._lock:
            if self._running and self._running[0].poll() is not None and self.ready:
                self._end()
            if not self._running and self._possible:
                self._begin()
            if self._running and not self.ready:
                left = self._begun + WARM_SECONDS - time.monotonic()
                self._hear(*self._running, min(seconds, left))
            return self._running[1] if self._running and self.ready else None

    def _begin(self) -> None:
        ours, theirs = pair()
        with theirs:
            process = python(
                "forkserver", self._preload, {}, stdin=theirs, stdout=subprocess.DEVNULL
            )
        self._running, self._begun = (process, ours), time.monotonic()

    def _hear(
        self, process: subprocess.Popen[bytes], control: socket.socket, seconds: float
    ) -> None:
        """Wait for its word that it is ready."""
        control.settimeout(max(seconds, 0.001))
        with contextlib.suppress(TimeoutError):
            self.ready = bool(control.recv(16))
            control.settimeout(None)
            if not self.ready:  # what has ended by itself would do so again; what was killed, not
                self._possible = process.wait() < 0
                self._end()

    def _end(self) -> None:
        if self._running:
            process, control = self._running
            control.close()
            process.kill()
            process.wait()
        self._running, self.ready = None, False


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a socket that keeps messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
