"""`kill -9` at every stage, again and again: `python -m faults.chaos --kills 100 --seed 1`.

Each round brings a session to a stage, kills somebody, lets the server come back, and looks whether
the session is as it was: what was answered is there, what was running comes to an end, what was cut
off has left nothing. A table of all rounds is printed at the end.
"""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from {{ cookiecutter.package_name }}.silo.files.local import PIECE_BYTES

from .server import Caller, Server

LEASE_SECONDS = 3
HONEST_SECONDS = 30
"""How long after a kill a job may still say that it runs."""

ROWS = 60_000
HEAD = "Region,Amount\n"


def table(rows: int) -> bytes:
    return (HEAD + "".join(f"R{n % 30},{n}\n" for n in range(rows))).encode()


SMALL, LARGE = table(200), table(ROWS)


@dataclass
class Round:
    """A server in trouble and one client of it."""

    server: Server
    caller: Caller
    report: bytes = b""

    def ask(self) -> dict[str, object]:
        answer = self.caller.get("/api/status")
        assert answer.status == 200, answer
        found: dict[str, object] = answer.json
        return found

    def job(self) -> dict[str, object]:
        job = self.ask()["job"]
        assert isinstance(job, dict)
        return job

    def upload(self, data: bytes) -> None:
        assert self.caller.upload("orders.csv", data).status == 201

    def take(self, *paths: str) -> list[dict[str, object]]:
        """Make uploads of their own the session's files."""
        ids = [path.rpartition("/")[2] for path in paths]
        answer = self.caller.post("/api/upload", json.dumps({"uploads": ids}).encode())
        assert answer.status == 201, answer
        files: list[dict[str, object]] = answer.json["files"]
        return files

    def process(self) -> None:
        assert self.caller.post("/api/process").status == 202

    def until(self, condition: Callable[[dict[str, object]], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition(self.job()):
            assert time.monotonic() < deadline, self.job()
            time.sleep(0.01)

    def reset(self) -> None:
        assert self.caller.post("/api/reset").status == 204

    def ended_well(self) -> str:
        """Wait for the end of the job; whatever was killed, it is complete, or says why not."""
        self.until(lambda job: not job["running"], HONEST_SECONDS)
        job = self.job()
        assert job["status"] in ("complete", "failed"), job
        if job["status"] == "failed":
            assert job["error"], job
            return f"failed: {job['error']}"
        workbook = self.caller.get("/api/report.xlsx")
        assert workbook.status == 200, workbook
        assert workbook.body[:2] == b"PK"
        return f"complete, attempt {job['attempt']}"


def receiving(round_: Round) -> Callable[[], str]:
    """An upload is half way."""
    sent = round_.caller.upload_in_part("orders.csv", LARGE, len(LARGE) // 2)

    def check() -> str:
        sent.close()
        assert round_.ask()["files"] == []
        round_.upload(SMALL)
        round_.process()
        return f"nothing kept; then {round_.ended_well()}"

    return check


def resuming(round_: Round) -> Callable[[], str]:
    """An upload of its own is half way; what has arrived is not sent again."""
    path, half = round_.caller.create("orders.csv", len(LARGE)), len(LARGE) // 2
    sent = round_.caller.append_in_part(path, LARGE, half)
    deadline = time.monotonic() + 60
    while parts_of(round_.server) <= half - PIECE_BYTES:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    def check() -> str:
        sent.close()
        assert round_.ask()["files"] == []
        offset = round_.caller.offset(path)
        assert half - PIECE_BYTES < offset <= half, offset
        assert round_.caller.append(path, offset, LARGE[offset:]).status == 200
        [file] = round_.take(path)
        assert file["sha256"] == hashlib.sha256(LARGE).hexdigest()
        round_.process()
        return f"went on; then {round_.ended_well()}"

    return check


def parts_of(server: Server) -> int:
    """The bytes of uploads that are on their way."""
    return sum(path.stat().st_size for path in (server.data / "files").rglob("*.part"))


def stored(round_: Round) -> Callable[[], str]:
    """The upload is answered."""
    round_.upload(SMALL)
    before = round_.ask()["files"]

    def check() -> str:
        assert round_.ask()["files"] == before
        round_.process()
        return f"files kept; then {round_.ended_well()}"

    return check


def queued(round_: Round) -> Callable[[], str]:
    """The job waits behind another one."""
    first = Round(round_.server, Caller(round_.server.port))
    first.upload(LARGE)
    first.process()
    round_.upload(SMALL)
    round_.process()

    def check() -> str:
        first.ended_well()
        first.reset()
        return round_.ended_well()

    return check


def running(round_: Round) -> Callable[[], str]:
    """The step is at work."""
    round_.upload(LARGE)
    round_.process()
    round_.until(lambda job: float(str(job["progress"])) > 1 or not job["running"])
    return round_.ended_well


def writing(round_: Round) -> Callable[[], str]:
    """The report is being written."""
    round_.upload(LARGE)
    round_.process()
    round_.until(lambda job: job["message"] == "Writing the report" or not job["running"])
    return round_.ended_well


def done(round_: Round) -> Callable[[], str]:
    """The report is there."""
    round_.upload(SMALL)
    round_.process()
    round_.ended_well()
    before = round_.caller.get("/api/report.xlsx").body

    def check() -> str:
        assert round_.caller.get("/api/report.xlsx").body == before
        return "byte for byte"

    return check


STAGES = (receiving, resuming, stored, queued, running, writing, done)


def web_worker(server: Server) -> list[int]:
    return random.sample(server.workers(), 1)


def master(server: Server) -> list[int]:
    return [server.master]


def tree(server: Server) -> list[int]:
    return server.everyone()


def child(server: Server) -> list[int]:
    return server.job_processes()


VICTIMS = (web_worker, master, tree, child)


def play(
    server: Server,
    stage: Callable[[Round], Callable[[], str]],
    victim: Callable[[Server], list[int]],
) -> str:
    """One round; what became of the session, in words."""
    round_ = Round(server, Caller(server.port))
    check = stage(round_)
    server.kill(*victim(server))
    server.ensure_up()
    outcome = check()
    round_.reset()
    return outcome


def left_behind(server: Server) -> list[str]:
    """Files of sessions: after every session was reset there is none."""
    return [str(path) for path in (server.data / "files").rglob("*") if path.is_file()]


@click.command()
@click.option("--kills", default=100, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(kills: int, seed: int) -> None:
    """Kill, look, and print a table."""
    random.seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data", SILO_LEASE=LEASE_SECONDS, SILO_WORKERS=1)
        server.start()
        counts: Counter[tuple[str, str, str]] = Counter()
        longest = 0.0
        for number in range(kills):
            stage, victim = STAGES[number % len(STAGES)], random.choice(VICTIMS)
            began = time.monotonic()
            outcome = play(server, stage, victim)
            longest = max(longest, time.monotonic() - began)
            counts[stage.__name__, victim.__name__, outcome] += 1
        remains = left_behind(server)
        code = server.stop()
    click.echo(f"{'stage':<11}{'killed':<12}{'times':>5}  outcome")
    for (stage_name, victim_name, outcome), times in sorted(counts.items()):
        click.echo(f"{stage_name:<11}{victim_name:<12}{times:>5}  {outcome}")
    click.echo(f"{kills} kills, longest round {longest:.1f} s, files left behind: {remains}")
    click.echo(f"exit code after SIGTERM: {code}")
    if remains or code:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
