"""Server processes: started together, awaited, measured and ended with all their children."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

MB = 10**6
READY_SECONDS = 60.0
END_SECONDS = 10.0
REST_SECONDS = 1.0
RESTING = 0.1
"""Of a core: more than any server uses that has nothing to do, and less than one that starts."""


class CannotRunError(Exception):
    """Why a subject has no figure in a row; the row's command fails for it."""


class NotApplicableError(Exception):
    """Why a row says nothing of a subject, which is no failure."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, path: str) -> bool:
    """Whether a server says 200."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


class Processes:
    """Some commands that make up one server; what they say is in a file each, in their folder."""

    def __init__(
        self, commands: Sequence[Sequence[str | Path]], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.commands, self.folder = commands, folder
        self.environment = {**os.environ, **environment}
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._running = []
        for number, command in enumerate(self.commands):
            with self.log(number).open("wb") as log:
                self._running.append(
                    subprocess.Popen(
                        list(map(str, command)),
                        cwd=self.folder,
                        env=self.environment,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )

    def log(self, number: int) -> Path:
        return self.folder / f"{number}.log"

    def said(self) -> str:
        """By all of them, the first command's first."""
        logs = (self.log(number) for number in range(len(self.commands)))
        return "".join(log.read_text("utf-8", "replace") for log in logs)

    def wait(self, ready: Callable[[], bool], every: float = 0.01) -> None:
        """Raises CannotRunError if it is not ready in time, or has ended."""
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            ended = [n for n, each in enumerate(self._running) if each.poll() is not None]
            if ended or time.monotonic() > deadline:
                said = self.log(ended[0] if ended else 0).read_text(errors="replace")
                raise CannotRunError(f"the server did not start: {said[-300:].strip()}")
            time.sleep(every)

    def pids(self) -> list[int]:
        """All processes, children too."""
        return [pid for each in self._running for pid in (each.pid, *descendants(each.pid))]

    def kill(self) -> None:
        """`kill -9` everything at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        doomed = self.pids() if number == signal.SIGKILL else [each.pid for each in self._running]
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        for each in self._running:
            try:
                each.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self._running = []

    def rest(self) -> None:
        """Wait until there is nothing to do any more. Raises CannotRunError if there always is."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            before = self._worked()
            time.sleep(REST_SECONDS)
            if self._worked() - before <= RESTING * REST_SECONDS:
                return
        raise CannotRunError("the server does not come to rest")

    def _worked(self) -> float:
        return sum(processor_seconds(pid) for pid in self.pids())

    def growth(self, work: Callable[[], object]) -> float:
        """Megabytes by which all processes together grew, each at its highest, during some work.

        What is left of their start goes on behind the first answer; it is waited for.
        """
        self.rest()
        pids = self.pids()
        for pid in pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # forgets what was highest before
        before = sum(memory(pid, "VmRSS") for pid in pids)
        work()
        return (sum(memory(pid, "VmHWM") for pid in pids) - before) / MB


def descendants(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        own = [int(each) for task in tasks for each in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [each for child in own for each in (child, *descendants(child))]


def processor_seconds(pid: int) -> float:
    """Of a process until now; none if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, field: str) -> int:
    """Bytes of a process: `VmRSS` now, `VmHWM` at its highest; none if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)
