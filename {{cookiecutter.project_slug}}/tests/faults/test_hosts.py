"""Two hosts that share nothing but Redis and a bucket, the clock of one five minutes ahead.

Sessions end after less than those five minutes, so a host that went by its own clock would end
what the other has just begun.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Gate, eventually

from {{ cookiecutter.package_name }}.silo.records import Postpone, open_records
from {{ cookiecutter.package_name }}.silo.sessions.ids import session_key
from {{ cookiecutter.package_name }}.silo.tasks.job import OWNER_CHARS

from .chaos import CLUSTER_VICTIMS, LARGE, SMALL, STAGES, Round, Stage, Victim, play, twice
from .hosts import AHEAD_SECONDS, LEASE_SECONDS, Cluster, Host
from .server import Answer, Caller, Event

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the servers are for Linux")

TTL_SECONDS = AHEAD_SECONDS - 100
TAKEN_OVER_SECONDS = LEASE_SECONDS + 20
"""The lease, a look a second for those that have run out, and some patience with a busy machine."""
SESSIONS = 20
REPORT = ("workbook", "report")
"""What a job puts into the bucket."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hosts")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(
        folder,
        SILO_TTL=TTL_SECONDS,
        SILO_WORKERS=1,
        TESTS_GATE=folder / "gate",
        TESTS_WITNESS=folder,
    )
    try:
        cluster.start()
        yield cluster
    finally:
        code = cluster.stop()
    assert code == 0
    assert cluster.orphans() == []
    assert twice(folder) == []


@pytest.fixture
def cluster(running: Cluster) -> Iterator[Cluster]:
    """Two hosts; whatever a test has done to them, all run again for the next."""
    yield running
    running.settle()


@pytest.fixture
def gate(folder: Path) -> Iterator[Gate]:
    gate = Gate(folder / "gate")
    yield gate
    gate.open()


def at(host: Host, person: Round | None = None) -> Round:
    """Somebody who calls this host, or another round's session there."""
    return Round(host.server, Caller(host.server.port, person.caller.sid if person else None))


def begun(host: Host, data: bytes = SMALL) -> Round:
    """A session of this host whose job is at work behind the gate, somewhere."""
    person = at(host)
    person.upload(data)
    person.process()
    person.until(lambda job: job["progress"] != 0)
    return person


def is_honest(answer: Answer, code: str = "unavailable") -> None:
    """It says in a sentence that something is away, and when to come back."""
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["error"] == code
    assert answer.json["detail"].endswith(".")


def test_one_host_works_on_what_was_uploaded_on_the_other(cluster: Cluster, gate: Gate) -> None:
    """Upload, process and watch on A; the job and the report on B."""
    a, b = cluster.hosts
    cluster.rest(a)
    gate.shut()
    person = begun(a, LARGE)
    assert cluster.busy() is b
    heard: list[Event] = []
    watching = threading.Thread(target=lambda: heard.extend(person.caller.listen("/api/events")))
    watching.start()
    gate.open()
    watching.join(120)
    assert heard[-1].event == "complete"
    told = [json.loads(each.data)["progress"] for each in heard if each.event == "progress"]
    assert told == sorted(told)
    there = at(b, person)
    assert there.ended_well() == "complete, attempt 1"
    assert there.workbook() == person.workbook()


def test_s31_what_a_dead_host_worked_on_another_does_within_the_lease(
    cluster: Cluster, gate: Gate
) -> None:
    a, b = cluster.hosts
    cluster.rest(a)
    gate.shut()
    person = begun(a, LARGE)
    assert cluster.busy() is b
    a.start()
    b.kill()
    cluster.down.add(b)
    eventually(lambda: cluster.busy() is a and person.job()["attempt"] == 2, TAKEN_OVER_SECONDS)
    gate.open()
    assert person.ended_well() == "complete, attempt 2"


def test_s31_a_restart_of_redis_in_the_middle_of_a_job_loses_nothing(
    cluster: Cluster, gate: Gate
) -> None:
    """The job ends while nobody can be told so, and is not done a second time."""
    a, b = cluster.hosts
    gate.shut()
    person, idle = begun(a), at(b)
    idle.upload(SMALL)
    files, before = idle.ask()["files"], cluster.objects()
    cluster.redis.kill()
    gate.open()
    for host in cluster.hosts:
        stranger = Caller(host.server.port)
        assert stranger.get("/healthz").status == 200
        assert stranger.get("/readyz").status == 503
        assert stranger.get("/").status == 200
        is_honest(stranger.upload("orders.csv", SMALL))
        is_honest(Caller(host.server.port, person.caller.sid).get("/api/status"))
        is_honest(Caller(host.server.port, person.caller.sid).post("/api/process"))
    eventually(lambda: len(cluster.objects()) == len(before) + len(REPORT))
    cluster.redis.start()
    assert person.ended_well() == "complete, attempt 1"
    assert idle.ask()["files"] == files
    idle.process()
    assert idle.ended_well() == "complete, attempt 1"


def test_s34_while_the_bucket_is_gone_jobs_wait_and_calls_are_told_so(
    cluster: Cluster, gate: Gate
) -> None:
    a, b = cluster.hosts
    gate.shut()
    person = begun(a)
    with cluster.bucket.away():
        gate.open()
        for host in cluster.hosts:
            stranger = Caller(host.server.port)
            assert stranger.get("/healthz").status == 200
            is_honest(stranger.upload("orders.csv", SMALL), "files_unavailable")
            assert at(host, person).job()["running"]
        person.until(lambda job: int(str(job["attempt"])) >= 2)
        assert person.job()["running"]
    assert person.ended_well().startswith("complete")
    at(b, person).upload(SMALL)


def test_s33_hosts_whose_clocks_differ_agree_on_every_time(cluster: Cluster) -> None:
    a, b = cluster.hosts
    person = at(b)
    person.upload(SMALL)
    person.process()
    assert person.ended_well() == "complete, attempt 1"
    left = [float(str(at(host, person).ask()["expires_in"])) for host in (a, b)]
    assert left == pytest.approx([TTL_SECONDS, TTL_SECONDS], abs=90)
    job = person.job()
    assert time.time() - 60 < float(str(job["started_at"])) <= float(str(job["finished_at"]))
    assert float(str(job["finished_at"])) < time.time() + 60
    for here, there in ((a, b), (b, a)):
        link = at(here, person).caller.post("/api/report/link")
        assert Caller(there.server.port).get(link.json["url"]).body == person.workbook()


def test_s36_of_two_cleaners_one_ends_each_session(cluster: Cluster) -> None:
    said = [host.server.log for host in cluster.hosts]
    people = [at(cluster.hosts[number % 2]) for number in range(SESSIONS)]
    for person in people:
        person.upload(SMALL)
    keys = [session_key(str(person.caller.sid)) for person in people]
    records = open_records(cluster.redis.url)
    assert records.clock
    records.apply(*(Postpone("session", key, records.clock() - 1) for key in keys))
    eventually(lambda: not any(records.read("session", key) for key in keys))
    records.close()

    def news() -> str:
        both = zip(cluster.hosts, said, strict=True)
        return "".join(host.server.log[len(old) :] for host, old in both)

    lines = [f"session {key[:OWNER_CHARS]} has expired" for key in keys]
    eventually(lambda: all(line in news() for line in lines))  # which are said after it is done
    for person in people:
        for host in cluster.hosts:
            assert at(host, person).caller.post("/api/process").status == 410
    assert {news().count(line) for line in lines} == {1}
    assert "Traceback" not in news()
    assert " ERROR " not in news()


@pytest.mark.parametrize(
    ("stage", "victim"),
    [*zip(STAGES, CLUSTER_VICTIMS, strict=False)],
    ids=lambda function: function.__name__,
)
def test_s31_a_kill_in_a_cluster_loses_nothing(
    cluster: Cluster, stage: Stage, victim: Victim
) -> None:
    """A few; `make chaos BACKEND=distributed` does it a hundred times."""
    outcome = play(cluster, stage, victim)
    assert not outcome.startswith("failed"), outcome


def test_in_the_end_nothing_is_left(cluster: Cluster) -> None:
    """Of sessions that came through all of the above, and were reset or have expired."""
    records = open_records(cluster.redis.url)
    assert records.clock
    due = records.clock() + 10 * TTL_SECONDS
    steps = [Postpone("session", key, 0) for key, _ in records.due("session", due, 1000)]
    records.apply(*steps)
    eventually(lambda: records.count("session") == 0)
    records.close()
    assert cluster.left_behind() == []
