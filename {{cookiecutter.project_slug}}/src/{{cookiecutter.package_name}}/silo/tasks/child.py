"""The child's side of the process runner: a process calls `main`, runs one target, and ends.

It is a new Python, or a fork of one that has done the imports; see `forkserver`. It speaks JSON, a
line a message. First it is told its runner's secrets, and what to import, so that a spare child has
done its imports before there is work; then comes the work; then perhaps the word `cancel`. It
answers with progress and with its end. When its input closes, the runner is dead, and so is the
child.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TextIO

from ..errors import Cancelled
from .base import Outcome, Target, outcome_of
from .job import LINE_CHARS, sentence

UPDATE_SECONDS = 0.1
"""Progress is said at most this often, and at most this late: a step may report every row, and the
news is the latest."""

NICE = 10
"""How far a job gives way, as `nice` counts: a call that is answered in a millisecond should not
wait for the end of a job's turn on its core, which is four."""

READ_BYTES = 2**16

ALARM_SECONDS = 10
"""How much longer than its time a child may take before the system ends it."""


@dataclass(frozen=True)
class Limits:
    """What one job may use: address space, processor and wall clock, a file's size, open files."""

    memory_mb: int = 1024
    seconds: float = 900
    file_mb: int = 1024
    open_files: int = 256


class ChildTask:
    """The Reporter of a target that runs in a child: says everything to the parent."""

    def __init__(
        self, name: str, job_id: str, now: float, secrets: dict[str, str], out: TextIO
    ) -> None:
        ahead = now - time.monotonic()
        self.name = name
        self.id = job_id
        self.clock = lambda: ahead + time.monotonic()
        self.secrets = secrets
        self.cancelled = threading.Event()
        self._out = out
        self._said = 0.0
        self._unsaid: dict[str, float | str] = {}
        self._later: threading.Timer | None = None
        self._lock = threading.RLock()

    def update(self, progress: float | None = None, message: str | None = None) -> None:
        self._heed()
        with self._lock:
            if progress is not None:
                self._unsaid["progress"] = float(progress)
            if message is not None:
                self._unsaid["message"] = str(message)[:LINE_CHARS]
            if time.monotonic() - self._said >= UPDATE_SECONDS:
                self._flush()
            elif self._later is None:
                self._say_later()

    def log(self, message: str) -> None:
        self._heed()
        self.say(log=str(message)[:LINE_CHARS])

    def complete(self, message: str = "Done") -> None:
        self._flush()
        self.say(end="complete", message=sentence(message))

    def fail(self, error: str) -> None:
        self._flush()
        self.say(end="failed", message=sentence(error))

    def say(self, **message: Any) -> None:
        with self._lock:
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()

    def _say_later(self) -> None:
        """Perhaps the target says nothing more for long."""
        later = threading.Timer(UPDATE_SECONDS, self._catch_up)
        later.daemon = True
        with contextlib.suppress(RuntimeError):  # a target near its limit of memory has no thread
            later.start()
            self._later = later

    def _catch_up(self) -> None:
        with self._lock:
            self._later = None
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            unsaid, self._unsaid = self._unsaid, {}
            self._said = time.monotonic()
            if unsaid:
                self.say(**unsaid)

    def _heed(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled


def main() -> None:
    """What a new Python calls."""
    die_with_parent()
    attend()


def attend() -> None:
    """Prepare, wait for work, do it, end."""
    heard, out = _streams()
    prepare = json.loads(next(heard, b"{}"))
    for module in prepare.get("preload", []):
        import_module(module)
    line = next(heard, b"")
    if line:
        _work(json.loads(line), prepare.get("secrets", {}), heard, out)
        os._exit(0)  # all is said; Python would take its modules apart first, one by one


def _streams() -> tuple[Iterator[bytes], TextIO]:
    """What the parent says, a line at a time, and where to answer; for us and nobody else.

    Native readers and stray prints write to standard output, which the parent must not hear. What a
    target starts may read standard input or close it, and would wait for the parent. And a fork of
    us, as a pool makes it, has neither: it would be heard, and keep our end from the parent.
    """
    heard, said, null = os.dup(0), os.dup(1), os.open(os.devnull, os.O_RDWR)

    def forget() -> None:
        for number in (heard, said):
            os.dup2(null, number, inheritable=False)

    os.dup2(null, 0)
    os.dup2(2, 1)
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=forget)
    return _lines(heard), os.fdopen(said, "w", encoding="utf-8")


def _lines(number: int) -> Iterator[bytes]:
    """The lines that come. A file object has a lock, of which a fork would get a copy that is held
    for ever."""
    rest = b""
    while data := os.read(number, READ_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _work(
    work: dict[str, Any], secrets: dict[str, str], heard: Iterator[bytes], out: TextIO
) -> None:
    task = ChildTask(work["name"], work["id"], work["now"], secrets, out)
    task.say(begun=True)
    threading.Thread(target=_listen, args=(task, heard), daemon=True).start()
    try:
        target = find(work["target"])
        _limit(Limits(**work["limits"]))
        result = target(task, *work["args"], **work["kwargs"])
        task.say(end="complete", message="Done", result=result)
    except MemoryError:
        task.say(memory=True)
    except BaseException as error:  # whatever it is, it is this job's end and must be said
        outcome: Outcome = outcome_of(error)
        task.say(
            end=outcome.end,
            message=outcome.sentence,
            trace=outcome.trace,
            passing=outcome.passing,
        )


def find(path: str) -> Target:
    """The function that `module:name` names."""
    module, _, name = path.partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    target: Target = found
    return target


def _listen(task: ChildTask, heard: Iterator[bytes]) -> None:
    for line in heard:
        if line == b"cancel":
            task.cancelled.set()
    os._exit(1)


def die_with_parent(yes: bool = True) -> None:
    """Ask Linux to kill us when the parent dies; elsewhere the closing input has to do.

    What counts as the parent is the very thread that started us.
    """
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL if yes else 0)


def _limit(limits: Limits) -> None:
    """Give way to others, and set the limits, where the system knows them.

    The wall clock is the parent's to watch; the alarm is for a parent that does not.
    """
    if sys.platform == "win32":
        return
    import resource

    os.nice(NICE)
    signal.alarm(int(limits.seconds) + ALARM_SECONDS)
    memory, file = limits.memory_mb * 2**20, limits.file_mb * 2**20
    seconds = int(limits.seconds) + 1
    wanted = [
        # At the soft limit Linux says why it ends the child (SIGXCPU), at the hard one it does not.
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_FSIZE, file, file),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
        (resource.RLIMIT_CORE, 0, 0),
    ]
    if sys.platform != "darwin":  # which refuses any, since every process has far more addresses
        wanted.append((resource.RLIMIT_AS, memory, memory))
    for kind, soft, hard in wanted:
        _, given = resource.getrlimit(kind)
        most = sys.maxsize if given == resource.RLIM_INFINITY else given
        resource.setrlimit(kind, (min(soft, most), min(hard, most)))
