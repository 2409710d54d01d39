"""What many machines share and what that costs: jobs, the queue, sessions, uploads and streams.

Run by `make bench-scale`, in an environment that has a baked app with its tools, whose tests bring
the servers: a Redis or Valkey, and OpenStack Swift as the S3 server. All of them, the web and the
workers share this one machine. What a larger app needs is computed from the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import acme_reports
import redis
import streams
import trivial
import upload
from acme_reports import create_app
from acme_reports.silo import SessionStore
from acme_reports.silo.records import Postpone, Put, open_records
from acme_reports.silo.sessions.ids import session_key
from acme_reports.silo.sessions.session import Session, write_session
from acme_reports.silo.tasks.base import Call, Runner, Terms
from acme_reports.silo.tasks.job import Job
from report import HERE, about, keep, measured, percentiles

APP = Path(acme_reports.__file__).parents[2]
sys.path.append(str(APP / "tests"))
from stacks import LARGE, MIDDLE, PLAIN, Stack  # noqa: E402 - found only now

SAMPLE = APP / "src" / "acme_reports" / "static" / "sample.xlsx"
LIMITS = ("SESSIONS", "UPLOADS", "ADDRESS_UPLOADS", "JOBS", "DOWNLOADS")
OWN = {"X-Requested-With": "bench"}
MB = 10**6
BATCH = 500
ENDED = 2000

SESSIONS, JOBS_AN_HOUR = 1_000_000, 10_000
"""What is wanted on paper."""
TTL = 3600
BUSY = 0.7
"""The share of its time for which a worker has work there, so that jobs seldom wait for one."""


class Site:
    """An app on the largest of the tests' stacks; each has its own keys in the same servers."""

    def __init__(self, folder: Path) -> None:
        self.settings = {
            **LARGE.settings(),
            "SILO_DATA_DIR": str(folder / secrets.token_hex(4)),
            **{f"SILO_LIMIT_{each}": "off" for each in LIMITS},
        }
        self.app = create_app({name: self.settings[name] for name in self.settings if ours(name)})
        self.silo = self.app.extensions["silo"]
        self.runner: Runner = self.silo.store.runner
        self.redis = server_of(self.settings["SILO_STORE_URL"])
        self.asked = 0

    @contextlib.contextmanager
    def workers(self, count: int) -> Iterator[None]:
        """So many processes, each of which does one job at a time, ready for their first."""
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "acme_reports.cli", "worker", "--concurrency", "1"]
        processes = [
            subprocess.Popen(
                command,
                env={**os.environ, **self.settings, "PYTHONPATH": path},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(count)
        ]
        try:
            for process in processes:
                assert process.stdout
                if not process.stdout.readline():
                    raise SystemExit("a worker has ended by itself")
            time.sleep(1.5)  # so that each has done the imports of its children
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.communicate()

    def uploaded(self) -> str:
        """The id of a session with a file."""
        file = (io.BytesIO(SAMPLE.read_bytes()), SAMPLE.name)
        made = self.app.test_client().post("/api/upload", data={"file": file}, headers=OWN)
        return str(made.headers["X-Session-ID"])

    def process(self, sid: str) -> str:
        """The id of a job on that file."""
        headers = {**OWN, "X-Session-ID": sid}
        answer = self.app.test_client().post("/api/process", headers=headers)
        return str(answer.get_json()["id"])

    def trivial(self, priority: Any = "normal") -> str:
        return self.runner.start("now", Call(trivial.now, terms=Terms(priority))).id

    def fill(self, count: int) -> None:
        """Have so many jobs wait behind all others."""
        jobs = self.runner.jobs
        for _ in range(count):
            job = self.runner.prepare("now", None, Call(trivial.now, terms=Terms("low")))
            jobs.records.apply(*jobs.creation(job))

    def ended(self, job_id: str) -> Job:
        """The job, once it has ended."""
        while True:
            job = self.runner.jobs.read(job_id)
            self.asked += 1
            assert job
            if job.ended:
                assert job.status == "complete", job
                return job
            time.sleep(0.01)

    def commands(self) -> int:
        """How many commands the server of records has done, but for the looks of `ended`."""
        return int(self.redis.info("stats")["total_commands_processed"]) - self.asked

    def expire(self, sids: list[str]) -> float:
        """Seconds that the end of these sessions takes, with their files."""
        store = self.silo.store
        for sid in sids:
            store.records.apply(Postpone("session", session_key(sid), 0))
        began = time.perf_counter()
        while any(store.records.read("session", session_key(sid)) for sid in sids):
            store.cleanup()
        return time.perf_counter() - began

    def stop(self) -> None:
        """End it, and forget all that it has stored."""
        self.silo.stop()
        self.silo.store.records.close()
        self.redis.flushdb()
        self.redis.close()


def ours(name: str) -> bool:
    """Whether it is a setting of the app, and no credential."""
    return name.startswith(("SILO_", "SECRET_"))


def server_of(url: str) -> redis.Redis:
    return redis.Redis.from_url(url.partition("?")[0])


Sites = Callable[[], contextlib.AbstractContextManager[Site]]


def jobs(sites: Sites, count: int, numbers: list[int]) -> dict[str, Any]:
    """Jobs a second, all begun at once, and what each costs the server of records."""
    figures: dict[str, Any] = {}
    for number in numbers:
        with sites() as site:
            sids = [site.uploaded() for _ in range(count)]
            steps: dict[str, Callable[[int], str]] = {
                "trivial": lambda _, site=site: site.trivial(),
                "the sample": lambda n, site=site, sids=sids: site.process(sids[n]),
            }
            with site.workers(number):
                for name, begin in steps.items():
                    row = f"{name}, {number} worker{'s' * (number > 1)}"
                    figures[row] = together(site, count, begin)
    return dict(sorted(figures.items(), reverse=True))


def together(site: Site, count: int, begin: Callable[[int], str]) -> dict[str, Any]:
    commands, began = site.commands(), time.perf_counter()
    done = [site.ended(job) for job in [begin(number) for number in range(count)]]
    taken = time.perf_counter() - began
    work = sorted((job.finished_at or 0.0) - (job.started_at or 0.0) for job in done)
    return {
        "jobs a second": round(count / taken, 2),
        "from claim to end (ms)": percentiles(work, 1e-3),
        "commands a job": round((site.commands() - commands) / count),
    }


def waiting(sites: Sites, lengths: list[int], samples: int) -> dict[str, Any]:
    """What an urgent job meets that comes behind so many, with two workers at work on those."""
    figures: dict[str, Any] = {}
    for length in lengths:
        with sites() as site:
            began = time.perf_counter()
            site.fill(length)
            filling = time.perf_counter() - began
            entering, taking = [], []
            for _ in range(samples):
                began = time.perf_counter()
                job_id = site.trivial("high")
                entered = time.perf_counter()
                job = site.runner.jobs.claim_next()
                taking.append(time.perf_counter() - entered)
                entering.append(entered - began)
                assert job
                assert job.id == job_id
                site.runner.jobs.finish(job_id, "complete", "Done", job.attempt)
            with site.workers(2):
                delays = [urgent(site) for _ in range(samples)]
            figures[f"{length:,} in the queue"] = {
                "to put one there (µs)": round(filling / length * 1e6) if length else "",
                "to enter (µs)": percentiles(sorted(entering), 1e-6),
                "to claim the next (µs)": percentiles(sorted(taking), 1e-6),
                "from entering to the first line (ms)": percentiles(sorted(delays), 1e-3),
            }
    return figures


def urgent(site: Site) -> float:
    """Seconds until a job that comes before all others has begun."""
    job = site.ended(site.trivial("high"))
    return float(job.result) - job.created_at


def idle(sites: Sites, seconds: float) -> dict[str, Any]:
    """What processes that have nothing to do ask of the server of records."""
    with sites() as site:
        before = site.commands()
        time.sleep(seconds)
        web = (site.commands() - before) / seconds
        with site.workers(1):
            before = site.commands()
            time.sleep(seconds)
            both = (site.commands() - before) / seconds
    return {
        "a web process": {"commands a second": round(web, 1)},
        "a worker": {"commands a second": round(max(0.0, both - web), 1)},
    }


def sessions(folder: Path, count: int) -> dict[str, Any]:
    """What so many sessions cost with no more than a counter in each."""
    url = store_of(MIDDLE, folder)
    server = server_of(url)
    figures = {
        f"Redis, {count:,}": sessions_of(url, count, lambda: used(server)),
        f"SQLite, {count:,}": sessions_of(store_of(PLAIN, folder), count, lambda: on_disk(folder)),
    }
    server.flushdb()
    server.close()
    return figures


def store_of(stack: Stack, folder: Path) -> str:
    return stack.settings().get("SILO_STORE_URL", f"sqlite:///{folder}/silo.db")


def on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("silo.db*"))


def used(server: redis.Redis) -> int:
    return int(server.info("memory")["used_memory"])


def sessions_of(url: str, count: int, size: Callable[[], int]) -> dict[str, Any]:
    records = open_records(url)
    before = size()
    store = SessionStore(records=records)
    store.register_namespace("counter", lambda: {"value": 0})
    names = [f"session-{number:08}" for number in range(count)]
    for start in range(0, count, BATCH):
        steps = []
        for name in names[start : start + BATCH]:
            value = write_session(
                Session(name, time.time()), store.state_of(Session("", 0.0)), store.runner
            )
            steps.append(Put("session", session_key(name), value, time.time() + 3600))
        records.apply(*steps)
    grown = size() - before
    turns = iter(range(10_000_000))

    def some() -> str:
        return names[next(turns) * 7919 % count]

    def change() -> None:
        with store.transaction(some()) as state:
            state["counter"]["value"] += 1

    figures: dict[str, Any] = {
        "bytes a session": grown // count,
        "read (µs)": percentiles(measured(lambda: store.peek(some()), 2000), 1e-6),
        "change (µs)": percentiles(measured(change, 1000), 1e-6),
        "cleanup of nothing (µs)": percentiles(measured(store.cleanup, 50), 1e-6),
    }
    records.apply(*(Postpone("session", session_key(name), 0) for name in names[:ENDED]))
    began = time.perf_counter()
    while store.cleanup():
        pass
    figures["expired a second"] = round(min(count, ENDED) / (time.perf_counter() - began))
    records.close()
    return figures


def kept(sites: Sites, count: int) -> dict[str, Any]:
    """What a session leaves in Redis whose report is there, and what its end takes."""
    with sites() as site:
        sids = [site.uploaded() for _ in range(count)]
        with site.workers(1):
            site.ended(site.process(sids[0]))
        sizes: dict[str, int] = {}
        for key in site.redis.scan_iter("{*}/*/*"):
            kind = key.decode().split("/")[1]
            sizes[kind] = max(sizes.get(kind, 0), int(site.redis.memory_usage(key)))
        return {
            "with a report": {
                "bytes of state": sizes["session"],
                "bytes of its job": sizes["job"],
                "ended a second, with files": round(count / site.expire(sids), 1),
            }
        }


def uploads(folder: Path, megabytes: int, times: int) -> dict[str, Any]:
    """A file sent raw to one web process, which stores it in a folder or in the bucket."""
    file = folder / "a.csv"
    file.write_bytes(upload.ROW * (megabytes * MB // len(upload.ROW)))
    bucket = {name: each for name, each in MIDDLE.settings().items() if "FILES" in name}
    places: dict[str, dict[str, str]] = {"a folder": {}, "a bucket": bucket}
    figures = {}
    for name, settings in places.items():
        with upload.served(folder / name, **settings) as (port, pid):
            client = upload.Client(port, file)
            grown, rates = [], []
            for turn in range(times + 1):  # the first warms up
                began = time.perf_counter()
                more = upload.growth(pid, client.raw)
                taken = time.perf_counter() - began
                client.reset()
                if turn:
                    rates.append(megabytes / taken)
                    grown.append(more)
            figures[name] = {
                "MB/s, median": round(sorted(rates)[len(rates) // 2]),
                "growth (MB)": round(max(grown), 1),
            }
    return figures


def watched(folder: Path, count: int, seconds: float) -> dict[str, Any]:
    """So many live streams of one web process, whose news come from another process."""
    stores = {"Redis": store_of(MIDDLE, folder), "SQLite": store_of(PLAIN, folder)}
    return {
        f"{name}, {count:,}": streams.measured(count, seconds, url) for name, url in stores.items()
    }


def paper(found: dict[str, Any]) -> dict[str, Any]:
    """What much larger numbers need, as far as it follows from the figures."""
    one = found["jobs, all at once"]["the sample, 1 worker"]
    few = next(iter(found["sessions"].values()))["bytes a session"]
    used = found["sessions, files in the bucket"]["with a report"]
    many = used["bytes of state"] + used["bytes of its job"]
    ending, ends = SESSIONS / TTL, used["ended a second, with files"]
    rate = JOBS_AN_HOUR / 3600
    workers = math.ceil(rate / one["jobs a second"] / BUSY)
    quiet = found["nothing to do"]["a worker"]["commands a second"]
    commands = rate * one["commands a job"] + workers * quiet
    needs = {
        f"memory of Redis, {SESSIONS:,} sessions": (
            f"{SESSIONS * few / 1e9:.1f} GB",
            f"{few:,} bytes each, with a counter as all their state",
        ),
        f"memory of Redis, {SESSIONS:,} sessions with a report": (
            f"{SESSIONS * many / 1e9:.1f} GB",
            f"{many:,} bytes each, the job's record among them",
        ),
        f"ends of sessions, {SESSIONS:,} in each hour": (
            f"{math.ceil(ending / ends)} cleaners",
            f"{ending:.0f} a second; one does {ends} with this bucket, and each process cleans",
        ),
        f"workers, {JOBS_AN_HOUR:,} jobs an hour": (
            f"{workers} processes",
            f"{rate:.1f} a second; one does {one['jobs a second']}, busy {BUSY:.0%} of its time",
        ),
        f"Redis, {JOBS_AN_HOUR:,} jobs an hour": (
            f"{commands:,.0f} commands a second",
            f"{one['commands a job']} a job, and {quiet} a second of each worker",
        ),
        f"a queue of {JOBS_AN_HOUR:,} jobs": (
            f"{JOBS_AN_HOUR / (workers * one['jobs a second']) / 60:.0f} minutes",
            "until those workers have done all",
        ),
    }
    return {what: {"needs": need, "as": why} for what, (need, why) in needs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=24)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--queue", type=int, nargs="+", default=[0, 10_000])
    parser.add_argument("--samples", type=int, default=30)
    parser.add_argument("--sessions", type=int, default=50_000)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--output", type=Path, default=HERE / "scale.json")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        @contextlib.contextmanager
        def sites() -> Iterator[Site]:
            site = Site(folder)
            try:
                yield site
            finally:
                site.stop()

        found = about("flask", "celery", "redis", "obstore")
        found["jobs, all at once"] = jobs(sites, given.jobs, given.workers)
        found["an urgent job, two workers"] = waiting(sites, given.queue, given.samples)
        found["nothing to do"] = idle(sites, given.seconds)
        found["sessions"] = sessions(folder, given.sessions)
        found[f"uploads of {given.megabytes} MB"] = uploads(folder, given.megabytes, times=3)
        found["live streams"] = watched(folder, given.streams, given.seconds)
        found["sessions, files in the bucket"] = kept(sites, given.jobs)
        found["on paper"] = paper(found)
    keep(given.output, found)
    print(f"taken: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
