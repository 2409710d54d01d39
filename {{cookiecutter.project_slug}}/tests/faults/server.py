"""The real server in processes of its own, to be killed, and a caller that speaks to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers.ports import free_port

from {{ cookiecutter.package_name }} import __name__ as package
from {{ cookiecutter.package_name }}.silo.files.local import PIECE_BYTES

TASKS = f"{package}.silo.tasks."
"""What the commands have in common of processes that are there for jobs."""
ORPHAN_SECONDS = 60
ANSWER_SECONDS = 120
"""How long a busy machine may take for what takes none elsewhere."""
LOG = "server.log"
BOUNDARY = "one-part-and-no-more"


class Program:
    """A command of the app in a process of its own, in the folder of its data directory.

    Started again it has the same settings and data. `prepare` is called in the new process before
    it becomes the command.
    """

    def __init__(
        self,
        data: Path,
        settings: Mapping[str, object],
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self.data = data
        self._settings = {name: str(value) for name, value in settings.items()}
        self._prepare = prepare
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self, command: str, *options: str) -> None:
        folder = self.data.parent
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{package}.cli", command, *options],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p),
                    "SILO_DATA_DIR": str(self.data),
                    **self._settings,
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=self._prepare,
            )

    @property
    def log(self) -> str:
        """All that it has said, and others with a data directory in the same folder."""
        return (self.data.parent / LOG).read_text()

    @property
    def master(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self, *pids: int) -> None:
        """`kill -9` these processes; whoever hangs on them must be gone by itself soon after.

        They are stopped first, so that none has the time to see another die, and to tidy up.
        """
        doomed = {*pids, *(child for pid in pids for child in descendants_of(pid))}
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        if self._process and self.master in pids:
            self._process.wait()
        deadline = time.monotonic() + ORPHAN_SECONDS
        while left := [pid for pid in doomed if alive(pid)]:
            assert time.monotonic() < deadline, f"orphans: {[command(pid) for pid in left]}"
            time.sleep(0.01)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process
        self._process.terminate()
        return self._process.wait(ANSWER_SECONDS)


class Server(Program):
    """`serve` on a port and a data directory that stay the same from one start to the next."""

    piece_bytes = PIECE_BYTES
    """How much of an upload that breaks off may be lost."""

    def __init__(
        self,
        data: Path,
        workers: int = 2,
        prepare: Callable[[], object] | None = None,
        **settings: object,
    ) -> None:
        super().__init__(data, settings, prepare)
        self.port = free_port()
        self._workers = workers

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.begin()
        self.wait_ready()

    def begin(self) -> None:
        self.launch("serve", "--port", str(self.port), "--workers", str(self._workers))

    def wait_ready(self) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while len(self.workers()) < self._workers or not self.answers():
            assert self.runs, self.log
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            return Caller(self.port).get("/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def workers(self) -> list[int]:
        """The web processes."""
        return [pid for pid in children_of(self.master) if TASKS not in command(pid)]

    def fork_servers(self) -> list[int]:
        """Those of the web processes, which fork a child for each job."""
        return [pid for each in self.workers() for pid in children_of(each)]

    def job_children(self) -> list[int]:
        """Those that work on a job."""
        return [pid for each in self.fork_servers() for pid in children_of(each)]

    def job_processes(self) -> list[int]:
        """Whatever is there for jobs."""
        return [*self.fork_servers(), *self.job_children()]

    def everyone(self) -> list[int]:
        return [self.master, *self.workers(), *self.job_processes()]

    def ensure_up(self) -> None:
        """Start again if the master is dead."""
        if self.runs:
            self.wait_ready()
        else:
            self.start()

    def settle(self) -> None:
        """After a kill all is as it was once `ensure_up` is done."""

    def part_bytes(self) -> int:
        """The bytes of uploads that are on their way."""
        return sum(path.stat().st_size for path in (self.data / "files").rglob("*.part"))

    def orphans(self) -> list[str]:
        """Processes that still run with the data directory, after the server was stopped."""
        return processes_of(self.data)

    def left_behind(self) -> list[str]:
        """Files of sessions: after every session was reset there is none."""
        return [str(path) for path in (self.data / "files").rglob("*") if path.is_file()]


def children_of(pid: int) -> list[int]:
    found: list[str] = []
    with contextlib.suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # only this thread has
                found += (task / "children").read_text().split()
    return [*map(int, found)]


def descendants_of(pid: int) -> list[int]:
    return [each for child in children_of(pid) for each in (child, *descendants_of(child))]


def command(pid: int) -> str:
    return told(pid, "cmdline").replace(b"\0", b" ").decode()


def told(pid: int, what: str) -> bytes:
    """What the system says of a process; nothing once it has ended."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def processes_of(data: Path) -> list[str]:
    """The command lines of processes whose data directory this is."""
    said = f"SILO_DATA_DIR={data}\0".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if said in (path / "environ").read_bytes():
                found.append(command(int(path.name)))
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """One client: it keeps its session id, and nothing else."""

    port: int
    sid: str | None = None
    headers: dict[str, str] = field(default_factory=lambda: {"X-Requested-With": "test"})

    def get(self, path: str) -> Answer:
        return self.call("GET", path)

    def post(self, path: str, body: bytes = b"", kind: str = "application/json") -> Answer:
        return self.call("POST", path, body, {"Content-Type": kind})

    def upload(self, name: str, data: bytes) -> Answer:
        return self.post("/api/upload", *form(name, data))

    def listen(self, path: str, last_event_id: str = "") -> Iterator[Event]:
        """The events of a stream until it ends or breaks off."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", path, headers={**self._own(), "Last-Event-ID": last_event_id})
            yield from parse(connection.getresponse())
        finally:
            connection.close()

    def call(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, path, body, {**self._own(), **(headers or {})})
            response = connection.getresponse()
            answer = Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()
        self.sid = answer.headers.get("X-Session-ID", self.sid)
        return answer

    def create(self, name: str, size: int) -> str:
        """Begin an upload of its own; its path."""
        named = {"Content-Disposition": f"attachment; filename={name}"}
        told = {"Upload-Complete": "?0", "Upload-Length": str(size)}
        return self.call("POST", "/api/uploads", b"", {**named, **told}).headers["Location"]

    def offset(self, path: str) -> int:
        """How far an upload of its own is."""
        return int(self.call("HEAD", path).headers["Upload-Offset"])

    def wait_offset(self, path: str, least: int) -> None:
        """Wait until so much of an upload is there.

        It asks late and seldom: who asks takes the turn from a connection that brings something.
        """
        deadline = time.monotonic() + ANSWER_SECONDS
        time.sleep(1)
        while self.offset(path) < least:
            assert time.monotonic() < deadline
            time.sleep(1)

    def append(self, path: str, offset: int, data: bytes) -> Answer:
        """Send the rest of an upload of its own."""
        return self.call("PATCH", path, data, rest(offset))

    def append_in_part(self, path: str, data: bytes, sent: int) -> socket.socket:
        """The same, but send only so many bytes; the connection, still open."""
        return self._in_part("PATCH", path, data, sent, rest(0))

    def upload_in_part(self, name: str, data: bytes, sent: int) -> socket.socket:
        """Begin an upload and send only so many bytes; the connection, still open."""
        body, kind = form(name, data)
        return self._in_part("POST", "/api/upload", body, sent, {"Content-Type": kind})

    def _in_part(
        self, method: str, path: str, body: bytes, sent: int, headers: dict[str, str]
    ) -> socket.socket:
        head = [
            f"{method} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Content-Length: {len(body)}",
            *(f"{key}: {value}" for key, value in {**self._own(), **headers}.items()),
        ]
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body[:sent])
        return connection

    def _own(self) -> dict[str, str]:
        return {**self.headers, **({"X-Session-ID": self.sid} if self.sid else {})}


def insist(call: Callable[[int, str | None], Answer], port: int, sid: str | None) -> Answer:
    """Make a call with its key until it is answered, as a client does that retries."""
    while True:
        try:
            answer = call(port, sid)
        except (OSError, http.client.HTTPException):
            continue
        if answer.status != 409:
            return answer
        assert answer.json["error"] in ("in_flight", "busy")
        time.sleep(0.05)


def rest(offset: int) -> dict[str, str]:
    """What says that the rest of an upload comes."""
    headers = {"Upload-Offset": str(offset), "Upload-Complete": "?1"}
    return {**headers, "Content-Type": "application/partial-upload"}


@dataclass
class Event:
    """One block of a stream, or only its `retry`."""

    event: str = ""
    id: str = ""
    data: str = ""
    retry: str = ""


def parse(lines: Iterable[bytes]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif fields:
            yield Event(**fields)
            fields = {}


def form(name: str, data: bytes) -> tuple[bytes, str]:
    """A multipart body with one file, and its content type."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    tail = f"\r\n--{BOUNDARY}--\r\n"
    return head.encode() + data + tail.encode(), f"multipart/form-data; boundary={BOUNDARY}"
