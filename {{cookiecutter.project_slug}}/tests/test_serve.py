"""The command `serve`: the app as it runs in earnest, a process of its own on a port."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import known_step
import pytest
from click.testing import CliRunner, Result
from servers.ports import free_port
from support import Gate, eventually

from {{ cookiecutter.package_name }} import cli, contract, server
from {{ cookiecutter.package_name }}.about import TITLE
from {{ cookiecutter.package_name }}.address import address
from {{ cookiecutter.package_name }}.patience import PIECE_BYTES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs a Unix")


UPLOAD = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    b"Town,Size\nA,1\nB,2\nA,5\n\r\n--x--\r\n"
)


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes


class Server:
    """`serve` in a process of its own; `log` is what it has written."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.port = free_port()
        self._log = folder / "log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", cli.__name__, "serve", f"--port={self.port}", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **settings},
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        connection = self.call(method, path, body, **headers)
        answer = connection.getresponse()
        reply = Reply(answer.status, dict(answer.headers), answer.read())
        connection.close()
        return reply

    def job(self, sid: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("GET", "/api/progress", X_Session_ID=sid).body)
        return found

    def call(self, method: str, path: str, body: bytes, **headers: str) -> HTTPConnection:
        """A connection on which the answer can be awaited."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"X-Requested-With": "fetch", **named})
        return connection

    def upload(self, body: bytes = UPLOAD, **headers: str) -> Reply:
        kind = "multipart/form-data; boundary=x"
        return self.ask("POST", "/api/upload", body, Content_Type=kind, **headers)

    def is_ready(self) -> bool:
        assert self._process.poll() is None, self.log
        try:
            return self.ask("GET", "/readyz").status == 200
        except OSError:
            return False

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code and its standard output, after a signal."""
        self._process.send_signal(number)
        said, _ = self._process.communicate(timeout=120)
        return self._process.returncode, said

    def failed(self) -> tuple[int, str]:
        """Its exit code and what it said of why, when it ends by itself."""
        said, _ = self._process.communicate(timeout=120)
        return self._process.returncode, said + self.log

    def descendants(self) -> set[int]:
        """Every process below it, those that are there for jobs among them."""
        return below(self._process.pid)

    def stop(self) -> None:
        if self._process.poll() is None:
            self.end()


def below(pid: int) -> set[int]:
    children = {child for child, parent in parents() if parent == pid}
    return children.union(*map(below, children))


def parents() -> list[tuple[int, int]]:
    """Every process with its parent; from `ps` where there is no /proc."""
    if Path("/proc/self/stat").exists():
        stats = [read(path) for path in Path("/proc").glob("[0-9]*/stat")]
        found = [(each.split()[0], each.rpartition(")")[2].split()[1]) for each in stats if each]
    else:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True)
        found = [(pid, parent) for pid, parent in map(str.split, listed.stdout.splitlines())]
    return [(int(pid), int(parent)) for pid, parent in found]


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start("--workers=2", SILO_TTL="60")` is a server with its data in a folder of the test."""
    servers: list[Server] = []

    def begin(*arguments: str, **settings: str) -> Server:
        servers.append(Server(tmp_path, *arguments, **settings))
        return servers[-1]

    yield begin
    for each in servers:
        each.stop()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Shut; for servers that are given its path as TESTS_GATE."""
    gate = Gate(tmp_path / "gate")
    gate.shut()
    return gate


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for tests that leave nothing behind."""
    server = Server(tmp_path_factory.mktemp("one"))
    eventually(server.is_ready)
    yield server
    server.stop()


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_until_it_is_told_to_stop(start: Start, tmp_path: Path, workers: int) -> None:
    server = start(f"--workers={workers}")
    eventually(server.is_ready)
    sid = server.upload().headers["X-Session-ID"]
    assert server.ask("POST", "/api/process", X_Session_ID=sid).status == 202
    events = server.ask("GET", "/api/events", X_Session_ID=sid).body.decode()
    assert "event: complete" in events
    for _ in range(2 * workers):
        assert server.ask("GET", "/api/report", X_Session_ID=sid).status == 200
    children = server.descendants()
    assert len(children) > workers
    code, said = server.end()
    assert code == 0, server.log
    assert said == f"{TITLE} is at http://127.0.0.1:{server.port}  (Ctrl+C stops it)\n"
    eventually(lambda: not any(map(lives, children)))
    assert sid.rpartition(".")[0] not in server.log
    assert re.search(r"INFO \S+ [0-9a-f]{16}: POST /api/process 202 \d+ ms, ", server.log)
    assert "Traceback" not in server.log


def test_ctrl_c_ends_it_quietly(start: Start) -> None:
    server = start()
    eventually(server.is_ready)
    assert server.end(signal.SIGINT)[0] == 0
    assert "Traceback" not in server.log


def test_a_call_that_never_ends_does_not_hold_up_the_end_for_long(start: Start) -> None:
    server = start()
    eventually(server.is_ready)
    half = server.call("POST", "/api/upload", UPLOAD, Content_Length="9999")
    begun = time.monotonic()
    code, _ = server.end()
    half.close()
    assert code == 0
    assert time.monotonic() - begun < 45, "a silent upload would be let go after 60"


def test_a_job_that_runs_at_the_end_goes_on_at_the_next_start(start: Start, gate: Gate) -> None:
    server = start(SILO_LEASE="300", TESTS_GATE=str(gate.path))
    eventually(server.is_ready)
    sid = server.upload().headers["X-Session-ID"]
    server.ask("POST", "/api/process", X_Session_ID=sid)
    eventually(lambda: server.job(sid)["status"] == "running")
    assert server.end()[0] == 0
    again = start(SILO_LEASE="300", TESTS_GATE=str(gate.path))
    eventually(again.is_ready)
    gate.open()
    eventually(lambda: not again.job(sid)["running"])
    job = again.job(sid)
    assert (job["status"], job["attempt"]) == ("complete", 2)


@pytest.mark.parametrize(
    "header",
    [
        {"SCRIPT_NAME": "/evil"},
        {"SCRIPT_NAME": "/api"},
        {"PATH_INFO": "/evil"},
        {"REMOTE_ADDR": "203.0.113.9"},
        {"X_FORWARDED_FOR": "203.0.113.9"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Ssl": "on"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Prefix": "/evil"},
        {"Forwarded": "for=203.0.113.9;host=evil.example;proto=https"},
    ],
    ids=str,
)
def test_s13_no_header_changes_where_a_call_goes_or_comes_from(
    one: Server, header: dict[str, str]
) -> None:
    """Not even from this machine, where a proxy may stand that hands on what it was sent."""

    def ask(path: str, **headers: str) -> tuple[int, str | None, bytes]:
        connection = HTTPConnection("127.0.0.1", one.port, timeout=120)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = re.sub(rb'"request_id": "[^"]*"', b"", answer.read())
        connection.close()
        return answer.status, answer.headers["Location"], body

    for path in ("/", "/api/status", "/api//status", "/api/nothing"):
        assert ask(path, **header) == ask(path), path


@pytest.mark.parametrize("megabytes", [2, 40])
def test_a_refused_upload_is_told_why_however_large_it_is(start: Start, megabytes: int) -> None:
    server = start(SILO_MAX_UPLOAD_MB="1")
    eventually(server.is_ready)
    large = UPLOAD.replace(b"A,5\n", b"A,5\n" * (megabytes * 2**18))
    answer = server.upload(large)
    assert (answer.status, b"At most 1 MB" in answer.body) == (413, True)
    answer = server.upload(large, Sec_Fetch_Site="cross-site")
    assert (answer.status, b"another site" in answer.body) == (403, True)
    assert server.upload().status == 201


def test_a_body_of_unknown_length_arrives(start: Start) -> None:
    server, data = start(), b"Town,Size\n" + b"A,5\n" * 100_000
    eventually(server.is_ready)
    begun = server.ask(
        "POST",
        "/api/uploads",
        Content_Disposition="attachment; filename=a.csv",
        Upload_Complete="?0",
        Upload_Length=str(len(data)),
    )
    connection = HTTPConnection("127.0.0.1", server.port, timeout=120)
    headers = {"X-Session-ID": begun.headers["X-Session-ID"], "Upload-Offset": "0"}
    headers |= {"Upload-Complete": "?1", "Content-Type": "application/partial-upload"}
    pieces = (data[at : at + 9999] for at in range(0, len(data), 9999))
    connection.request("PATCH", begun.headers["Location"], pieces, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Upload-Complete"]) == (200, "?1")
    connection.close()


BROKEN = [
    b"GET /\x1b[2J\x85 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-E\x1bvil: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n 2026-01-01 INFO fake\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: a\x00\n2026-01-01 INFO fake\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"\x1b]0;fake\x07\r\n\r\n",
    b"GET / HTTP/9.9\n2026-01-01 INFO fake\r\n\r\n",
]
"""Requests that gunicorn itself looks at, and mostly refuses."""


@pytest.mark.parametrize("form", ["text", "json"])
def test_s40_the_server_s_own_events_have_the_form_of_the_log(start: Start, form: str) -> None:
    server = start(SILO_LOG_FORMAT=form)
    eventually(server.is_ready)
    for request in BROKEN:
        with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    server.end()
    assert "gunicorn.error" in server.log, "gunicorn has said nothing"
    assert server.log.replace("\n", "").isprintable()
    for line in server.log.splitlines():
        if form == "json":
            assert set(json.loads(line)) >= {"time", "level", "logger", "message", "request_id"}
        else:
            assert re.match(r"    |\d{4}-\d\d-\d\dT[\d:.]{12}Z [A-Z]+ [\w.]+ \S+: ", line), line


def test_a_port_in_use(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start(f"--port={port}")
        code, said = server.failed()
    assert code == 1
    assert said == f"Error: 127.0.0.1:{port} cannot be listened on: Address already in use.\n"


PASSWORD = "geheim-und-lang"
SECRET = {"SECRET_KEY": "b1946ac92492d2347c6235b4d2611184"}
LOCKED = {**SECRET, "SILO_STORE_URL": f"redis://:{PASSWORD}@127.0.0.1:1/0"}
BUCKET = {
    "SILO_FILES_URL": "s3://bucket/x",
    "SILO_FILES_ENDPOINT": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "me",
    "AWS_SECRET_ACCESS_KEY": PASSWORD,
}
BROKER = {"SILO_RUNNER": "celery", "SILO_BROKER_URL": f"redis://:{PASSWORD}@127.0.0.1:1/1"}


def serve(monkeypatch: pytest.MonkeyPatch, *arguments: str, **settings: str) -> Result:
    """`serve` in this process, up to where it would serve."""
    monkeypatch.setattr(contract, "load", lambda: known_step)
    monkeypatch.setattr(server, "_gunicorn", Mock(side_effect=AssertionError("it serves")))
    return CliRunner(env=settings).invoke(cli.main, ["serve", *arguments])


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["--workers=2"], {"SILO_STORE_URL": "memory://"}, "SILO_STORE_URL is 'memory://', which"),
        (["--host=no.such.host.invalid"], {}, "no.such.host.invalid:"),
        ([], {"SILO_TTL": "soon"}, "SILO_TTL is 'soon': "),
        ([], {"SECRET_KEY": "change-me"}, "SECRET_KEY: it is shorter than 16"),
        ([], {"SILO_DATA_DIR": "/dev/null"}, "SILO_DATA_DIR is '/dev/null': "),
        ([], {"SILO_STORE_URL": "sqlite:////dev/null/db"}, "SILO_STORE_URL is "),
        ([], {**LOCKED, "SECRET_KEY": ""}, "SECRET_KEY is empty, and SILO_STORE_URL may serve"),
        ([], LOCKED, "SILO_STORE_URL is 'redis://***@127.0.0.1:1/0': its server cannot be used: "),
        ([], BUCKET, "SILO_FILES_URL is 's3://bucket/x at http://127.0.0.1:1': the bucket does "),
        ([], BROKER, "SILO_BROKER_URL is 'redis://***@127.0.0.1:1/1': "),
    ],
)
def test_a_start_that_cannot_work_says_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    settings: dict[str, str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = serve(monkeypatch, *arguments, **settings)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {said}")
    assert result.output.count("\n") == 1
    assert PASSWORD not in result.output


@pytest.mark.parametrize("argument", ["--port=0", "--port=65536", "--port=http", "--workers=0"])
def test_a_number_that_cannot_be(monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    result = serve(monkeypatch, argument)
    assert result.exit_code == 2
    assert argument.partition("=")[0] in result.output


def test_an_address_as_it_stands_in_a_url() -> None:
    assert address("127.0.0.1", 80) == "127.0.0.1:80"
    assert address("::1", 80) == "[::1]:80"


def test_every_thread_is_free_again_after_it_has_answered(start: Start) -> None:
    server = start()
    eventually(server.is_ready)
    statuses: list[int] = []

    def ask() -> None:
        statuses.extend(server.ask("GET", "/api/status").status for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 100


def test_it_may_open_as_many_files_as_its_user_may() -> None:
    resource = pytest.importorskip("resource")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    script = (
        f"import resource as r; from {server.__package__} import server;"
        "r.setrlimit(r.RLIMIT_NOFILE, (128, r.getrlimit(r.RLIMIT_NOFILE)[1]));"
        "server.allow_files(); print(*r.getrlimit(r.RLIMIT_NOFILE))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    enough = server.FILES if hard == resource.RLIM_INFINITY else min(server.FILES, hard)
    assert said.stdout.split() == [str(enough), str(hard)]


@pytest.mark.parametrize(("files", "most"), [(server.FILES, 4000), (4096, 1332), (80, 1)])
def test_no_more_connections_are_taken_than_there_may_be_files(files: int, most: int) -> None:
    ours = server.settings_of("127.0.0.1", 8000, 1, files)
    assert ours["worker_connections"] == most
    assert 0 < ours["threads"] <= most


def test_a_stream_is_sent_away_with_a_hint_when_the_server_stops(start: Start, gate: Gate) -> None:
    server = start(TESTS_GATE=str(gate.path))
    eventually(server.is_ready)
    sid = server.upload().headers["X-Session-ID"]
    server.ask("POST", "/api/process", X_Session_ID=sid)
    connection = server.call("GET", "/api/events", b"", X_Session_ID=sid)
    answer = connection.getresponse()
    assert b"event: progress" in b"".join(answer.readline() for _ in range(3))
    assert server.end()[0] == 0
    assert re.search(rb"\nretry: [0-9]{3,4}\n\n$", answer.read())
    connection.close()


@pytest.fixture
def our_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """gunicorn has our way with a connection, for this test."""
    reading, wsgi = import_module("gunicorn.http.unreader"), import_module("gunicorn.http.wsgi")
    monkeypatch.setattr(reading.SocketUnreader, "max_body_chunk", 2**20, raising=False)
    monkeypatch.setattr(wsgi, "Response", wsgi.Response)
    import_module(f"{server.__package__}.connections").install()


@pytest.mark.usefixtures("our_way")
def test_no_more_is_taken_off_a_connection_than_is_read_of_a_body_at_a_time() -> None:
    """What gunicorn holds beyond that, it would copy anew for each piece."""
    reading, bodies = import_module("gunicorn.http.unreader"), import_module("gunicorn.http.body")
    connection, size = Mock(), 10 * PIECE_BYTES
    connection.recv.side_effect = bytes
    body = bodies.Body(bodies.LengthReader(reading.SocketUnreader(connection), size))
    assert sum(map(len, iter(lambda: body.read(PIECE_BYTES), b""))) == size
    assert max(call.args[0] for call in connection.recv.call_args_list) <= PIECE_BYTES


@pytest.mark.usefixtures("our_way")
@pytest.mark.parametrize(
    ("method", "headers", "pieces", "sent"),
    [
        ("GET", [("Content-Length", "4")], [b"ab", b"cd"], [b"\r\n\r\nab", b"cd"]),
        ("GET", [], [b"ab", b"cd"], [b"\r\n\r\n2\r\nab\r\n", b"2\r\ncd\r\n", b"0\r\n\r\n"]),
        ("HEAD", [("Content-Length", "2")], [b"ab"], [b"\r\n\r\n"]),
        ("GET", [("Content-Length", "0")], [], [b"\r\n\r\n"]),
    ],
    ids=["of a known length", "in chunks", "without its body", "empty"],
)
def test_the_head_of_an_answer_is_sent_with_the_first_piece_of_its_body(
    method: str, headers: list[tuple[str, str]], pieces: list[bytes], sent: list[bytes]
) -> None:
    """Whoever waits for it is woken once, and nobody is served between the two."""
    wsgi, config = import_module("gunicorn.http.wsgi"), import_module("gunicorn.config")
    request, connection, came = Mock(method=method, version=(1, 1)), Mock(), list[bytes]()
    request.should_close.return_value = False
    connection.sendall.side_effect = lambda data: came.append(bytes(data))
    answer = wsgi.Response(request, connection, config.Config())
    answer.start_response("200 OK", headers)
    for piece in pieces:
        answer.write(piece)
    answer.close()
    assert came[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert [came[0][came[0].index(b"\r\n\r\n") :], *came[1:]] == sent
