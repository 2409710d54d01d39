"""What can be seen or switched from beside the app: processes, files, settings, logs."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from faults.server import TASKS, Caller, Server, command, told
from support import eventually

from .conftest import LIMITS
from .wire import HEAD, OWN, ask, statuses

CSV = b"a,b\n1,2\n"
SECRET = "x8Kq2vLr9ZtB4nWc7mYp3sHd6fJg"
INSIDE = re.compile(r"Traceback|site-packages|\.py\b|/tmp|/home|sqlite|gunicorn\.|werkzeug", re.I)


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that somebody started with a wide umask, debugging on, and its secret in the
    environment."""
    settings: dict[str, Any] = {
        **LIMITS,
        "SECRET_KEY": SECRET,
        "FLASK_DEBUG": "1",
        "FLASK_ENV": "development",
        "PYTHONINSPECT": "",
        "WERKZEUG_DEBUG_PIN": "off",
    }
    data = tmp_path_factory.mktemp("careless") / "instance"
    server = Server(data, prepare=lambda: os.umask(0), **settings)
    server.start()
    yield server
    server.stop()


def test_no_debugger_answers(careless: Server) -> None:
    """Every error that can be had from outside, while somebody has switched debugging on."""
    port = careless.port
    for line, headers, body in [
        (b"GET /console", HEAD, b""),
        (b"GET /?__debugger__=yes&cmd=resource&f=debugger.js", HEAD, b""),
        (b"POST /api/upload", OWN + b"Content-Type: application/json\r\n", b'{"uploads":' * 9000),
        (b"POST /api/process", OWN + b"Transfer-Encoding: chunked\r\n", b"zz\r\n\r\n"),
        (b"GET /api/report.xlsx?token=a.b.c", HEAD, b""),
        (b"GET /static/..%2f__init__.py", HEAD, b""),
        (b"BREW /api/status", OWN, b""),
        (b"GET /\xff\xfe%ff", HEAD, b""),
    ]:
        length = b"" if b"chunked" in headers else b"Content-Length: %d\r\n" % len(body)
        answer = ask(port, line, headers + length, body)
        shown = answer.decode("latin-1").partition("\r\n\r\n")[2]
        if line.startswith(b"GET /?"):
            assert b"<title>" in answer  # the page, as ever
            assert "EVALEX" not in shown
            continue
        assert statuses(answer)[0] in (400, 403, 404, 405), answer
        assert not INSIDE.search(shown.replace("/static/../__init__.py", "")), shown


def test_what_the_app_writes_is_for_its_user_alone(careless: Server) -> None:
    caller = Caller(careless.port)
    caller.upload("a.csv", CSV)
    path = caller.create("b.csv", 8)
    caller.append(path, 0, CSV)
    caller.post("/api/process")
    assert [*caller.listen("/api/events")][-1].event == "complete"
    for folder, _, names in os.walk(careless.data):
        for found in (Path(folder), *(Path(folder, name) for name in names)):
            with contextlib.suppress(FileNotFoundError):  # what a job had for itself goes with it
                mode = stat.S_IMODE(found.stat().st_mode)
                assert mode & 0o077 == 0, (found, oct(mode))


def test_no_secret_is_on_a_command_line_nor_handed_to_a_child(careless: Server) -> None:
    for pid in careless.everyone():
        assert SECRET not in command(pid)
    begun = eventually(lambda: themselves(careless.job_processes()))
    environments = [told(pid, "environ") for pid in begun]
    assert any(environments)
    for given in environments:
        assert SECRET.encode() not in given
        assert b"SECRET_KEY" not in given


def themselves(pids: list[int]) -> list[int]:
    """These processes, once none of them is still a copy of who starts it."""
    return pids if all(TASKS in command(pid) for pid in pids) else []


def test_no_line_of_the_log_is_written_by_a_stranger(careless: Server) -> None:
    log = careless.data.parent / "server.log"
    before = len(log.read_text().splitlines())
    forged = b"2030-01-01 00:00:00 INFO forged"
    for line, headers in [
        (b"GET /%0d%0a" + forged.replace(b" ", b"%20"), HEAD),
        (b"GET /%1b%5b2J%e2%80%a8" + forged.replace(b" ", b"%20"), HEAD),
        (b"GET /\x85\x9b" + forged.replace(b" ", b"_"), HEAD),
        (b"GET /healthz", HEAD + b"X-Request-ID: 12345678\x0b" + forged + b"\r\n"),
        (b"GET /healthz", HEAD + b"User-Agent: \xc2\x85" + forged + b"\r\n"),
        (b"FORGED\x9b /healthz", OWN),
    ]:
        assert ask(careless.port, line, headers)
    caller = Caller(careless.port)
    caller.call("POST", "/api/uploads", b"", {"Content-Disposition": f"a; filename={forged!r}.csv"})
    lines = log.read_text().splitlines()[before:]
    assert lines
    assert not any(line.lstrip().startswith("2030") for line in lines)
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for line in lines for each in line)
    assert SECRET not in log.read_text()


def test_nothing_of_a_session_is_in_the_log(careless: Server) -> None:
    caller = Caller(careless.port)
    caller.upload("a.csv", CSV)
    caller.post("/api/process")
    assert [*caller.listen("/api/events")][-1].event == "complete"
    link = caller.post("/api/report/link").json["url"]
    assert Caller(careless.port).get(link).status == 200
    log = (careless.data.parent / "server.log").read_text()
    assert (caller.sid or "?") not in log
    assert link.partition("token=")[2] not in log


def test_three_hundred_calls_at_once_are_answered(careless: Server) -> None:
    """Cheap calls, each of a stranger, from fifty threads: nobody waits for an answer in vain."""

    def call(number: int) -> int:
        caller = Caller(careless.port)
        return (caller.post("/api/process") if number % 2 else caller.get("/api/status")).status

    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(call, range(300)))
    assert set(found) == {200, 409}
    assert Caller(careless.port).get("/readyz").status == 200


def test_asking_makes_no_session(careless: Server) -> None:
    files = careless.data / "files"
    before = sorted(files.iterdir())
    for method, path in [
        *[("GET", path) for path in ("/", "/api/nothing", "/api/options", "/api/status")],
        *[("GET", path) for path in ("/healthz", "/readyz", "/api/progress", "/api/openapi.json")],
        *[("POST", path) for path in ("/api/process", "/api/cancel", "/api/reset")],
        *[("POST", path) for path in ("/api/upload", "/api/uploads", "/api/report/link")],
        ("OPTIONS", "/api/uploads"),
    ]:
        caller = Caller(careless.port)
        caller.call(method, path)
        assert caller.sid is None, path
    assert sorted(files.iterdir()) == before
