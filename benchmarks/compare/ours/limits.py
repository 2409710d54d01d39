"""What nothing built on it can beat: bare reading, the bare job, a socket to the disk, bare Flask.

python limits.py WORKBOOK BULK SECONDS
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acme_reports.pipeline import Options, process
from acme_reports.step import SilentProgress
from acme_reports.tables import read
from acme_reports.workbook import write_workbook
from copying import bare
from python_calamine import CalamineWorkbook

TIMES = 7
REST_SECONDS = 2.0


def timed(work: Callable[[], Any], before: Callable[[], Any] = bool) -> dict[str, float]:
    """Milliseconds; once more warms up."""
    taken = []
    for _ in range(TIMES + 1):
        before()
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    taken = sorted(taken[1:])
    return {
        "p50 (ms)": round(taken[TIMES // 2] * 1e3, 1),
        "slowest (ms)": round(taken[-1] * 1e3, 1),
    }


def stages(file: Path, folder: Path) -> dict[str, Any]:
    """The job in this process, and the parts that it cannot do without."""
    report = process([file], Options(), SilentProgress())

    def job() -> None:
        write_workbook(process([file], Options(), SilentProgress()), folder / "report.xlsx")

    return {
        "the reader alone (calamine)": timed(lambda: bare_read(file)),
        "our reading": timed(lambda: read(file)),
        "our step, reading too": timed(lambda: process([file], Options(), SilentProgress())),
        "our writing": timed(lambda: write_workbook(report, folder / "report.xlsx")),
        "the whole job, warm, without a server": timed(job),
    }


def bare_read(file: Path) -> Any:
    return CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).to_python()


def socket_to_disk(file: Path, folder: Path) -> dict[str, Any]:
    """As a large upload is measured: on a disk that has nothing left to write."""

    def rest() -> None:
        os.sync()
        time.sleep(REST_SECONDS)

    with bare(file, folder) as copy:
        figures = timed(copy, rest)
    return {**figures, "MB/s": round(file.stat().st_size / 1e6 / figures["p50 (ms)"] * 1e3)}


def bare_flask(folder: Path, seconds: str) -> dict[str, Any]:
    """A route that says ok, served as ours is with two processes, asked over 32 connections."""
    (folder / "bare.py").write_text(
        "from flask import Flask\napp = Flask(__name__)\napp.post('/')(lambda: {'status': 'ok'})\n"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["gunicorn", "bare:app", "--bind", f"127.0.0.1:{port}", "--workers", "2"]
    server = subprocess.Popen(
        [sys.executable, "-m", *command, "--threads", "32", "--log-level", "error"], cwd=folder
    )
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None, "gunicorn did not start"
            time.sleep(0.05)
        time.sleep(1)  # so that both processes have loaded the app
        script = folder / "post.lua"
        script.write_text('wrk.method = "POST"\n')
        wrk = ["wrk", "-t32", "-c32", f"-d{seconds}s", "-s", str(script)]
        said = subprocess.run(
            [*wrk, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True
        ).stdout
    finally:
        server.terminate()
        server.wait()
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    assert rate, said
    return {"requests a second": round(float(rate[1]))}


def main(workbook: str, bulk: str, seconds: str) -> None:
    assert shutil.which("wrk"), "wrk is needed. On Debian or Ubuntu: apt install wrk"
    with tempfile.TemporaryDirectory(dir=Path(bulk).parent) as name:
        folder = Path(name)
        found = {
            **stages(Path(workbook), folder),
            "a socket to the disk": socket_to_disk(Path(bulk), folder),
            "Flask with nothing in it, 2 processes": bare_flask(folder, seconds),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
