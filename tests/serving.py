"""A served app, and the calls that the page makes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import clean_environment

PORTS = range(32_200, 32_700)
"""Below those that systems hand out by themselves, and beside those of the app's own tests, which
run meanwhile: nobody takes one before its server does."""


def free_port() -> int:
    return next(port for port in random.sample(PORTS, len(PORTS)) if is_free(port))


def is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@contextmanager
def served(project: Path, *command: str, **environment: str) -> Iterator[str]:
    """Start a command that serves on `$PORT`, wait until it is ready, and end it like Ctrl-C."""
    port = str(free_port())
    server = subprocess.Popen(
        [word.replace("$PORT", port) for word in command],
        cwd=project,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 600
    try:
        while not answers(f"{url}/readyz"):
            assert server.poll() is None, server.communicate()[0]
            assert time.monotonic() < deadline, "the server was not ready in time"
            time.sleep(0.05)
        yield url
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGINT)
        server.communicate(timeout=120)


def call(url: str, method: str, body: bytes, **headers: str) -> tuple[Any, str]:
    """Send a request as the page does; return the JSON answered and the session's id."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body or None, method=method, headers=names)
    request.add_header("X-Requested-With", "fetch")
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.loads(response.read()), response.headers["X-Session-ID"]


def report_of(url: str, name: str, content: bytes) -> Any:
    """Upload a file, process it and wait for the report."""
    form = (
        f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode() + (content + b"\r\n--x--\r\n")
    kind = "multipart/form-data; boundary=x"
    _, session = call(f"{url}/api/upload", "POST", form, Content_Type=kind)
    call(f"{url}/api/process", "POST", b"{}", Content_Type="application/json", X_Session_ID=session)
    deadline = time.monotonic() + 300
    while True:
        job, _ = call(f"{url}/api/progress", "GET", b"", X_Session_ID=session)
        if not job["running"]:
            break
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    assert job["status"] == "complete", job
    return call(f"{url}/api/report", "GET", b"", X_Session_ID=session)[0]
