"""The session store beside flask-silo's: what calls cost as sessions grow, what a server serves.

Run by `make bench-store`, in an environment that has a baked app and flask-silo. Ours keeps every
session in a SQLite file; flask-silo keeps its in memory, as its README shows it. Both do the same
in turn, in one run; figures are microseconds or milliseconds, percentiles and never averages.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from acme_reports.silo import SessionStore
from acme_reports.silo.records import Put, open_records
from acme_reports.silo.sessions.ids import session_key
from acme_reports.silo.sessions.session import Session, write_session
from flask_silo import SessionStore as PeerStore
from report import about, keep, measured, percentiles

HERE = Path(__file__).parent
TTL = 3600
BATCH = 1000
STATE = {"counter": {"value": 0}}


def rss() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def ours(folder: Path, count: int, *, due: float) -> SessionStore:
    """Our store with so many sessions, which expire at `due`."""
    store = SessionStore(ttl=TTL, records=open_records(f"sqlite:///{folder}/{count}.db"))
    store.register_namespace("counter", lambda: {"value": 0})
    for start in range(0, count, BATCH):
        names = [f"session-{number:08}" for number in range(start, min(count, start + BATCH))]
        steps = []
        for name in names:
            value = write_session(Session(name, time.time()), STATE, store.runner)
            steps.append(Put("session", session_key(name), value, due))
        store.records.apply(*steps)
    return store


def peer(count: int, *, active: float) -> PeerStore:
    """flask-silo's store with so many sessions, last active at `active`."""
    store = PeerStore(ttl=TTL)
    store.register_namespace("counter", lambda: {"value": 0})
    for number in range(count):
        store.get(f"session-{number:08}")["_meta"]["last_active"] = active
    return store


def calls(store: Any, count: int) -> dict[str, Any]:
    """What single calls cost on a store with so many sessions."""
    turns = iter(range(10_000_000))

    def some() -> str:
        return f"session-{next(turns) * 7919 % count:08}"

    figures: dict[str, Any] = {
        "get": percentiles(measured(lambda: store.get(some()), 2000), 1e-6),
        "touch": percentiles(measured(lambda: store.touch(some()), 2000), 1e-6),
        "is_expired": percentiles(measured(lambda: store.is_expired(some()), 2000), 1e-6),
    }
    figures["idle cleanup"] = percentiles(measured(store.cleanup, 20), 1e-6)
    return figures


def growth(counts: list[int]) -> dict[str, Any]:
    """The calls, and memory a session, at each number of sessions."""
    figures: dict[str, Any] = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            gc.collect()
            before = rss()
            ours_ = ours(Path(folder), count, due=time.time() + TTL)
            figures[f"ours, {count:,}"] = {
                **calls(ours_, count),
                "memory a session (bytes)": max(0, (rss() - before) // count),
                "disk a session (bytes)": sum(f.stat().st_size for f in Path(folder).iterdir())
                // count,
            }
            ours_.records.close()
            gc.collect()
            before = rss()
            peer_ = peer(count, active=time.time())
            figures[f"flask-silo, {count:,}"] = {
                **calls(peer_, count),
                "memory a session (bytes)": (rss() - before) // count,
            }
            del ours_, peer_
    return figures


def expiring(count: int) -> dict[str, Any]:
    """Expiring so many sessions, and a call afterwards, beside as many tombstones."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {}
        both = {
            "ours": ours(Path(folder), count, due=time.time() - 1),
            "flask-silo": peer(count, active=time.time() - TTL - 1),
        }
        for name, store in both.items():
            began = time.perf_counter()
            expired = 0
            while found := len(store.cleanup()):
                expired += found
            taken = time.perf_counter() - began
            assert expired == count, (name, expired)
            figures[name] = {
                "seconds": round(taken, 2),
                "is_expired beside the tombstones": percentiles(
                    measured(lambda s=store: s.is_expired("nobody"), 2000), 1e-6
                ),
                "idle cleanup beside the tombstones": percentiles(
                    measured(store.cleanup, 20), 1e-6
                ),
            }
        return figures


@contextmanager
def served(app: str, workers: int, **environment: str) -> Iterator[int]:
    """An app of apps.py on gunicorn, or without workers on Flask's own server, and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    gunicorn = [
        *("gunicorn", f"apps:{app}()", "--bind", f"127.0.0.1:{port}"),
        *("--workers", str(workers), "--worker-class", "gthread", "--threads", "32"),
        *("--keep-alive", "30", "--log-level", "error"),
    ]
    flask = ["flask", "--app", f"apps:{app}()", "run", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *(gunicorn if workers else flask)],
        cwd=HERE,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=None if workers else subprocess.DEVNULL,  # it logs every request
    )
    try:
        deadline = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if time.monotonic() > deadline:
                raise SystemExit(f"{app} does not answer")
            time.sleep(0.05)
        time.sleep(1 + workers / 2)  # so that every worker has loaded the app
        yield port
    finally:
        process.terminate()
        process.wait()


def load(port: int, method: str, seconds: int) -> dict[str, Any]:
    """What wrk makes of the counter with 32 connections, each with a session of its own."""
    said = subprocess.run(
        [
            *("wrk", "-t32", "-c32", f"-d{seconds}s", "--latency", "-s", str(HERE / "counter.lua")),
            *(f"http://127.0.0.1:{port}", "--", method),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", said)[1])  # type: ignore[index]  # wrk says so
    figures: dict[str, Any] = {"requests a second": round(rate)}
    for share in ("50%", "99%"):
        value, unit = re.search(rf"{share}\s+([0-9.]+)(us|ms|s)", said).groups()  # type: ignore[union-attr]  # likewise
        figures[f"p{share[:-1]} (ms)"] = round(
            float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit], 1
        )
    if errors := re.search(r"Non-2xx or 3xx responses: (\d+)", said):
        figures["errors"] = int(errors[1])
    return figures


def throughput(seconds: int, rounds: int) -> dict[str, Any]:
    """Session-bearing calls a second, on 1, 2 and 4 workers; the peer's state knows only one.

    The peer is served as its README leaves it, by `flask run`, and by the server that serves ours.
    All take turns for so many rounds; of each, the round in the middle counts.
    """
    subjects = [("peer", 0), ("peer", 1), ("ours", 1), ("ours", 2), ("ours", 4)]
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(rounds):
        for method, (app, workers) in itertools.product(("POST", "GET"), subjects):
            with tempfile.TemporaryDirectory() as folder:
                store = f"sqlite:///{folder}/silo.db"
                with served(app, workers, BENCH_STORE=store) as port:
                    name = "flask-silo" if app == "peer" else "ours"
                    way = f"{workers} worker{'s' * (workers > 1)}" if workers else "flask run"
                    figures = load(port, method, seconds)
                    found.setdefault(f"{method}, {name}, {way}", []).append(figures)
    return {name: middle(figures) for name, figures in sorted(found.items(), reverse=True)}


def middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The round with the median rate, and between which rates the others were."""
    ranked = sorted(rounds, key=lambda figures: figures["requests a second"])
    rates = [figures["requests a second"] for figures in ranked]
    return {**ranked[len(ranked) // 2], "from": rates[0], "to": rates[-1]}


def first_line(times: int) -> dict[str, Any]:
    """From POST to the first line of the target, with a slot free."""
    import http.client

    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/silo.db"
        with served("ours", 1, BENCH_STORE=store, BENCH_SLOTS=folder) as port:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            sid, taken = "", []
            for _ in range(times + 1):
                headers = {"X-Session-ID": sid} if sid else {}
                began = time.time()
                connection.request("POST", "/api/start", headers=headers)
                response = connection.getresponse()
                response.read()
                sid = response.headers["X-Session-ID"]
                while True:
                    connection.request("GET", "/api/started", headers={"X-Session-ID": sid})
                    started = json.loads(connection.getresponse().read())["at"]
                    if started:
                        break
                    time.sleep(0.005)
                taken.append(started - began)
                time.sleep(0.1)  # so that the slot is free again
            return percentiles(sorted(taken[1:]), 1e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--expire", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=HERE / "store.json")
    given = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is needed to load the server. On Debian or Ubuntu: apt install wrk")
    found = {
        **about("flask-silo", "flask", "gunicorn"),
        "calls (µs)": growth(given.sessions),
        f"expiring {given.expire:,}; calls in µs": expiring(given.expire),
        "32 connections": throughput(given.seconds, given.rounds),
        "from POST to the step's first line (ms)": first_line(20),
    }
    keep(given.output, found)


if __name__ == "__main__":
    main()
