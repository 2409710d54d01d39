"""What many machines share and what that costs: jobs, the queue, sessions, uploads and streams.

Run by `make bench-scale`, in an environment that has a baked app with its tools, whose tests bring
the servers: a Redis or Valkey, and OpenStack Swift as the S3 server. All of them, the web and the
workers share this one machine. What a larger app needs is computed from the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis
import streams
import upload
from acme_reports.silo import SessionStore
from acme_reports.silo.records import Postpone, Put, open_records
from acme_reports.silo.sessions.ids import session_key
from acme_reports.silo.sessions.session import Session, write_session
from cluster import Site, server_of
from paper import paper
from report import HERE, about, keep, measured, percentiles
from stacks import MIDDLE, PLAIN, Stack  # where `cluster` has it found

MB = 10**6
BATCH = 500
ENDED = 2000

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
