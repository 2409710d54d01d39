"""Those who send: much, slowly, nonsense, or not to the end. Others notice nothing of it."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support import eventually

from .server import BOUNDARY, Answer, Caller, Server, form

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MB = 2**20
IDLE_SECONDS = 2.0
PATIENT_SECONDS = 12.0
ANSWER_SECONDS = 60
"""How long a busy machine may take to answer."""
SENDERS = 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that is not patient, and takes large files."""
    server = Server(
        tmp_path_factory.mktemp("senders") / "data",
        workers=1,
        SILO_UPLOAD_IDLE=IDLE_SECONDS,
        SILO_MAX_UPLOAD_MB=600,
        SILO_SESSION_QUOTA_MB=600,
    )
    server.start()
    yield server
    assert server.stop() == 0


@pytest.fixture
def caller(server: Server) -> Iterator[Caller]:
    """Somebody with a session and a small file."""
    caller = Caller(server.port)
    assert caller.upload("small.csv", b"a,b\n1,2\n").status == 201
    yield caller
    assert caller.post("/api/reset").status == 204
    assert server.left_behind() == []


class Line:
    """A connection on which a test sends what it likes, and when."""

    def __init__(self, port: int, head: list[str], body: bytes = b"") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        lines = [*head, "Host: 127.0.0.1", "X-Requested-With: test", "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)

    def answer(self, seconds: float) -> tuple[int, bytes]:
        """The status and the first bytes of what comes; fails if nothing comes in time."""
        self.socket.settimeout(seconds)
        came = b""
        while b"\r\n\r\n" not in came or not came.rpartition(b"\r\n\r\n")[2]:
            piece = self.socket.recv(4096)
            if not piece:
                break
            came += piece
        found = re.match(rb"HTTP/1\.1 (\d+)", came)
        assert found, came
        return int(found[1]), came

    def is_answered(self, seconds: float) -> bool:
        """Whether something has come by then, of which nothing is taken."""
        self.socket.settimeout(seconds)
        return bool(self.socket.recv(1, socket.MSG_PEEK))

    def is_closed(self, seconds: float) -> bool:
        """Whether the other side ends the connection."""
        self.socket.settimeout(seconds)
        with contextlib.suppress(ConnectionError):
            while self.socket.recv(4096):
                pass
        return True


Connect = Callable[..., Line]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connections that the end of the test closes."""
    with contextlib.ExitStack() as stack:

        def open_line(port: int, head: list[str], body: bytes = b"") -> Line:
            line = Line(port, head, body)
            stack.enter_context(line.socket)
            return line

        yield open_line


def peak(pid: int) -> float:
    """The most memory that a process has held since `forget_peak`, in MB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def sockets_of(pid: int) -> int:
    """How many a process has open."""
    count = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += str(each.readlink()).startswith("socket:")
    return count


# Much


class Zeros:
    """A csv file of so many bytes that is nowhere."""

    def __init__(self, size: int, head: bytes = b"", tail: bytes = b"") -> None:
        self.size = len(head) + size + len(tail)
        self._pieces = [head, *[b"1234567\n" * (MB // 8)] * (size // MB), tail]

    def send(self, line: Line) -> None:
        for piece in self._pieces:
            line.socket.sendall(piece)


@pytest.mark.parametrize("way", ["form", "resumable"])
def test_s18_five_hundred_megabytes_grow_the_process_by_less_than_twenty(
    server: Server, caller: Caller, connect: Connect, way: str
) -> None:
    size, sid = 500 * MB, f"X-Session-ID: {caller.sid}"
    [worker] = server.workers()
    if way == "form":
        body, kind = form("large.csv", b"\0")
        data = Zeros(size, *body.split(b"\0"))
        head = ["POST /api/upload HTTP/1.1", f"Content-Type: {kind}"]
    else:
        data, name = Zeros(size), "attachment; filename=large.csv"
        head = ["POST /api/uploads HTTP/1.1", f"Content-Disposition: {name}"]
    forget_peak(worker)
    before = peak(worker)
    line = connect(server.port, [*head, sid, f"Content-Length: {data.size}"])
    data.send(line)
    assert line.answer(120)[0] == 201
    assert peak(worker) - before < 20


# Too much


def upload(caller: Caller) -> Answer:
    return caller.upload("a.csv", b"1234567\n" * (MB // 8))


def begin(caller: Caller) -> Answer:
    told = {"Upload-Complete": "?0", "Upload-Length": str(MB)}
    named = {"Content-Disposition": "attachment; filename=a.csv"}
    return caller.call("POST", "/api/uploads", b"", {**told, **named})


QUOTAS = [("SILO_TOTAL_QUOTA_MB", upload), ("SILO_SESSION_QUOTA_MB", begin)]


@pytest.mark.parametrize(
    "head",
    [
        ["POST /api/upload HTTP/1.1", "Content-Type: multipart/form-data; boundary=x"],
        ["POST /api/upload HTTP/1.1", "Content-Type: application/json"],
        ["POST /api/uploads HTTP/1.1", "Content-Disposition: attachment; filename=a.csv"],
        ["POST /api/process HTTP/1.1", "Content-Type: application/json"],
    ],
    ids=["form", "list", "resumable", "options"],
)
def test_s17_the_limit_answers_before_the_body_is_sent(
    server: Server, caller: Caller, connect: Connect, head: list[str]
) -> None:
    sid = f"X-Session-ID: {caller.sid}"
    line = connect(server.port, [*head, sid, f"Content-Length: {700 * MB}"], b"1,2\n")
    status, answer = line.answer(ANSWER_SECONDS)
    assert status == 413
    assert b"too_large" in answer
    assert caller.get("/api/status").json["files"][0]["name"] == "small.csv"


def test_s17_a_body_of_unknown_length_is_refused_where_the_limit_is(
    server: Server, caller: Caller, connect: Connect
) -> None:
    head = ["POST /api/process HTTP/1.1", "Content-Type: application/json"]
    sid = f"X-Session-ID: {caller.sid}"
    line = connect(server.port, [*head, sid, "Transfer-Encoding: chunked"])
    piece = b"%x\r\n%s\r\n" % (MB, b" " * MB)
    for _ in range(3):
        line.socket.sendall(piece)
    assert line.answer(ANSWER_SECONDS)[0] == 413


@pytest.mark.parametrize(("setting", "way"), QUOTAS)
def test_s17_quotas_hold_for_many_at_once_over_two_workers(
    tmp_path: Path, setting: str, way: Callable[[Caller], Answer]
) -> None:
    """Each sends a megabyte, and there is room for five."""
    limit: dict[str, Any] = {setting: 5}
    server = Server(tmp_path / "data", workers=2, **limit)
    server.start()
    first = Caller(server.port)
    if way is begin:
        first.upload("small.csv", b"a\n1\n")
    with ThreadPoolExecutor(16) as pool:
        callers = [Caller(server.port, first.sid) for _ in range(16)]
        statuses = [answer.status for answer in pool.map(way, callers)]
    assert set(statuses) <= {201, 413, 507}
    taken = statuses.count(201)
    assert taken == 5 or (way is upload and taken < 5)
    for _ in range(5 - taken):  # what came while somebody counted is not counted twice for long
        eventually(lambda: way(Caller(server.port, first.sid)).status == 201)
    assert way(Caller(server.port, first.sid)).status in {413, 507}
    assert server.stop() == 0


# Slowly


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Server]:
    """A server that waits for so long that a busy machine answers others before that."""
    server = Server(tmp_path / "data", workers=1, SILO_UPLOAD_IDLE=PATIENT_SECONDS)
    server.start()
    yield server
    assert server.stop() == 0


def test_s20_two_hundred_at_a_byte_a_second_hold_nobody_up(
    patient: Server, connect: Connect
) -> None:
    body, kind = form("slow.csv", b"1,2\n" * MB)
    head = ["POST /api/upload HTTP/1.1", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines = [connect(patient.port, head) for _ in range(SENDERS)]
    over, sent = threading.Event(), []

    def drip() -> None:
        at = 0
        while not over.wait(1):
            at += 1
            for line in lines:
                with contextlib.suppress(OSError):
                    line.socket.send(body[at : at + 1])
            sent.append(at)

    thread = threading.Thread(target=drip)
    thread.start()
    eventually(lambda: sent)
    caller, began = Caller(patient.port), time.monotonic()
    assert caller.upload("a.csv", b"a,b\n1,2\n").status == 201
    assert time.monotonic() - began < PATIENT_SECONDS
    statuses = [line.answer(ANSWER_SECONDS)[0] for line in lines]
    over.set()
    thread.join()
    assert set(statuses) == {408}
    assert caller.post("/api/reset").status == 204


@pytest.mark.parametrize("head", [b"", b"GET /hea", b"POST /api/upload HTTP/1.1\r\nHost: x\r\nX-"])
def test_s20_two_hundred_without_an_end_of_their_heads_hold_nobody_up(
    patient: Server, head: bytes
) -> None:
    with contextlib.ExitStack() as stack:
        lines = [
            stack.enter_context(socket.create_connection(("127.0.0.1", patient.port)))
            for _ in range(SENDERS)
        ]
        for line in lines:
            line.sendall(head)
        began = time.monotonic()
        assert Caller(patient.port).get("/api/status").status == 200
        assert time.monotonic() - began < PATIENT_SECONDS
        for line in lines[:: 20 if head else SENDERS]:
            line.settimeout(ANSWER_SECONDS)
            assert not head or line.recv(1) == b""


@pytest.mark.parametrize(("first", "status"), [("GET /healthz HTTP/1.1", 200), ("nonsense", 400)])
def test_s20_who_does_not_close_what_has_ended_holds_nobody_up(
    patient: Server, connect: Connect, first: str, status: int
) -> None:
    """gunicorn would wait for each of them by itself, two seconds, where it takes connections."""
    lines = [connect(patient.port, [first, "Connection: close"]) for _ in range(20)]
    began = time.monotonic()
    assert {line.answer(ANSWER_SECONDS)[0] for line in lines} == {status}
    assert Caller(patient.port).get("/api/status").status == 200
    assert time.monotonic() - began < PATIENT_SECONDS
    assert all(line.is_closed(ANSWER_SECONDS) for line in lines)


@pytest.mark.parametrize("sent", [0, 10, 5000])
def test_s20_who_falls_silent_is_told_and_let_go(
    server: Server, caller: Caller, connect: Connect, sent: int
) -> None:
    body, kind = form("slow.csv", b"1,2\n" * MB)
    sid = f"X-Session-ID: {caller.sid}"
    head = ["POST /api/upload HTTP/1.1", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    before = server.left_behind()
    line = connect(server.port, [*head, sid], body[:sent])
    status, answer = line.answer(ANSWER_SECONDS)
    assert status == 408
    assert b"too_slow" in answer
    assert line.is_closed(ANSWER_SECONDS)
    assert server.left_behind() == before


def test_s20_who_takes_nothing_of_the_answers_is_let_go(server: Server, connect: Connect) -> None:
    """Their kernel says that it has no room, for ever."""
    [worker] = server.workers()
    asked = b"GET /static/app.css HTTP/1.1\r\nHost: x\r\n\r\n" * 2000
    before = sockets_of(worker)
    lines = [connect(server.port, ["GET /healthz HTTP/1.1"], asked) for _ in range(20)]
    assert all(line.is_answered(ANSWER_SECONDS) for line in lines)
    assert Caller(server.port).get("/api/status").status == 200
    eventually(lambda: sockets_of(worker) <= before + 1)
    assert "Traceback" not in server.log


# Not to the end


@pytest.mark.parametrize("share", [0, 1, 50, 99, 100])
def test_s19_a_form_that_is_cut_leaves_nothing_and_its_quota(
    server: Server, caller: Caller, connect: Connect, share: int
) -> None:
    """Cut in its head, in its file, and in its last line."""
    body, kind = form("cut.csv", b"1,2\n" * MB)
    sid = f"X-Session-ID: {caller.sid}"
    head = ["POST /api/upload HTTP/1.1", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    before = server.left_behind()
    sent = min(len(body) * share // 100, len(body) - 3)
    line = connect(server.port, [*head, sid], body[:sent])
    line.socket.shutdown(socket.SHUT_WR)
    assert line.answer(ANSWER_SECONDS)[0] in (400, 422)
    assert server.left_behind() == before
    assert [file["name"] for file in caller.get("/api/status").json["files"]] == ["small.csv"]
    assert caller.upload("cut.csv", b"1,2\n").status == 201


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Server]:
    """A server of two workers of its own."""
    server = Server(tmp_path / "data", workers=2)
    server.start()
    yield server
    assert server.stop() == 0


def test_s21_uploads_and_resets_at_once_leave_no_orphan(pair: Server) -> None:
    first = Caller(pair.port)
    first.upload("small.csv", b"a\n1\n")

    def act(number: int) -> int:
        caller = Caller(pair.port, first.sid)
        if number % 3 == 0:
            return caller.post("/api/reset").status
        return caller.upload(f"{number}.csv", b"1234567\n" * 20_000).status

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(act, range(90)))
    assert statuses <= {201, 204, 409}
    files = first.get("/api/status").json["files"]
    assert len(pair.left_behind()) == 2 * len(files)
    assert first.post("/api/reset").status == 204
    assert pair.left_behind() == []


# Nonsense


def parts(count: int) -> bytes:
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    return part.encode() * count + f"--{BOUNDARY}--\r\n".encode()


NESTED = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n'
    "Content-Type: multipart/mixed; boundary=inner\r\n\r\n"
    + "--inner\r\n\r\n" * 1000
    + f"--inner--\r\n--{BOUNDARY}--\r\n"
).encode()
ABUSES = {
    "1,001 parts": (parts(1001), BOUNDARY, {413}),
    "no boundary": (parts(1), "", {422}),
    "another boundary": (parts(1), "another", {400, 422}),
    "a flood of line ends": (b"\r" * 2 * MB, BOUNDARY, {400, 413, 422}),
    "a part that is all line ends": (
        parts(1)[:60] + b"\r\n\r\n" + b"\r" * 4 * MB,
        BOUNDARY,
        {400, 413, 422},
    ),
    "a header of a megabyte": (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=".encode() + b"x" * MB,
        BOUNDARY,
        {400, 413, 422},
    ),
    "a boundary of a kilobyte": (parts(1), "x" * 1000, {400, 422}),
    "a body in a body": (NESTED, BOUNDARY, {201, 400, 415, 422}),
}


@pytest.mark.parametrize(("body", "boundary", "right"), ABUSES.values(), ids=ABUSES)
def test_s20_abuse_of_forms_ends_in_an_answer(
    server: Server, caller: Caller, connect: Connect, body: bytes, boundary: str, right: set[int]
) -> None:
    told = f"; boundary={boundary}" if boundary else ""
    sid = f"X-Session-ID: {caller.sid}"
    line = connect(
        server.port,
        [
            "POST /api/upload HTTP/1.1",
            f"Content-Type: multipart/form-data{told}",
            f"Content-Length: {len(body)}",
            sid,
        ],
    )
    line.socket.sendall(body)
    assert line.answer(ANSWER_SECONDS)[0] in right
    assert server.answers()
