"""The parent's side of one child: start it, hand it work, hear it, end it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from .base import Outcome
from .child import Limits
from .forked import Forked
from .job import Job
from .scratch import Scratch
from .spawn import spawn

Message = dict[str, Any]

STDERR_TAIL = 4000
TICK_SECONDS = 0.1
BEGIN_SECONDS = 5
QUEUED_MESSAGES = 1000
Process = subprocess.Popen[bytes] | Forked
Start = Callable[[IO[bytes], Path | None], Process]
"""Starts a child, with a file for its standard error and a folder for its temporary files."""


class Worker:
    """A child process: spawned, or forked off a fork server; never forked off this process.

    This one has threads, and a fork copies the locks that they hold, but not them: it may wait for
    ever. `secrets` reach the child through its input, where nobody else sees them. Its temporary
    files are below the folder `scratch`, and go with it; without one they are where the system has
    them. Raises OSError if there can be no child.
    """

    def __init__(
        self,
        preload: Sequence[str],
        secrets: Mapping[str, str] | None = None,
        scratch: Path | None = None,
        start: Start = spawn,
    ) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in _clear()
        self._scratch = Scratch(scratch) if scratch else None
        try:
            self._process = start(self._stderr, self._scratch.path if self._scratch else None)
        except BaseException:
            self._clear()
            raise
        self._ended = False
        self._unread: list[Message] = []
        self._messages: queue.Queue[Message | None] = queue.Queue(QUEUED_MESSAGES)
        self._hearing = threading.Thread(target=self._hear, name="silo-hear", daemon=True)
        self._hearing.start()
        self._say({"preload": list(preload), "secrets": dict(secrets or {})})

    def give(self, job: Job, limits: Limits, waiting: Callable[[], object] = lambda: None) -> bool:
        """Hand over the work. False if the child turns out to have died before, as one may.

        `waiting` is called now and then until the child begins.
        """
        self._say(
            {
                "name": job.name,
                "id": job.id,
                "now": job.started_at or 0.0,  # a moment ago, by the clock that all machines share
                "target": job.target,
                "args": job.args,
                "kwargs": job.kwargs,
                "limits": asdict(limits),
            }
        )
        deadline = time.monotonic() + BEGIN_SECONDS
        while not (self._ended or self._unread) and time.monotonic() < deadline:
            self._unread = self.listen(TICK_SECONDS) or []
            if not self._unread:
                waiting()
        return bool(self._unread) or not self._ended

    def cancel(self) -> None:
        """Ask the target to stop at its next progress call."""
        self._write("cancel\n")

    def listen(self, seconds: float) -> list[Message] | None:
        """What the child has said since, waiting up to `seconds` for it; None once it has ended."""
        messages, self._unread = self._unread, []
        if messages:
            return messages
        if self._ended:
            return None
        with contextlib.suppress(queue.Empty):
            message = self._messages.get(timeout=seconds)
            while message is not None:
                messages.append(message)
                message = self._messages.get_nowait()
            self._ended = True
        return messages

    def kill(self) -> None:
        """End the child at once, and whatever it started with it."""
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Wait for the child's end and let go of what belongs to it."""
        self._process.wait()
        while not self._ended:  # what hears it may wait for room in the queue
            self._ended = self._messages.get() is None
        self._hearing.join()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()
        if isinstance(self._process, Forked):
            self._process.let_go()
        self._clear()

    def _clear(self) -> None:
        self._stderr.close()
        if self._scratch:
            self._scratch.remove()

    @property
    def was_killed(self) -> bool:
        """Whether somebody else killed it: a person, or a system that ran out of memory."""
        return sys.platform != "win32" and self._process.wait() == -signal.SIGKILL

    def death(self, limits: Limits) -> Outcome:
        """What it means that the child ended by itself without saying how."""
        code = self._process.wait()
        tail = self._tail()
        if "memory allocation" in tail or "MemoryError" in tail:
            return too_much_memory(limits)
        if sys.platform != "win32" and code in (-signal.SIGXCPU, -signal.SIGALRM):
            return too_long(limits)
        return Outcome("failed", CRASHED, f"the child ended with code {code}\n{tail}")

    def _say(self, message: Message) -> None:
        self._write(json.dumps(message) + "\n")

    def _write(self, line: str) -> None:
        assert self._process.stdin
        with contextlib.suppress(OSError):  # it has died; listen() tells
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def _hear(self) -> None:
        assert self._process.stdout
        try:
            for line in self._process.stdout:
                with contextlib.suppress(ValueError):  # the last line of a killed child may be torn
                    self._messages.put(json.loads(line))
        finally:
            self._messages.put(None)

    def _tail(self) -> str:
        size = self._stderr.seek(0, 2)
        self._stderr.seek(max(0, size - STDERR_TAIL))
        return self._stderr.read().decode(errors="replace")


KILLED = (
    "Processing was killed each time, most likely because the server has too little memory left. "
    "Try again later, or with less data."
)
CRASHED = (
    "Processing crashed on this input, which may be damaged. Save it anew in the program that it "
    "came from, and try again."
)


def too_much_memory(limits: Limits) -> Outcome:
    return Outcome(
        "failed",
        f"Processing needs more memory than the {limits.memory_mb:,} MB that it may use. "
        "Try again with less data.",
    )


def too_long(limits: Limits) -> Outcome:
    return Outcome(
        "failed",
        f"Processing took longer than the {limits.seconds:,.0f} seconds that it may take. "
        "Try again with less data.",
    )
