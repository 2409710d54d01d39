"""Two things at once that should not be: whoever comes second hears so, and nothing is left."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from faults.server import Answer, Caller, Server
from support import eventually

from {{ cookiecutter.package_name }}.config import load_settings
from {{ cookiecutter.package_name }}.silo.tasks.slots import Slots

SLOTS = load_settings().silo_workers
CSV = b"Region,Amount\n" + b"North,1\nSouth,2\n" * 500
Call = Callable[[Caller], Answer]
CALLS: dict[str, Call] = {
    "upload": lambda caller: caller.upload("a.csv", CSV),
    "process": lambda caller: caller.post("/api/process"),
    "reset": lambda caller: caller.post("/api/reset"),
    "cancel": lambda caller: caller.post("/api/cancel"),
    "report": lambda caller: caller.get("/api/report"),
    "workbook": lambda caller: caller.get("/api/report.xlsx"),
    "link": lambda caller: caller.post("/api/report/link"),
    "status": lambda caller: caller.get("/api/status"),
}


def at_once(server: Server, sid: str | None, calls: list[Call]) -> list[Answer]:
    """Calls of one session, each from a thread of its own, sent at the same moment."""
    start = threading.Barrier(len(calls))

    def one(call: Call) -> Answer:
        start.wait(60)
        return call(Caller(server.port, sid))

    with ThreadPoolExecutor(len(calls)) as pool:
        return [*pool.map(one, calls)]


@contextlib.contextmanager
def no_slot_free(server: Server) -> Iterator[None]:
    """No job begins meanwhile, so none is over before all calls have been answered."""
    slots = Slots(SLOTS, server.data / "slots")
    taken = [eventually(slots.take) for _ in range(SLOTS)]
    yield
    for slot in filter(None, taken):
        slots.free(slot)


def stored(server: Server, caller: Caller) -> list[str]:
    key = hashlib.sha256((caller.sid or "").encode()).hexdigest()
    folder = server.data / "files" / key
    return sorted(path.name for path in folder.glob("*")) if folder.exists() else []


@pytest.mark.parametrize("pair", [("reset", "process"), ("upload", "reset"), ("process", "upload")])
def test_two_at_once_end_as_one_after_the_other(
    server: Server, attacker: Caller, pair: tuple[str, str]
) -> None:
    for _ in range(3):
        attacker.upload("a.csv", CSV)
        answers = at_once(server, attacker.sid, [CALLS[name] for name in pair] * 3)
        assert {answer.status for answer in answers} <= {201, 202, 204, 409}
        eventually(lambda: not (attacker.get("/api/status").json["job"] or {}).get("running"))
    attacker.post("/api/reset")
    assert stored(server, attacker) == []


def test_twenty_starts_are_one_job(server: Server, attacker: Caller) -> None:
    attacker.upload("a.csv", CSV)
    with no_slot_free(server):
        answers = at_once(server, attacker.sid, [CALLS["process"]] * 20)
    assert sorted(answer.status for answer in answers) == [202] + [409] * 19
    assert [*attacker.listen("/api/events")][-1].event == "complete"


def test_a_cancel_at_the_very_end_is_an_end(server: Server, attacker: Caller) -> None:
    attacker.upload("a.csv", CSV)
    assert attacker.post("/api/process").status == 202
    answers = at_once(server, attacker.sid, [CALLS["cancel"], CALLS["status"]] * 4)
    assert {answer.status for answer in answers} <= {200, 202, 409}
    end = [*attacker.listen("/api/events")][-1]
    assert end.event in ("complete", "cancelled")
    assert attacker.get("/api/report").status == (200 if end.event == "complete" else 409)


def test_a_crowd_in_one_session_breaks_nothing(server: Server, attacker: Caller) -> None:
    attacker.upload("a.csv", CSV)
    chosen = random.Random(5).choices(list(CALLS.values()), k=80)
    for start in range(0, len(chosen), 8):
        for answer in at_once(server, attacker.sid, chosen[start : start + 8]):
            assert answer.status in (200, 201, 202, 204, 409)
    eventually(lambda: attacker.post("/api/reset").status == 204)
    eventually(lambda: stored(server, attacker) == [])


def test_eight_senders_at_one_offset_are_one(server: Server, attacker: Caller) -> None:
    path = attacker.create("a.csv", 400_000)
    kind = {"Content-Type": "application/partial-upload"}
    headers = {"Upload-Offset": "0", "Upload-Complete": "?0", **kind}
    pieces = [bytes([65 + n]) * 200_000 for n in range(8)]
    calls: list[Call] = [
        lambda caller, data=data: caller.call("PATCH", path, data, headers)  # type: ignore[misc]  # data is bound here
        for data in pieces
    ]
    assert sorted(a.status for a in at_once(server, attacker.sid, calls)) == [204] + [409] * 7
    assert attacker.offset(path) == 200_000
    assert attacker.call("DELETE", path).status == 204
