"""CeleryRunner with workers in processes of their own, over records that processes share.

The promises of every runner are in test_tasks and test_retries; here is what only several processes
and a broker that comes and goes can show.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import targets
from servers import valkey
from servers.valkey import Valkey
from servers.workers import WorkerProcess, runner_of
from support import Clock, eventually

from {{ cookiecutter.package_name }}.silo import BackgroundTask
from {{ cookiecutter.package_name }}.silo.sessions.memory import MemoryRecords
from {{ cookiecutter.package_name }}.silo.tasks.base import Call, Terms
from {{ cookiecutter.package_name }}.silo.tasks.broker import (
    REDELIVER_SECONDS,
    SOCKET_SECONDS,
    TASK,
    Broker,
    BrokerAway,
)
from {{ cookiecutter.package_name }}.silo.tasks.broker import settings as given_settings
from {{ cookiecutter.package_name }}.silo.tasks.celery import AGAIN_SECONDS, CeleryRunner
from {{ cookiecutter.package_name }}.silo.tasks.crew import Crew
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.queue import Priority

LEASE = 4.0


class Desk:
    """A store with its runner, which only stores and sends, and the workers that a test hires."""

    def __init__(self, folder: Path, store: str, broker: str, **given: Any) -> None:
        self.folder = folder
        own = {"store": store, "broker": broker, "name": uuid.uuid4().hex, "lease": LEASE}
        self.given: dict[str, Any] = {**own, **given}
        self.runner = runner_of(**self.given)
        self._workers: list[WorkerProcess] = []

    def hire(self, number: int = 1, concurrency: int = 1, **more: Any) -> list[WorkerProcess]:
        hired = [
            WorkerProcess(self.folder, concurrency, **self.given, **more) for _ in range(number)
        ]
        self._workers += hired
        return [worker.wait_ready() for worker in hired]

    def task(self, name: str = "task", **terms: Any) -> BackgroundTask:
        return BackgroundTask(name, runner=self.runner, **terms)

    def send(self, job_id: str | None) -> None:
        """A message more, for a job that may have had one."""
        self.runner.broker.send(job_id or "")

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
        self.runner.stop()
        self.runner.jobs.records.close()


OpenDesk = Callable[..., Desk]


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[OpenDesk]:
    """Opens a desk over SQLite and the shared broker, if nothing else is given."""
    opened: list[Desk] = []

    def open_one(**given: Any) -> Desk:
        store = given.pop("store", f"sqlite:///{tmp_path}/silo.db")
        broker = given.pop("broker", valkey.shared().url)
        opened.append(Desk(tmp_path, store, broker, **given))
        return opened[-1]

    yield open_one
    for desk in opened:
        desk.close()


@pytest.fixture
def desk(open_desk: OpenDesk) -> Desk:
    return open_desk()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with a worker that does two jobs at a time; shared by the tests.

    It notes the names of jobs with unforeseen errors in a file `errors`.
    """
    folder = tmp_path_factory.mktemp("served")
    desk = Desk(folder, f"sqlite:///{folder}/silo.db", valkey.shared().url)
    desk.hire(concurrency=2, errors=str(folder / "errors"))
    yield desk
    desk.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Valkey]:
    """A broker of the test's own, to be killed."""
    server = Valkey(tmp_path / "broker")
    yield server
    server.stop()


def ended(task: BackgroundTask, seconds: float = 90) -> str:
    """How a task has ended."""
    eventually(lambda: not task.is_running, seconds)
    return task.state.status


def words(path: Path) -> list[str]:
    """What targets have noted in a file."""
    return path.read_text().split() if path.exists() else []


# Messages


def test_a_message_names_a_job_and_nothing_else(desk: Desk) -> None:
    """In JSON, under keys that begin with the app's name."""
    task = desk.task()
    task.start(targets.echo, "a secret argument", key="another")
    client = redis.Redis.from_url(desk.given["broker"])
    name = desk.given["name"]
    [raw] = client.lrange(f"{name}:broker:{name}.jobs", 0, -1)
    message = json.loads(raw)
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert (args, kwargs) == ([task.state.id], {})
    assert message["content-type"] == "application/json"
    assert b"secret" not in raw
    assert client.keys(f"*{name}*") == client.keys(f"{name}:broker:*")
    client.close()


def test_celery_takes_its_settings_as_they_are_meant(desk: Desk) -> None:
    """By their names: one that it does not know it would pass over in silence."""
    with desk.runner.broker.celery.connection_for_write() as connection:
        channel: Any = connection.default_channel
        assert channel.visibility_timeout == desk.runner.crew.limits.seconds + REDELIVER_SECONDS
        assert (channel.unacked_restore_interval, channel.unacked_restore_throttle) == (5, 1)
        assert channel.priority_steps == [0]
        assert channel.socket_timeout == channel.socket_connect_timeout == SOCKET_SECONDS
    settings: Any = desk.runner.broker.celery.conf
    assert set(given_settings("queue", "prefix", 1)) <= set(settings.defaults[-1])
    assert settings.task_acks_late
    assert settings.task_reject_on_worker_lost
    assert settings.worker_prefetch_multiplier == 1


def test_a_broker_with_tls_must_show_a_good_certificate() -> None:
    for url, required in [
        ("rediss://somewhere:6380/1", ssl.CERT_REQUIRED),
        ("rediss://somewhere:6380/1?ssl_cert_reqs=none&prefix=app", ssl.CERT_NONE),
    ]:
        connection: Any = Broker(url, "app", 1).celery.connection_for_write()
        assert connection.ssl["ssl_cert_reqs"] == required
        assert (connection.hostname, connection.virtual_host) == ("somewhere", "1")


def test_a_message_of_another_kind_is_thrown_away(served: Desk, tmp_path: Path) -> None:
    """What is pickled is not unpickled, and a task that is none of ours is not run."""
    ran = tmp_path / "ran"
    with served.runner.broker.celery.connection_for_write() as connection:
        for headers, serializer, body in [
            ({"task": TASK, "id": "pickled"}, "pickle", Bomb(str(ran))),
            ({"task": TASK, "id": "odd"}, "json", [[{"odd": 1}, 2], {}, None]),
            ({"task": "os.system", "id": "foreign"}, "json", [[f"touch {ran}"], {}, None]),
            ({}, "json", "nothing at all"),
        ]:
            connection.Producer(auto_declare=False).publish(
                body,
                routing_key=served.runner.broker.queue,
                headers=headers,
                serializer=serializer,
            )
    task = served.task()
    task.start(targets.nothing)
    assert ended(task) == "complete"
    eventually(lambda: served.runner.broker.waiting() == 0)
    assert not ran.exists()


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self._path),)


def test_s31_a_job_whose_message_comes_often_runs_once(desk: Desk, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    task, last = desk.task(), desk.task()
    task.start(targets.notes, str(ran), "ran")
    for _ in range(5):
        desk.send(task.state.id)
    desk.send("no job at all")
    desk.hire(2, concurrency=2)
    assert ended(task) == "complete"
    desk.send(task.state.id)
    last.start(targets.nothing)
    assert ended(last) == "complete"
    eventually(lambda: desk.runner.broker.waiting() == 0)
    assert words(ran) == ["ran"]
    assert task.state.attempt == 1


def test_jobs_are_taken_by_priority_and_then_in_turn(desk: Desk, tmp_path: Path) -> None:
    """Whatever the order of the messages."""
    ran = tmp_path / "ran"
    waiting: list[tuple[str, Priority]] = [("c", "low"), ("b", "normal"), ("d", "low")]
    for name, priority in [*waiting, ("a", "high")]:
        desk.task(priority=priority).start(targets.notes, str(ran), name)
    desk.hire()
    eventually(lambda: len(words(ran)) == 4)
    assert words(ran) == ["a", "b", "c", "d"]


def test_a_delayed_job_waits_though_a_message_names_it(served: Desk, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    task = served.task(delay=1.5)
    began = time.monotonic()
    task.start(targets.notes, str(ran), "ran")
    served.send(task.state.id)
    assert ended(task) == "complete"
    assert time.monotonic() - began > 1.5
    assert words(ran) == ["ran"]


def test_an_error_is_tried_again_later_and_told_where_it_happened(
    served: Desk, tmp_path: Path
) -> None:
    task = served.task("flaky", retries=2, backoff=0.1)
    task.start(targets.succeed_at, 3, str(tmp_path / "tries"))
    assert ended(task) == "complete"
    assert task.state.attempt == 3
    assert words(served.folder / "errors") == ["flaky", "flaky"]
    assert "ValueError: not yet" in (served.folder / "workers.log").read_text()


def test_two_apps_share_a_broker(open_desk: OpenDesk, tmp_path: Path) -> None:
    one, other = (open_desk(store=f"sqlite:///{tmp_path}/{name}.db") for name in ("one", "other"))
    ran = tmp_path / "ran"
    other.task().start(targets.notes, str(ran), "other")
    one.hire()
    mine = one.task()
    mine.start(targets.nothing)
    assert ended(mine) == "complete"
    assert words(ran) == []
    assert other.runner.broker.waiting() == 1
    other.hire()
    eventually(lambda: words(ran) == ["other"])


def test_a_schedule_fires_once_for_all_workers(desk: Desk, tmp_path: Path) -> None:
    """No more often than it should, however many look."""
    ran = tmp_path / "ran"
    began = time.monotonic()
    desk.hire(2, schedule={"seconds": 1, "target": "notes", "args": [str(ran), "beat"]})
    eventually(lambda: len(words(ran)) >= 3)
    assert len(words(ran)) <= time.monotonic() - began


# Limits and ends


def test_s22_a_child_of_a_worker_keeps_to_its_limits(open_desk: OpenDesk) -> None:
    desk = open_desk(limits={"memory_mb": 600, "seconds": 12.0})
    desk.hire(concurrency=2)
    slow, hungry, crashing = (desk.task() for _ in range(3))
    slow.start(targets.sleeps)
    hungry.start(targets.eats_memory)
    crashing.start(targets.aborts)
    for task, sentence in [
        (slow, "Processing took longer than the 12 seconds"),
        (hungry, "Processing needs more memory than the 600 MB"),
        (crashing, "Processing crashed on this input"),
    ]:
        assert ended(task) == "failed"
        assert (task.state.error or "").startswith(sentence)


def test_a_job_is_cancelled_whether_it_waits_or_heeds_or_is_deaf(
    served: Desk, tmp_path: Path
) -> None:
    stopped, ran = tmp_path / "stopped", tmp_path / "ran"
    heeding, deaf = (served.task() for _ in range(2))
    waiting = served.task(delay=60)
    heeding.start(targets.heeds, str(stopped), "update")
    waiting.start(targets.notes, str(ran), "ran")
    eventually(lambda: heeding.state.message == "still at it")
    assert waiting.cancel()
    assert waiting.state.status == "cancelled"
    assert heeding.cancel()
    assert ended(heeding) == "cancelled"
    assert words(stopped) == ["stopped"]
    deaf.start(targets.sleeps)
    eventually(lambda: deaf.state.message == "asleep")
    assert deaf.cancel()
    assert ended(deaf) == "cancelled"
    assert words(ran) == []


# Workers that go


STORES: dict[str, Callable[[Path], str]] = {
    "sqlite": lambda folder: f"sqlite:///{folder}/silo.db",
    "redis": lambda _: f"{valkey.shared().url}?prefix={uuid.uuid4().hex}",
}
"""Records in memory are not among them: no other process has them."""


@pytest.mark.parametrize("store", STORES)
def test_s31_a_job_of_a_killed_worker_is_done_by_another_within_the_lease(
    open_desk: OpenDesk, tmp_path: Path, gate: Path, store: str
) -> None:
    desk = open_desk(store=STORES[store](tmp_path))
    [victim] = desk.hire()
    ran = tmp_path / "ran"
    task = desk.task()
    task.start(targets.notes, str(ran), "ran", str(gate))
    eventually(lambda: words(ran) == ["ran"])
    desk.hire()
    killed = time.monotonic()
    victim.kill()
    gate.touch()
    assert ended(task) == "complete"
    assert task.state.attempt == 2
    assert time.monotonic() - killed < LEASE + 30
    assert words(ran) == ["ran", "ran"]


def test_a_worker_that_is_told_to_stop_hands_its_jobs_back_at_once(
    desk: Desk, tmp_path: Path, gate: Path
) -> None:
    """They lose no attempt by it, however often it happens, and it does not wait for their ends."""
    ran = tmp_path / "ran"
    tasks = [desk.task() for _ in range(2)]
    [old] = desk.hire(concurrency=2)
    for task in tasks:
        task.start(targets.notes, str(ran), "ran", str(gate))
    for begun in (2, 4):
        eventually(lambda begun=begun: len(words(ran)) == begun)  # type: ignore[misc]
        [new] = desk.hire(concurrency=2)
        old.terminate()
        assert old.code() == 0
        old = new
    eventually(lambda: len(words(ran)) == 6)
    gate.touch()
    for task in tasks:
        assert ended(task) == "complete"
        job = desk.runner.jobs.read(task.state.id or "")
        assert job
        assert job.attempt == 3
        assert job.attempt < job.attempts


def test_a_child_that_somebody_kills_costs_an_attempt_and_the_last_fails_the_job(
    served: Desk, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    task = served.task()
    task.start(targets.sleeps, str(pids))
    for attempt in (1, 2):
        eventually(lambda attempt=attempt: len(words(pids)) == attempt)  # type: ignore[misc]
        os.kill(int(words(pids)[-1]), signal.SIGKILL)
    assert ended(task) == "failed"
    assert "was killed each time" in (task.state.error or "")


# A broker that goes


def test_s31_a_broker_that_loses_its_messages_loses_no_job(
    open_desk: OpenDesk, broker: Valkey, tmp_path: Path
) -> None:
    desk, ran = open_desk(broker=broker.url), tmp_path / "ran"
    tasks = [desk.task() for _ in range(20)]
    for number, task in enumerate(tasks):
        task.start(targets.notes, str(ran), str(number))
    assert desk.runner.broker.waiting() == 20
    client = redis.Redis.from_url(broker.url)
    client.flushall()
    client.close()
    assert desk.runner.broker.waiting() == 0
    desk.hire(2)
    assert {ended(task) for task in tasks} == {"complete"}
    assert Counter(words(ran)) == Counter(map(str, range(20)))


def test_s31_a_broker_that_is_killed_and_comes_back_loses_no_job(
    open_desk: OpenDesk, broker: Valkey, tmp_path: Path, gate: Path
) -> None:
    """The job under way goes on meanwhile, and what is started meanwhile is stored.

    Its one worker finds the broker gone when it wants to say that the job is done.
    """
    desk, ran = open_desk(broker=broker.url), tmp_path / "ran"
    desk.hire()
    first, second, third = (desk.task() for _ in range(3))
    first.start(targets.notes, str(ran), "first", str(gate))
    second.start(targets.notes, str(ran), "second")
    eventually(lambda: words(ran) == ["first"])
    broker.kill()
    gate.touch()
    assert ended(first) == "complete"
    third.start(targets.notes, str(ran), "third")
    assert third.state.status == "queued"
    with pytest.raises(BrokerAway):
        desk.runner.broker.waiting()
    eventually(lambda: "Connection to broker lost" in (tmp_path / "workers.log").read_text())
    broker.start()
    assert [ended(second, 60), ended(third, 60)] == ["complete", "complete"]
    assert words(ran) == ["first", "second", "third"]


def test_a_broker_that_answers_nothing_is_not_waited_for(
    open_desk: OpenDesk, broker: Valkey
) -> None:
    desk = open_desk(broker=broker.url)
    task = desk.task()
    with broker.paused():
        task.start(targets.nothing)
    assert task.state.status == "queued"
    desk.hire()
    assert ended(task) == "complete"


# What is sent anew


class Sending(CeleryRunner):
    """Notes what it sends, and hears from the broker how many messages wait there."""

    def __init__(self, records: MemoryRecords, clock: Clock, sent: list[str]) -> None:
        super().__init__(Jobs(records, clock), "redis://nowhere", "app", Crew())
        self.broker = Counted(sent)  # type: ignore[assignment]


class Counted:
    waits = 0
    away = False

    def __init__(self, sent: list[str]) -> None:
        self._sent = sent

    def send(self, job_id: str) -> None:
        if self.away:
            raise BrokerAway
        self._sent.append(job_id)

    def waiting(self) -> int:
        return self.waits


@pytest.fixture
def sent() -> list[str]:
    """The jobs for which messages were sent."""
    return []


@pytest.fixture
def sending(clock: Clock, sent: list[str]) -> list[Sending]:
    """Runners of three processes, over the same records."""
    records = MemoryRecords()
    return [Sending(records, clock, sent) for _ in range(3)]


def test_a_lost_message_is_sent_anew_by_one_process(
    sending: list[Sending], sent: list[str], clock: Clock
) -> None:
    job = sending[0].start("job", Call(targets.nothing))
    for rounds in (1, 2, 3):
        for runner in (*sending, *sending):
            runner.tick()
        assert sent == [job.id] * rounds
        clock.advance(AGAIN_SECONDS)


def test_none_is_sent_anew_as_long_as_the_broker_has_any(
    sending: list[Sending], sent: list[str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counted, "waits", 1)
    job = sending[0].start("job", Call(targets.nothing))
    clock.advance(AGAIN_SECONDS)
    sending[1].tick()
    assert sent == [job.id]


def test_as_much_is_sent_however_many_wait(sending: list[Sending], sent: list[str]) -> None:
    jobs = sending[0].jobs
    for number in range(300):
        jobs.records.apply(
            *jobs.creation(sending[0].prepare(str(number), None, Call(targets.nothing)))
        )
    sending[0].tick()
    assert 0 < len(sent) <= 128


def test_a_delayed_job_gets_its_message_when_it_may_start(
    sending: list[Sending], sent: list[str], clock: Clock
) -> None:
    job = sending[0].start("later", Call(targets.nothing, terms=Terms(delay=60)))
    sending[0].tick()
    assert sent == []
    clock.advance(60)
    sending[1].tick()
    assert sent == [job.id]


def test_a_job_that_is_handed_back_gets_its_message_at_once(
    sending: list[Sending], sent: list[str]
) -> None:
    job = sending[0].start("job", Call(targets.nothing))
    assert sending[1].jobs.claim(job.id)
    sending[1].jobs.release(job.id, 1)
    assert sent == [job.id, job.id]


def test_what_could_not_be_sent_is_sent_as_soon_as_it_can_be(
    sending: list[Sending], sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Counted, "away", True)
        job = sending[0].start("job", Call(targets.nothing))
        sending[1].tick()
    assert sent == []
    sending[1].tick()
    assert sent == [job.id]
