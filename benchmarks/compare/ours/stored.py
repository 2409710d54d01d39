"""What calls of the store cost, with so many sessions in it.

python stored.py COUNT...
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acme_reports.silo import SessionStore
from acme_reports.silo.records import Put, open_records
from acme_reports.silo.sessions.ids import session_key
from acme_reports.silo.sessions.session import Session, write_session

TTL = 3600
SEEN = 60
"""Seconds since anybody has called a session."""
BATCH = 1000
CALLS = 2000
PRIME = 7919
"""Steps of so many sessions touch all of them in no order."""


def filled(folder: str, count: int) -> SessionStore:
    """A store with so many sessions; they are put in without the calls that are measured.

    Its clock stands still: whether a call has to write must not depend on how long filling took.
    """
    now = time.time()
    records = open_records(f"sqlite:///{folder}/silo.db")
    store = SessionStore(ttl=TTL, records=records, clock=lambda: now)
    store.register_namespace("counter", lambda: {"value": 0})
    for start in range(0, count, BATCH):
        steps = []
        for number in range(start, min(count, start + BATCH)):
            name = f"session-{number:08}"
            value = write_session(
                Session(name, now - SEEN), {"counter": {"value": 0}}, store.runner
            )
            steps.append(Put("session", session_key(name), value, now - SEEN + TTL))
        store.records.apply(*steps)
    return store


def timed(call: Callable[[int], Any], count: int, times: int = CALLS) -> dict[str, float]:
    """Percentiles of a call, in microseconds; no session is called twice."""
    times, taken = min(times, count), []
    for number in range(times):
        began = time.perf_counter()
        call(number * PRIME % count)
        taken.append(time.perf_counter() - began)
    taken.sort()
    return {f"p{share}": round(taken[times * share // 100] * 1e6, 1) for share in (50, 99)}


def measured(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        store = filled(folder, count)

        def change(number: int) -> None:
            with store.transaction(f"session-{number:08}") as session:
                session["counter"]["value"] += 1

        figures = {
            "touch": timed(lambda number: store.touch(f"session-{number:08}"), count),
            "get": timed(lambda number: store.get(f"session-{number:08}"), count),
            "is_expired": timed(lambda number: store.is_expired(f"session-{number:08}"), count),
            "change": timed(change, count, CALLS // 4),
            "idle cleanup": timed(lambda _: store.cleanup(), count, 20),
        }
        store.records.close()
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    return {**figures, "bytes a session": size // count}


def main() -> None:
    print(json.dumps({f"{int(count):,} (µs)": measured(int(count)) for count in sys.argv[1:]}))


if __name__ == "__main__":
    main()
