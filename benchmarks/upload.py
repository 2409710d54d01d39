"""How fast a large upload arrives, raw and as a form, beside a bare copy from a socket to the disk.

Run by `make bench-upload`, in an environment that has a baked app, which serves as `serve` does.
All do the same in turn, in one run: the bytes of one file come over the loopback and are on the
disk, forced there, when the answer comes. Figures are megabytes a second, and megabytes by which
the web process grew at its highest.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from copying import bare
from report import about, keep

HERE = Path(__file__).parent
MB = 10**6
ROW = b"North,Widget,2024-03-01,12345.67,an ordinary remark\n"
FORM = b'--one\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
END = b"\r\n--one--\r\n"
NAMED = "attachment; filename*=UTF-8''a.csv"


class Client:
    """One session, which begins anew after each upload."""

    def __init__(self, port: int, file: Path) -> None:
        self.port = port
        self.file = file
        self.size = file.stat().st_size
        self.sid = ""

    def call(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        before: bytes = b"",
        after: bytes = b"",
    ) -> dict[str, Any]:
        """Send the file, if `headers` say so; the answer."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            own = {"Host": "localhost", "X-Requested-With": "bench", "Connection": "close"}
            said = {**own, **({"X-Session-ID": self.sid} if self.sid else {}), **headers}
            head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
            connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + before)
            if int(headers.get("Content-Length", 0)):
                with self.file.open("rb") as file:
                    connection.sendfile(file)
                connection.sendall(after)
            answer = http.client.HTTPResponse(connection, method=method)
            answer.begin()
            body = answer.read()
            assert answer.status in (200, 201, 204), body
            self.sid = answer.headers.get("X-Session-ID", self.sid)
            return dict(json.loads(body)) if body else {}

    def raw(self) -> None:
        """The whole file as the body of the creation."""
        self.call("POST", "/api/uploads", {"Content-Disposition": NAMED, **self._length()})

    def resumable(self) -> None:
        """As the page sends it: an empty creation, and what is missing."""
        headers = {"Content-Disposition": NAMED, "Upload-Complete": "?0"}
        headers["Upload-Length"] = str(self.size)
        upload = self.call("POST", "/api/uploads", headers)["id"]
        headers = {"Content-Type": "application/partial-upload", "Upload-Offset": "0"}
        headers |= {"Upload-Complete": "?1", **self._length()}
        self.call("PATCH", f"/api/uploads/{upload}", headers)

    def form(self) -> None:
        """The file in a form, as scripts send it."""
        headers = {"Content-Type": "multipart/form-data; boundary=one"}
        headers |= self._length(len(FORM) + len(END))
        self.call("POST", "/api/upload", headers, FORM, END)

    def reset(self) -> None:
        self.call("POST", "/api/reset", {})

    def _length(self, more: int = 0) -> dict[str, str]:
        return {"Content-Length": str(self.size + more)}


@contextmanager
def served(folder: Path, **more: str) -> Iterator[tuple[int, int]]:
    """The app as `serve` runs it, with more settings: its port, and the id of its web process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"SILO_DATA_DIR": str(folder / "data"), "SILO_MAX_UPLOAD_MB": "4000"}
    settings["SILO_SESSION_QUOTA_MB"] = "4000"
    process = subprocess.Popen(
        [sys.executable, "-m", "acme_reports.cli", "serve", "--port", str(port)],
        env={**os.environ, **settings, **more},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline, "the app does not answer"
            time.sleep(0.05)
        time.sleep(2)  # so that the worker has loaded the app
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield port, int(children[0])
    finally:
        process.terminate()
        process.wait()


def memory(pid: int, field: str) -> int:
    """Kilobytes of a process: `VmRSS` now, `VmHWM` at its highest."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def growth(pid: int, upload: Callable[[], None]) -> float:
    """Megabytes by which a process grew, at its highest, during an upload."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # forgets what was highest before
    before = memory(pid, "VmRSS")
    upload()
    return (memory(pid, "VmHWM") - before) * 1024 / MB


def compared(megabytes: int, times: int, folder: Path) -> dict[str, Any]:
    file = folder / "a.csv"
    file.write_bytes(ROW * (megabytes * MB // len(ROW)))
    rates: dict[str, list[float]] = {}
    grown: dict[str, list[float]] = {}
    with bare(file, folder) as copy, served(folder) as (port, pid):
        client = Client(port, file)
        ways = {
            "a bare copy": copy,
            "raw": client.raw,
            "resumable, as the page sends": client.resumable,
            "a form": client.form,
        }
        for turn in range(times + 1):  # the first warms up
            for name, way in ways.items():
                began = time.perf_counter()
                more = growth(pid, way)
                taken = time.perf_counter() - began
                client.reset()
                if turn:
                    rates.setdefault(name, []).append(file.stat().st_size / MB / taken)
                    grown.setdefault(name, []).append(more)
    return {
        name: {
            "MB/s, median": round(sorted(rates[name])[len(rates[name]) // 2]),
            "MB/s, from": round(min(rates[name])),
            "MB/s, to": round(max(rates[name])),
            "growth (MB)": "" if name == "a bare copy" else round(max(grown[name]), 1),
        }
        for name in ways
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        figures = compared(given.megabytes, given.times, Path(folder))
    group = f"{given.megabytes} MB, {given.times} times in turn"
    keep(HERE / "upload.json", {**about("flask", "gunicorn"), group: figures})


if __name__ == "__main__":
    main()
