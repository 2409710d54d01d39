"""The runner's side of the fork server: start it, and ask it for children."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from .spawn import python

WARM_SECONDS = 60
"""For the imports. If they take longer each child does its own, which is held to its limits."""
AGAIN_SECONDS = 10
"""The same while a job waits: less than its lease."""
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
        self.impossible = sys.platform != "linux"
        """Whether it is known that there can be none."""

    def warm(self) -> bool:
        """See to it that it runs and has done its imports. False if it cannot be."""
        return self._control(WARM_SECONDS) is not None

    def fork(self, stderr: IO[bytes], folder: Path | None) -> Forked | None:
        """A child whose temporary files lie in `folder`; None if there can be none."""
        control = self._control(AGAIN_SECONDS)
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
            self.impossible = True
            self._end()

    def _control(self, seconds: float) -> socket.socket | None:
        with self._lock:
            if self._running and self._running[0].poll() is not None:
                self._end()
            if not self._running and not self.impossible:
                self._begin(seconds)
            return self._running[1] if self._running else None

    def _begin(self, seconds: float) -> None:
        ours, theirs = pair()
        with theirs:
            process = python(
                "forkserver", self._preload, {}, stdin=theirs, stdout=subprocess.DEVNULL
            )
        self._running = process, ours
        ours.settimeout(seconds)
        try:
            said = ours.recv(16)
            # What has ended by itself would do so again; what somebody has killed would not.
            self.impossible = not said and process.wait() >= 0
        except TimeoutError:
            said, self.impossible = b"", True
        ours.settimeout(None)
        if not said:
            self._end()

    def _end(self) -> None:
        if self._running:
            process, control = self._running
            control.close()
            process.kill()
            process.wait()
        self._running = None


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a socket that keeps messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
