"""Records in Redis (7 or later) or Valkey: shared by every machine that reaches it.

The server takes all steps of a call as one, in Lua, so nobody sees half of it. All keys of a store
begin with one hash tag and so lie in one slot of a cluster. `redis_scripts` tells the layout.

A command whose answer was lost may have been done. So only what does the same when it is done twice
is sent again: whatever reads, and steps that expect nothing and give no new version. All else is
StoreUnavailable, and whoever asked must look at what is so now.
"""

from __future__ import annotations

import logging
import re
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..clock import FollowedClock
from ..errors import SiloError, StoreFull, StoreUnavailable
from ..records import BATCH, Delete, Postpone, Put, Record, Records, Step
from .redis_scripts import APPLY, APPLY_FULL, DUE, VERSIONS

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ModuleNotFoundError:
    raise SiloError("it needs the extra `redis`: pip install '.[redis]'") from None

T = TypeVar("T")

log = logging.getLogger(__name__)

PREFIX = "silo"
PREFIXES = re.compile(r"[A-Za-z0-9_.-]{1,100}")
CONNECTIONS = 64
"""How many a process has at most; a thread waits for one as long as for an answer."""
CONNECT_SECONDS = 2
ANSWER_SECONDS = 5
HANGING_SECONDS = 1
"""For how long a server that has not answered in time is asked by nobody."""
KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 3}
"""So that a connection which a firewall forgot is found dead while it is idle, and not in use."""
HEAD = struct.Struct(">Qd")
VERSION = struct.Struct(">Q")
DUE_TIME = struct.Struct(">d")


class RedisRecords(Records):
    """Connections are pooled, each used by one thread at a time, and never across a fork.

    `url` is as redis-py takes it, and may say a `prefix` besides, for several stores in a database.
    Raises SiloError if the server cannot be used.
    """

    shared = True

    def __init__(self, url: str) -> None:
        try:
            address, prefix = _parted(url)
            self._redis = _client(address)
        except ValueError as error:
            raise SiloError(f"it is no address of a Redis server: {error}") from None
        self._root = f"{{{prefix}}}".encode()
        self._apply = self._redis.register_script(APPLY)
        self._apply_full = self._redis.register_script(APPLY_FULL)
        self._due = self._redis.register_script(DUE)
        self._versions = self._redis.register_script(VERSIONS)
        self._away = False
        self._closed = False
        self._hangs_until = 0.0
        try:
            self._versions([self._root])
        except TypeError:
            raise SiloError("it has an option that nobody knows") from None
        except redis.RedisError as error:
            self.close()
            said = str(error).rstrip(".")
            raise SiloError(f"its server cannot be used: {said}") from None
        self.clock = FollowedClock(self._time)

    def read(self, kind: str, key: str) -> Record | None:
        stored: bytes | None = self._ask(lambda: self._redis.get(self._key(kind, key)))
        return _record(stored) if stored else None

    def versions(self, kind: str, keys: Collection[str]) -> dict[str, int]:
        asked = list(keys)
        named = [self._key(kind, key) for key in asked]
        marks: list[bytes] = self._ask(lambda: self._versions(named)) if asked else []
        return {
            key: VERSION.unpack(mark)[0] for key, mark in zip(asked, marks, strict=True) if mark
        }

    def apply(self, *steps: Step) -> int:
        keys, values = [self._root + b":version"], list[bytes | str]()
        for step in steps:
            keys += [self._key(step.kind, step.key), self._index(step.kind)]
            values += _told(step)
        needs_room = any(isinstance(step, Put) for step in steps)
        script = self._apply if needs_room else self._apply_full
        again = all(not isinstance(step, Put) and _expected(step) is None for step in steps)
        return int(self._ask(lambda: script(keys, values), again))

    def due(self, kind: str, now: float, limit: int = BATCH) -> list[tuple[str, Record]]:
        index = self._index(kind)
        found: list[bytes] = self._ask(lambda: self._due([index], [repr(now), limit]))
        return [
            (key.decode(), _record(stored))
            for key, stored in zip(found[::2], found[1::2], strict=True)
        ]

    def each(self, kind: str) -> Iterator[tuple[str, Record]]:
        index, at = self._index(kind), 0
        while page := self._page(index, at):
            yield from ((key.decode(), _record(stored)) for key, stored in page if stored)
            at += len(page)

    def count(self, kind: str) -> int:
        return int(self._ask(lambda: self._redis.zcard(self._index(kind))))

    def doubts(self) -> list[str]:
        """What its configuration says; nothing if it may not be asked for that."""
        try:
            told = self._redis.config_get("maxmemory-policy", "appendonly", "save")
        except redis.RedisError:
            return []
        policy, keeps = told["maxmemory-policy"], told["appendonly"] == "yes" or told["save"]
        doubts = []
        if policy != "noeviction":
            doubts.append(
                f"Its maxmemory-policy is {policy}: when memory is short it drops sessions and "
                "jobs. Set that to noeviction."
            )
        if not keeps:
            doubts.append(
                "It keeps nothing on disk: a restart loses sessions, jobs and keys. Set appendonly "
                "to yes."
            )
        return doubts

    def close(self) -> None:
        self._closed = True
        self._redis.close()

    def _page(self, index: bytes, at: int) -> list[tuple[bytes, bytes | None]]:
        """Keys and records of an index, from its place `at` on."""
        members: list[bytes] = self._ask(lambda: self._redis.zrange(index, at, at + BATCH - 1))
        keys = [member[VERSION.size :] for member in members]
        named = [index + b"/" + key for key in keys]
        found: list[bytes | None] = self._ask(lambda: self._redis.mget(named)) if named else []
        return list(zip(keys, found, strict=True))

    def _time(self) -> float:
        seconds, micros = self._ask(self._redis.time)
        return float(seconds) + float(micros) / 1e6

    def _ask(self, command: Callable[[], Any], again: bool = True) -> Any:
        """The server's answer; with `again`, a command whose connection broke is sent once more.

        While the server hangs, one call in a while waits for it, and all the others need not.
        """
        if time.monotonic() < self._hangs_until:
            raise StoreUnavailable
        try:
            try:
                answer = command()
            except redis.ConnectionError:
                if not again:
                    raise
                answer = command()
        except redis.RedisError as error:
            if isinstance(error, redis.TimeoutError):
                self._hangs_until = time.monotonic() + HANGING_SECONDS
            self._say("the store fails: %s", error, away=True)
            raise translated(error) from error
        except (AttributeError, ValueError) as error:
            if not self._closed:
                raise
            # The client took the connection's buffer from the thread that was reading from it.
            raise StoreUnavailable from error
        self._say("the store answers again", away=False)
        return answer

    def _say(self, text: str, *values: object, away: bool) -> None:
        """Log once when it goes and once when it is back."""
        if away != self._away:
            self._away = away
            log.warning(text, *values)

    def _index(self, kind: str) -> bytes:
        return self._root + b"/" + kind.encode()

    def _key(self, kind: str, key: str) -> bytes:
        return self._index(kind) + b"/" + key.encode()


def translated(error: redis.RedisError) -> SiloError:
    """What the server's error, or its silence, means for us."""
    full = isinstance(error, redis.OutOfMemoryError) or str(error).startswith("MISCONF")
    return StoreFull() if full else StoreUnavailable()


def _client(address: str) -> redis.Redis:
    """Tries nothing a second time by itself. Raises ValueError."""
    options = {getattr(socket, name): n for name, n in KEEP_ALIVE.items() if hasattr(socket, name)}
    pool = redis.BlockingConnectionPool.from_url(
        address,
        max_connections=CONNECTIONS,
        timeout=ANSWER_SECONDS,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        socket_keepalive=True,
        socket_keepalive_options=options,
    )
    return redis.Redis.from_pool(pool)


def _parted(url: str) -> tuple[str, str]:
    """The server's address, and the prefix of the store's keys. Raises SiloError."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = options.pop("prefix", PREFIX)
    if not PREFIXES.fullmatch(prefix):
        raise SiloError(f"its prefix is {prefix!r}: it must be letters, digits and _ . -")
    return parts._replace(query=urlencode(options)).geturl(), prefix


def _told(step: Step) -> list[bytes | str]:
    """A step as the script takes it."""
    expected = _expected(step)
    mark = b"" if expected is None else VERSION.pack(expected)
    match step:
        case Put():
            return ["put", mark, repr(step.due), DUE_TIME.pack(step.due), step.value]
        case Delete():
            return ["delete", mark, "0", b"", b""]
        case Postpone():
            return ["postpone", mark, repr(step.due), DUE_TIME.pack(step.due), b""]


def _expected(step: Step) -> int | None:
    return None if isinstance(step, Postpone) else step.expect


def _record(stored: bytes) -> Record:
    version, due = HEAD.unpack_from(stored)
    return Record(stored[HEAD.size :], version, due)
