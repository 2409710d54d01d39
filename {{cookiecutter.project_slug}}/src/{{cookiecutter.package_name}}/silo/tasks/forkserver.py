"""The fork server: a process that has done the imports of all jobs, and forks a child for each.

It has one thread and runs nothing but this loop, so that a fork of it copies no lock that somebody
holds. It hears its runner on a socket, a message a child: where temporary files go, and along with
it the child's standard input, output and error, and a socket. On that it tells the child's process
id, and at its end the exit code. As long as the runner keeps its end of that socket open, the child
is not reaped, so that its process id, and its group's, are nobody else's.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

from .child import attend, die_with_parent

READY = b"ready"
MESSAGE_BYTES = 2**16
"""More than the longest path has, as JSON."""


@dataclass
class Child:
    """One that was forked: `end` is readable once it has ended, `runner` once that has let go."""

    pid: int
    end: int
    runner: socket.socket
    ended: bool = False
    left: bool = False


def main() -> None:
    """Import the modules that are named, and fork until the runner is gone.

    Says so when that can begin, and ends at once where it cannot. Each child leaves from here, too.
    """
    control = socket.socket(fileno=os.dup(0))
    die_with_parent()
    try:
        for module in sys.argv[1:]:
            import_module(module)
    except BaseException:  # whatever it is, each job's own child will meet it, and say so
        return
    if not can_fork():
        return
    gc.freeze()  # so that no child's collections touch, and thereby copy, what all share
    for stream in (sys.stdout, sys.stderr):  # or each child would say it anew
        stream.flush()
    die_with_parent(False)  # whose thread may be the first to end; the socket tells of all
    control.send(READY)
    if Server(control).serve():
        attend()


def can_fork() -> bool:
    """Whether this process is alone with itself, and Linux new enough (5.3) to tell of ends."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return len(list(Path("/proc/self/task").iterdir())) == 1


class Server:
    """The loop: forks, tells of ends, and clears away."""

    def __init__(self, control: socket.socket) -> None:
        self._pid = os.getpid()
        self._control = control
        self._children: dict[int, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._asked)

    def serve(self) -> bool:
        """True in each child; False once the runner is gone, and all children with it."""
        while True:
            for key, _ in self._selector.select():
                forked: bool | None = key.data()
                if forked is not None:
                    return forked

    def _asked(self) -> bool | None:
        message, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, 4)
        if not message:
            for child in self._children.values():
                kill(child)
            return False
        *streams, status = descriptors
        runner = socket.socket(fileno=status)
        if self._forked(runner):
            runner.close()
            self._become(streams, json.loads(message))
            return True
        for stream in streams:
            os.close(stream)
        return None

    def _forked(self, runner: socket.socket) -> bool:
        """Whether this process is the child. If there can be none, the runner hears nothing."""
        try:
            pid = os.fork()
        except OSError:
            runner.close()
            return False
        if pid:
            self._begun(pid, runner)
        return not pid

    def _begun(self, pid: int, runner: socket.socket) -> None:
        os.setpgid(pid, pid)  # here, so that it is so before anybody knows the id
        child = self._children[pid] = Child(pid, os.pidfd_open(pid), runner)
        self._selector.register(child.end, selectors.EVENT_READ, partial(self._ended, child))
        self._selector.register(runner, selectors.EVENT_READ, partial(self._left, child))
        tell(runner, pid)

    def _ended(self, child: Child) -> None:
        """Tell how, and leave the body where it lies."""
        self._selector.unregister(child.end)
        child.ended = True
        found = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert found
        tell(
            child.runner,
            found.si_status if found.si_code == os.CLD_EXITED else -found.si_status,
        )
        self._clear(child)

    def _left(self, child: Child) -> None:
        """The runner wants no more of it."""
        self._selector.unregister(child.runner)
        child.left = True
        kill(child)
        self._clear(child)

    def _clear(self, child: Child) -> None:
        if child.ended and child.left:
            os.waitpid(child.pid, 0)
            os.close(child.end)
            child.runner.close()
            del self._children[child.pid]

    def _become(self, streams: list[int], folder: str | None) -> None:
        """A child in place of the server: nothing of the server's stays open."""
        die_with_parent()
        if os.getppid() != self._pid:  # it has died before that was asked for
            os._exit(1)
        self._selector.close()
        self._control.close()
        for child in self._children.values():
            os.close(child.end)
            child.runner.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        if folder:
            os.environ["TMPDIR"] = folder
            tempfile.tempdir = None
        if numpy := sys.modules.get("numpy.random"):  # Python's own chance does so by itself
            numpy.seed()


def kill(child: Child) -> None:
    """End it at once, and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def tell(runner: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # it listens no more
        runner.send(b"%d" % number)
