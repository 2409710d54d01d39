"""A call of a session that counts: how many a second, and whether several processes count right."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ..clients import Client, Gradio
from ..environments import BENCHMARKS, python
from ..processes import CannotRunError
from ..sizes import Sizes
from ..streamlit import Streamlit
from ..subjects import Command, Subject, served
from ..wire import RefusedError

CONNECTIONS = 32
WORKERS = 4
CALLS = 200
SETTLE = 4.0
"""Seconds in which every process has loaded the app: the first would get all connections."""
SCRIPT = BENCHMARKS / "compare" / "post.lua"
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
GRADIO_BODY = '{"data": [null], "session_hash": "SESSION"}'


def post(subject: Subject, sizes: Sizes) -> dict[str, Any]:
    """Served as everywhere else; ours by one process too, flask-silo by `flask run` too."""
    if subject.environment == "ours":
        return {f"{count} of gunicorn": counted(subject, sizes, count) for count in (2, 1)}
    if subject.environment == "flask_silo":
        run = replace(subject, commands=flask_run)
        return {"gunicorn": counted(subject, sizes), "flask run": counted(run, sizes)}
    return counted(subject, sizes)


def flask_run(port: int, _: int | None) -> Sequence[Command]:
    flask = ["-m", "flask", "--app", "app:app", "run", "--port", str(port)]
    return [[python("flask_silo"), *flask]]


def counted(subject: Subject, sizes: Sizes, workers: int | None = None) -> dict[str, Any]:
    with served(subject, workers, counter=True) as running:
        time.sleep(SETTLE)
        if subject.client is Streamlit:
            return by_hand(running.port, sizes.post_seconds)
        if subject.client is Gradio:
            said = wrk(running.port, sizes.post_seconds, "/gradio_api/run/increment", GRADIO_BODY)
        else:
            said = wrk(running.port, sizes.post_seconds, "/api/increment")
    return read(said)


def wrk(port: int, seconds: int, path: str, *body: str) -> str:
    """What wrk says of so many connections, each with a session of its own."""
    if not shutil.which("wrk"):
        raise CannotRunError("wrk is needed. On Debian or Ubuntu: apt install wrk")
    command = [
        *("wrk", f"-t{CONNECTIONS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"),
        *("-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", path, *body),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def read(said: str) -> dict[str, Any]:
    """The figures in what wrk says. Raises CannotRunError if calls were refused."""
    if errors := re.search(r"Non-2xx or 3xx responses: \d+", said):
        raise CannotRunError(errors[0])
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    if not rate:
        raise CannotRunError(f"wrk said: {said[-200:]}")
    figures: dict[str, Any] = {"requests a second": round(float(rate[1]))}
    for share, value, unit in re.findall(r"\s(50|99)%\s+([0-9.]+)(us|ms|s)", said):
        figures[f"p{share} (ms)"] = round(float(value) * UNITS[unit], 2)
    if errors := re.search(r"Socket errors: (.*)", said):
        figures["broken off"] = sum(map(int, re.findall(r"\d+", errors[1])))
    return figures


def by_hand(port: int, seconds: int) -> dict[str, Any]:
    """The same over WebSockets, which wrk has not."""
    clients = [Streamlit(port) for _ in range(CONNECTIONS)]
    start = time.perf_counter()
    end = start + seconds

    def count(client: Client) -> list[float]:
        taken = []
        while (began := time.perf_counter()) < end:
            client.increment()
            taken.append(time.perf_counter() - began)
        client.close()
        return taken

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        taken = sorted(each for one in pool.map(count, clients) for each in one)
    return {
        "requests a second": round(len(taken) / (time.perf_counter() - start)),
        "p50 (ms)": round(taken[len(taken) // 2] * 1000, 2),
        "p99 (ms)": round(taken[len(taken) * 99 // 100] * 1000, 2),
    }


def wrong(subject: Subject, _: Sizes) -> dict[str, Any]:
    """One session counts from 1, over a new connection each time; wrong is any other number."""
    with served(subject, WORKERS, counter=True) as running:
        time.sleep(SETTLE)
        client, answers = running.client(), 0
        try:
            for number in range(1, CALLS + 1):
                client.wire.close()
                answers += client.increment() != number
        except RefusedError as error:
            raise CannotRunError(str(error)) from error
        finally:
            client.close()
    return {f"wrong of {CALLS}": answers}
