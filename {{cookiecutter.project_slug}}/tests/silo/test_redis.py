"""What only Redis and Valkey have: other machines, keys that end by themselves, and absence."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import redis as client
from servers.ports import free_port
from servers.valkey import Valkey
from support import eventually

from {{ cookiecutter.package_name }}.silo.errors import SiloError, StoreFull, StoreUnavailable
from {{ cookiecutter.package_name }}.silo.records import (
    NEW,
    Delete,
    Postpone,
    Put,
    Record,
    Records,
    open_records,
)
from {{ cookiecutter.package_name }}.silo.sessions import redis
from {{ cookiecutter.package_name }}.silo.sessions.redis_scripts import GRACE_SECONDS

HOUR = 3600.0
TAG = "{silo}"
"""What the keys of a store without a prefix begin with."""
StartServer = Callable[..., Valkey]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartServer]:
    """`start(maxmemory="4mb")` is a server of the test's own."""
    started: list[Valkey] = []

    def start_one(durable: bool = False, **settings: str) -> Valkey:
        started.append(Valkey(tmp_path / f"server-{len(started)}", durable, **settings))
        return started[-1]

    yield start_one
    for server in started:
        server.stop()


@pytest.fixture
def opened() -> Iterator[Callable[[str], Records]]:
    """Opens records that are closed with the test."""
    with contextlib.ExitStack() as stack:

        def open_them(url: str) -> Records:
            records = open_records(url)
            stack.callback(records.close)
            return records

        yield open_them


@pytest.fixture
def server(start: StartServer) -> Valkey:
    return start()


@pytest.fixture
def records(server: Valkey, opened: Callable[[str], Records]) -> Records:
    return opened(server.url)


@pytest.fixture
def raw(server: Valkey) -> Iterator[client.Redis]:
    """The server itself."""
    with client.Redis.from_url(server.url) as connection:
        yield connection


def put(key: str, due: float | None = None, expect: int | None = None, value: bytes = b"v") -> Put:
    return Put("kind", key, value, time.time() + HOUR if due is None else due, expect)


# What ends by itself


def ttl(raw: client.Redis, name: str) -> float:
    """Seconds; -1 if it stays."""
    left: Any = raw.pttl(name)
    return left / 1000 if left > 0 else float(left)


def test_a_record_ends_a_week_after_it_is_due(records: Records, raw: client.Redis) -> None:
    now = time.time()
    records.apply(put("soon", now + HOUR), put("past", now - HOUR), put("never", math.inf))
    assert ttl(raw, "{silo}/kind/soon") == pytest.approx(GRACE_SECONDS + HOUR, abs=5)
    assert ttl(raw, "{silo}/kind/past") == pytest.approx(GRACE_SECONDS, abs=5)
    assert ttl(raw, "{silo}/kind/never") == -1
    records.apply(Postpone("kind", "soon", now + 2 * HOUR), Postpone("kind", "past", math.inf))
    records.apply(Postpone("kind", "never", now + HOUR))
    assert ttl(raw, "{silo}/kind/soon") == pytest.approx(GRACE_SECONDS + 2 * HOUR, abs=5)
    assert ttl(raw, "{silo}/kind/past") == -1
    assert ttl(raw, "{silo}/kind/never") == pytest.approx(GRACE_SECONDS + HOUR, abs=5)


def test_an_index_ends_after_the_last_of_its_records(records: Records, raw: client.Redis) -> None:
    now = time.time()
    for due in (now + 9 * HOUR, now, now + 5 * HOUR):
        records.apply(put(str(due), due))
    records.apply(Postpone("kind", str(now), now + 20 * HOUR))
    assert ttl(raw, "{silo}/kind") >= GRACE_SECONDS + 20 * HOUR - 5
    records.apply(put("never", math.inf))
    assert ttl(raw, "{silo}/kind") == -1


def test_what_ended_by_itself_is_not_due_and_leaves_the_index(
    records: Records, raw: client.Redis
) -> None:
    for number in range(10):
        records.apply(put(str(number), number))
    raw.delete(*(f"{TAG}/kind/{number}" for number in range(9)))
    assert [key for key, _ in records.due("kind", 100, limit=1)] == ["9"]
    assert records.count("kind") == 1
    assert records.versions("kind", ["1", "9"]).keys() == {"9"}


def test_without_a_cleaner_the_index_does_not_grow_for_ever(
    records: Records, raw: client.Redis
) -> None:
    """Each write removes two whose records have ended, so those never are more than there were."""
    for number in range(10):
        records.apply(put(str(number), number))
    raw.delete(*(f"{TAG}/kind/{number}" for number in range(10)))
    for _ in range(5):
        records.apply(put("again"))
    assert records.count("kind") == 1


def test_deleting_the_last_leaves_no_key_but_the_number_of_the_last_version(
    records: Records, raw: client.Redis
) -> None:
    records.apply(put("a"), Put("other", "a", b"", 5))
    records.apply(Delete("kind", "a"), Delete("other", "a"))
    assert raw.keys("*") == [b"{silo}:version"]


# Versions


def test_versions_rise_even_if_all_data_are_lost(records: Records, raw: client.Redis) -> None:
    first = records.apply(put("a", expect=NEW))
    raw.flushall()
    second = records.apply(put("a", expect=NEW))
    assert second > first
    assert records.apply(put("a", expect=first)) == 0


def test_versions_rise_even_if_the_servers_clock_is_set_back(
    records: Records, raw: client.Redis
) -> None:
    raw.set("{silo}:version", 8 * 10**15)
    first = records.apply(put("a"))
    assert first == 8 * 10**15 + 1
    assert records.apply(put("b")) == first + 1
    assert records.versions("kind", ["a"]) == {"a": first}


def test_of_those_due_at_once_the_older_version_is_first(records: Records) -> None:
    for key in ("z", "m", "a"):
        records.apply(put(key, 5.0))
    records.apply(put("z", 5.0))
    assert [key for key, _ in records.due("kind", 5)] == ["m", "a", "z"]


# Whom it is shared with


def test_two_prefixes_do_not_see_each_other(
    server: Valkey, opened: Callable[[str], Records]
) -> None:
    one, two = opened(f"{server.url}?prefix=one"), opened(f"{server.url}?prefix=two")
    version = one.apply(put("a"))
    assert two.read("kind", "a") is None
    assert two.versions("kind", ["a"]) == {}
    assert two.due("kind", math.inf) == []
    assert two.count("kind") == 0
    assert two.apply(put("a", expect=NEW), Delete("kind", "b"))
    assert two.apply(Delete("kind", "a"))
    assert one.versions("kind", ["a"]) == {"a": version}


def test_a_kind_and_a_key_name_one_record(records: Records) -> None:
    records.apply(Put("a", "b/c", b"1", 1), Put("a:b", "c", b"2", 1), Put("a", "b:c", b"3", 1))
    values = [records.read(*name) for name in (("a", "b/c"), ("a:b", "c"), ("a", "b:c"))]
    assert [found and found.value for found in values] == [b"1", b"2", b"3"]


def test_it_works_on_a_node_of_a_cluster(
    start: StartServer, opened: Callable[[str], Records]
) -> None:
    """Which refuses commands and scripts whose keys lie in several slots."""
    server = start(**{"cluster-enabled": "yes", "cluster-port": str(free_port())})
    with client.Redis.from_url(server.url) as node:
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: "ok" in str(node.execute_command("CLUSTER INFO")).split("_slots")[0])
    records = opened(server.url)
    version = records.apply(put("a", 1), Put("other", "b", b"", 2), Postpone("kind", "a", 2))
    assert version
    assert records.versions("kind", ["a", "b"]) == {"a": version}
    assert [key for key, _ in records.due("other", 3)] == ["b"]
    assert records.apply(Delete("kind", "a", version), Delete("other", "b"))
    assert records.count("kind") == 0


def test_its_clock_is_the_servers(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    assert records.clock
    assert records.shared
    before, real = records.clock(), time.time
    monkeypatch.setattr(time, "time", lambda: real() + 300)
    assert records.clock() == pytest.approx(before, abs=5)


FORKS = """
import os, sys
from importlib import import_module

module, url = sys.argv[1:]
NEW, Put, open_records = map(vars(import_module(module)).get, ("NEW", "Put", "open_records"))
records = open_records(url)
records.read("n", "n")
child = os.fork()
for _ in range(300):
    while True:
        found = records.read("n", "n")
        value = b"%d" % (int(found.value) + 1 if found else 1)
        if records.apply(Put("n", "n", value, 0, found.version if found else NEW)):
            break
if child:
    assert os.waitpid(child, 0)[1] == 0
    print(records.read("n", "n").value.decode())
else:
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_shares_no_connection(server: Valkey) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, open_records.__module__, server.url],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("600\n", "")


# When it fails


def test_scripts_survive_being_forgotten(records: Records, raw: client.Redis) -> None:
    version = records.apply(put("a", 1))
    raw.script_flush()
    assert records.versions("kind", ["a"]) == {"a": version}
    raw.script_flush()
    assert [key for key, _ in records.due("kind", 1)] == ["a"]
    raw.script_flush()
    assert records.apply(put("a", expect=version))
    raw.script_flush()
    assert records.apply(Delete("kind", "a"))


def test_a_restart_costs_no_idle_connection_an_answer(
    start: StartServer, opened: Callable[[str], Records]
) -> None:
    server = start(durable=True)
    records = opened(server.url)
    together = threading.Barrier(8)

    def step(number: int) -> int:
        together.wait(60)
        return records.apply(put(str(number), expect=NEW))

    with ThreadPoolExecutor(8) as pool:
        before = list(pool.map(step, range(8)))
        server.kill()
        server.start()
        after = list(pool.map(step, range(8, 16)))
    assert all(before)
    assert all(after)
    assert len(records.versions("kind", [str(number) for number in range(16)])) == 16


def test_more_threads_than_connections_wait_for_each_other(
    server: Valkey,
    opened: Callable[[str], Records],
    raw: client.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redis, "ANSWER_SECONDS", 60)
    records, together = opened(server.url), threading.Barrier(3 * redis.CONNECTIONS)

    def step(number: int) -> int:
        together.wait(60)
        return sum(bool(records.apply(put(str(number)))) for _ in range(10))

    with ThreadPoolExecutor(together.parties) as pool:
        assert sum(pool.map(step, range(together.parties))) == 10 * together.parties
    connected: Any = raw.info("clients")
    assert connected["connected_clients"] <= redis.CONNECTIONS + 2


def test_s34_a_server_that_is_gone_is_said_and_comes_back(
    start: StartServer, opened: Callable[[str], Records]
) -> None:
    server = start(durable=True)
    records = opened(server.url)
    version = records.apply(put("a"))
    server.kill()
    assert records.clock
    before = records.clock()
    for step in (
        lambda: records.read("kind", "a"),
        lambda: records.apply(put("b")),
        lambda: records.due("kind", 1),
        lambda: records.versions("kind", ["a"]),
        lambda: records.count("kind"),
    ):
        with pytest.raises(StoreUnavailable):
            step()
    assert 0 <= records.clock() - before < 10
    server.start()
    assert records.versions("kind", ["a", "b"]) == {"a": version}
    assert records.apply(put("b"))


def test_s34_a_server_that_hangs_is_said_and_no_answer_is_anothers(
    server: Valkey, opened: Callable[[str], Records], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(redis, "HANGING_SECONDS", 6)
    records = opened(server.url)
    records.apply(put("a", value=b"a"), put("b", value=b"b"))
    with server.paused():
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            records.read("kind", "a")
        with pytest.raises(StoreUnavailable):
            records.apply(put("c"))
        assert time.monotonic() - began < redis.HANGING_SECONDS  # only the first has waited
    found = eventually(lambda: read(records, "b"))
    assert found
    assert found.value == b"b"


def read(records: Records, key: str) -> Record | None:
    try:
        return records.read("kind", key)
    except StoreUnavailable:
        return None


def test_s34_a_full_server_is_said_and_what_needs_no_room_goes_on(
    records: Records, raw: client.Redis
) -> None:
    version = records.apply(put("a"), put("b"))
    raw.config_set("maxmemory", 1)
    for step in (put("c"), put("a", expect=version), put("a", expect=NEW)):
        with pytest.raises(StoreFull):
            records.apply(Delete("kind", "b"), step)
    assert records.versions("kind", ["a", "b", "c"]) == {"a": version, "b": version}
    assert records.apply(Postpone("kind", "a", 1.0))
    assert [key for key, _ in records.due("kind", 1)] == ["a"]
    assert records.apply(Delete("kind", "a", version))
    assert records.count("kind") == 1
    raw.config_set("maxmemory", 0)
    assert records.apply(put("a"))


def test_s34_a_replica_that_may_not_be_written_is_said(records: Records, raw: client.Redis) -> None:
    records.apply(put("a"))
    raw.replicaof("127.0.0.1", str(free_port()))
    with pytest.raises(StoreUnavailable):
        records.apply(put("b"))
    raw.replicaof("NO", "ONE")
    assert records.apply(put("b"))


def test_an_absence_is_logged_once_and_so_is_its_end(
    start: StartServer, opened: Callable[[str], Records], caplog: pytest.LogCaptureFixture
) -> None:
    server = start(requirepass="correct-horse")
    records = opened(server.url)
    server.stop()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            records.count("kind")
    server.start()
    for _ in range(3):
        records.count("kind")
    said = [each.getMessage() for each in caplog.records if each.name == redis.log.name]
    assert len(said) == 2
    assert said[0].startswith("the store fails: ")
    assert said[1] == "the store answers again"
    assert "correct-horse" not in caplog.text


class Deaf:
    """Stands before a server, hands commands on, and loses the next `losing` answers.

    Only those to questions and steps; `passed` is how many of them there were.
    """

    def __init__(self, server: Valkey) -> None:
        self._server = server
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.losing = 0
        self.passed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, socket.create_connection(("127.0.0.1", self._server.port)) as there:
            while command := caller.recv(65536):
                there.sendall(command)
                answer = there.recv(65536)
                asked = command.count(b"EVALSHA") + command.count(b"\r\nGET\r\n")
                self.passed += asked
                if asked and self.losing:
                    self.losing -= 1
                    return
                caller.sendall(answer)

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def deaf(server: Valkey) -> Iterator[Deaf]:
    proxy = Deaf(server)
    yield proxy
    proxy.close()


def losing_an_answer(deaf: Deaf, opened: Callable[[str], Records]) -> Records:
    """A store that the server knows by now, and whose next answer does not arrive."""
    records = opened(f"redis://127.0.0.1:{deaf.port}")
    for known in (put("a"), Delete("kind", "none")):
        records.apply(known)
    deaf.passed, deaf.losing = 0, 1
    return records


@pytest.mark.parametrize(
    "step", [put("b"), put("a", expect=NEW), Delete("kind", "a", 99), Put("other", "b", b"", 1)]
)
def test_a_step_whose_answer_was_lost_is_not_sent_again(
    deaf: Deaf, opened: Callable[[str], Records], step: Any
) -> None:
    """It may have been done, and done twice it would do something else."""
    records = losing_an_answer(deaf, opened)
    with pytest.raises(StoreUnavailable):
        records.apply(Delete("kind", "none"), step)
    assert deaf.passed == 1


@pytest.mark.parametrize("step", [Delete("kind", "a"), Postpone("kind", "a", 5)])
def test_a_harmless_step_whose_answer_was_lost_is_sent_once_more(
    deaf: Deaf, opened: Callable[[str], Records], step: Any
) -> None:
    records = losing_an_answer(deaf, opened)
    assert records.apply(step)
    assert deaf.passed == 2
    deaf.losing = 2
    with pytest.raises(StoreUnavailable):
        records.apply(step)
    assert deaf.passed == 4


def test_a_question_whose_answer_was_lost_is_asked_once_more(
    deaf: Deaf, opened: Callable[[str], Records]
) -> None:
    records = opened(f"redis://127.0.0.1:{deaf.port}")
    records.apply(put("a"))
    deaf.passed, deaf.losing = 0, 1
    assert records.read("kind", "a")
    assert deaf.passed == 2
    deaf.losing = 2
    with pytest.raises(StoreUnavailable):
        records.read("kind", "a")
    assert deaf.passed == 4


# What stops the start


def test_a_wrong_password_is_a_sentence_that_shows_none(start: StartServer) -> None:
    server = start(requirepass="correct-horse")
    for shown in ("redis://:wrong-horse@", "redis://"):
        with pytest.raises(SiloError, match="its server cannot be used") as caught:
            open_records(f"{shown}127.0.0.1:{server.port}")
        assert "horse" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:1", "its server cannot be used: .*refused"),
        ("redis://127.0.0.1:port", "it is no address of a Redis server"),
        ("redis://[broken", "it is no address of a Redis server"),
        ("redis://127.0.0.1/0?colour=red", "it has an option that nobody knows"),
        ("redis://127.0.0.1/0?prefix=a{b}", "its prefix is 'a{b}'"),
        ("redis://127.0.0.1/0?prefix=", "its prefix is ''"),
        ("redis://no-such-host.invalid", "its server cannot be used"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(url: str, said: str) -> None:
    with pytest.raises(SiloError, match=said):
        open_records(url)


def test_a_missing_extra_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, redis.__name__)
    with pytest.raises(SiloError, match=r"pip install '\.\[redis\]'"):
        import_module(redis.__name__)
