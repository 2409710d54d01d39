"""`kill -9` at every stage, again and again: `python -m faults.chaos --kills 100 --seed 1`.

Each round brings a session to a stage, kills somebody, lets the server come back, and looks whether
the session is as it was: what was answered is there, what was running comes to an end, what was cut
off has left nothing. A table of all rounds is printed at the end. `--backend distributed` does the
same to two hosts, their workers, and the Redis server and the bucket that they share.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import click
from support import eventually

from .server import Answer, Caller, Server, children_of, form

if TYPE_CHECKING:
    from .hosts import Cluster

Stage = Callable[["Round"], Callable[[], str]]
Victim = Callable[..., None]

HONEST_SECONDS = 30
"""How long after a kill a job may still say that it runs."""
AWAY_SECONDS, LONG_SECONDS = 2.0, 30.0
"""For how long Redis or the bucket is gone, and how long the bucket once in a while."""

ROWS = 60_000
HEAD = "Region,Amount\n"


def table(rows: int) -> bytes:
    return (HEAD + "".join(f"R{n % 30},{n}\n" for n in range(rows))).encode()


SMALL, LARGE = table(200), table(ROWS)

REPORTS: dict[int, bytes] = {}
"""The report of each table, by its size: every later one must be the same."""


@dataclass
class Round:
    """A server in trouble and one client of it, who tries again when it is asked to."""

    server: Server | Cluster
    caller: Caller
    report: bytes = b""

    def ask(self) -> dict[str, object]:
        answer = self.sure("GET", "/api/status")
        assert answer.status == 200, answer
        found: dict[str, object] = answer.json
        return found

    def job(self) -> dict[str, object]:
        job = self.ask()["job"]
        assert isinstance(job, dict)
        return job

    def sure(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> Answer:
        """The answer of a call that is made again as long as the server says 503 and when."""
        headers = {"Content-Type": kind}
        if method == "POST":
            headers["Idempotency-Key"] = f'"{token_hex(8)}"'
        return insisted(lambda: self.caller.call(method, path, body, headers))

    def offset(self, path: str) -> int:
        """How far an upload of its own is."""
        return int(self.sure("HEAD", path).headers["Upload-Offset"])

    def go_on(self, path: str, data: bytes) -> None:
        """Send what is missing of an upload of its own."""

        def append() -> Answer:
            offset = self.offset(path)
            return self.caller.append(path, offset, data[offset:])

        answer = insisted(append)
        if answer.status == 409:  # what had come of it was only now stored
            assert answer.json["error"] == "mismatching_offset", answer
            answer = insisted(append)
        assert answer.status == 200, answer

    def upload(self, data: bytes) -> None:
        answer = self.sure("POST", "/api/upload", *form("orders.csv", data))
        assert answer.status == 201, answer

    def take(self, *paths: str) -> list[dict[str, object]]:
        """Make uploads of their own the session's files."""
        ids = [path.rpartition("/")[2] for path in paths]
        answer = self.sure("POST", "/api/upload", json.dumps({"uploads": ids}).encode())
        assert answer.status == 201, answer
        files: list[dict[str, object]] = answer.json["files"]
        return files

    def process(self) -> None:
        answer = self.sure("POST", "/api/process")
        assert answer.status == 202, answer

    def until(self, condition: Callable[[dict[str, object]], bool], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition(self.job()):
            assert time.monotonic() < deadline, self.job()
            time.sleep(0.01)

    def reset(self) -> None:
        answer = self.sure("POST", "/api/reset")
        assert answer.status == 204, answer

    def workbook(self) -> bytes:
        answer = self.sure("GET", "/api/report.xlsx")
        assert answer.status == 200, answer
        assert answer.body[:2] == b"PK"
        return answer.body

    def ended_well(self) -> str:
        """Wait for the end of the job; whatever was killed, it is complete, or says why not."""
        self.until(lambda job: not job["running"], HONEST_SECONDS)
        job = self.job()
        assert job["status"] in ("complete", "failed"), job
        if job["status"] == "failed":
            assert job["error"], job
            return f"failed: {job['error']}"
        self.workbook()
        self.check_report()
        return f"complete, attempt {job['attempt']}"

    def check_report(self) -> None:
        """Byte for byte as whoever had the same table got it before."""
        report = self.sure("GET", "/api/report")
        assert report.status == 200, report
        [file] = self.ask()["files"]  # type: ignore[misc]  # a list of one
        assert REPORTS.setdefault(file["size"], report.body) == report.body  # type: ignore[has-type]


def insisted(call: Callable[[], Answer]) -> Answer:
    """The answer of a call that is made again as long as it is 503, which says so and when."""
    deadline = time.monotonic() + HONEST_SECONDS
    while (answer := call()).status == 503:
        assert int(answer.headers["Retry-After"]) > 0, answer
        assert not answer.body or answer.json["detail"], answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)
    return answer


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
    server, caller = round_.server, round_.caller
    data = LARGE * max(1, 3 * server.piece_bytes // len(LARGE))
    before, half = server.part_bytes(), len(data) // 2
    path = caller.create("orders.csv", len(data))
    sent = caller.append_in_part(path, data, half)
    deadline = time.monotonic() + 60
    while server.part_bytes() - before <= half - server.piece_bytes:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    def check() -> str:
        sent.close()
        assert round_.ask()["files"] == []
        offset = round_.offset(path)
        assert half - server.piece_bytes < offset <= half, offset
        round_.go_on(path, data)
        [file] = round_.take(path)
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
        if data != LARGE:
            round_.upload(SMALL)  # the other takes its time
        round_.process()
        return f"went on; then {round_.ended_well()}"

    return check


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
    before = round_.workbook()

    def check() -> str:
        assert round_.workbook() == before
        return "byte for byte"

    return check


STAGES = (receiving, resuming, stored, queued, running, writing, done)


def web_worker(server: Server) -> None:
    server.kill(*random.sample(server.workers(), 1))


def master(server: Server) -> None:
    server.kill(server.master)


def tree(server: Server) -> None:
    server.kill(*server.everyone())


def child(server: Server) -> None:
    server.kill(*server.job_children())


def fork_server(server: Server) -> None:
    """That of the child at work, or else any."""
    busy = [pid for pid in server.fork_servers() if children_of(pid)]
    server.kill(*random.sample(busy or eventually(server.fork_servers), 1))


VICTIMS = (web_worker, master, tree, child, fork_server)


def web(cluster: Cluster) -> None:
    """All web processes of the host that is called."""
    server = cluster.hosts[0].server
    server.kill(*server.everyone())


def worker(cluster: Cluster) -> None:
    """The worker that is busy, or else any."""
    busy = cluster.busy() or random.choice(cluster.hosts)
    assert busy.worker
    busy.worker.kill(busy.worker.master)


def job(cluster: Cluster) -> None:
    """The children of all workers, and the fork servers."""
    for host in cluster.hosts:
        assert host.worker
        host.worker.kill(*host.worker.job_processes())


def host(cluster: Cluster) -> None:
    """All of the other host, which stays away until the round is over."""
    cluster.down.add(cluster.hosts[1])
    cluster.hosts[1].kill()


def redis(cluster: Cluster) -> None:
    """The Redis server, for a while."""
    cluster.redis.kill()
    time.sleep(AWAY_SECONDS)


def bucket(cluster: Cluster, seconds: float = AWAY_SECONDS) -> None:
    """The bucket's server, for a while."""
    with cluster.bucket.away():
        time.sleep(seconds)


def bucket_long(cluster: Cluster) -> None:
    """The same, for as long as a restart of other people's machines takes."""
    bucket(cluster, LONG_SECONDS)


CLUSTER_VICTIMS = (web, worker, job, host, redis, bucket)


def play(server: Server | Cluster, stage: Stage, victim: Victim) -> str:
    """One round; what became of the session, in words."""
    round_ = Round(server, Caller(server.port))
    check = stage(round_)
    victim(server)
    server.ensure_up()
    outcome = check()
    round_.reset()
    server.settle()
    return outcome


def embedded(folder: Path) -> Server:
    return Server(folder / "data", SILO_WORKERS=1)


def distributed(folder: Path) -> Cluster:
    from .hosts import Cluster  # which needs extras

    return Cluster(folder)


BACKENDS: dict[str, tuple[Callable[[Path], Server | Cluster], tuple[Victim, ...]]] = {
    "embedded": (embedded, VICTIMS),
    "distributed": (distributed, (*CLUSTER_VICTIMS * 3, bucket_long)),
}


@click.command()
@click.option("--kills", default=100, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--backend", default="embedded", show_default=True, type=click.Choice([*BACKENDS]))
def main(kills: int, seed: int, backend: str) -> None:
    """Kill, look, and print a table."""
    random.seed(seed)
    make, victims = BACKENDS[backend]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["TESTS_WITNESS"] = str(folder)
        server = make(folder)
        server.start()
        counts: Counter[tuple[str, str, str]] = Counter()
        longest = 0.0
        for number in range(kills):
            stage, victim = STAGES[number % len(STAGES)], random.choice(victims)
            began = time.monotonic()
            click.echo(f"{number + 1}: {stage.__name__}, {victim.__name__}", err=True)
            outcome = play(server, stage, victim)
            longest = max(longest, time.monotonic() - began)
            counts[stage.__name__, victim.__name__, outcome] += 1
        left, code = server.left_behind(), server.stop()
        wrong = {
            "files left behind": left,
            "processes left behind": server.orphans(),
            "jobs done twice at once": twice(folder),
        }
    click.echo(f"{'stage':<11}{'killed':<12}{'times':>5}  outcome")
    for (stage_name, victim_name, outcome), times in sorted(counts.items()):
        click.echo(f"{stage_name:<11}{victim_name:<12}{times:>5}  {outcome}")
    click.echo(f"{kills} kills, longest round {longest:.1f} s")
    for what, found in wrong.items():
        click.echo(f"{what}: {found or 'none'}")
    click.echo(f"exit code after SIGTERM: {code}")
    if code or any(wrong.values()):
        raise SystemExit(1)


def twice(folder: Path) -> list[str]:
    """The ids of jobs that two worked on at once; see `known_step`."""
    path = folder / "twice"
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
