"""API keys: what programs show, where the app asks for it (`SILO_REQUIRE_KEY`).

A key is a name, some scopes and a secret of 256 random bits, of which the store holds a hash; so
the hash need not be slow. It is looked up at every call, so that one that is revoked is good for
nothing from that moment on, in every process.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from flask import Flask, g, request

from .problems import Problem
from .silo.records import NEW, Delete, Put, Record, Records

Scope = Literal["upload", "process", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

KIND = "key"
TOKEN = re.compile(r"silo_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
BEARER = re.compile(r"Bearer +(\S+) *", re.I)


@dataclass(frozen=True)
class Key:
    """A key as stored. `digest` is the SHA-256 of its secret, in hex; `created` is unix seconds."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created: float
    digest: str


class Keys:
    """The keys of one store. `clock` gives unix seconds."""

    def __init__(self, records: Records, clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._clock = clock

    def create(self, name: str, scopes: Sequence[Scope]) -> str:
        """Make a key; what it returns is shown to nobody ever again."""
        number, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        key = Key(number, name, tuple(scopes), self._clock(), _digest(secret))
        self._records.apply(Put(KIND, number, json.dumps(asdict(key)).encode(), math.inf, NEW))
        return f"silo_{number}_{secret}"

    def find(self, token: str) -> Key | None:
        """The key that a token is of, or None if it never was one or has been revoked."""
        parts = TOKEN.fullmatch(token)
        record = self._records.read(KIND, parts[1]) if parts else None
        if parts is None or record is None:
            return None
        key = _read(record)
        return key if hmac.compare_digest(key.digest, _digest(parts[2])) else None

    def all(self) -> list[Key]:
        """Every key, the oldest first."""
        found = (_read(record) for _, record in self._records.each_due(KIND, math.inf))
        return sorted(found, key=lambda key: key.created)

    def revoke(self, number: str) -> bool:
        """Let a key, by its id, be good for nothing from now on; whether there was one."""
        record = self._records.read(KIND, number)
        return record is not None and bool(
            self._records.apply(Delete(KIND, number, record.version))
        )


def init_app(app: Flask, keys: Keys, scope_of: dict[str, Scope]) -> None:
    """Ask for a key at every endpoint of `scope_of`, and for the scope that stands there."""

    def demand() -> None:
        scope = scope_of.get(request.endpoint or "")
        if scope and request.method != "OPTIONS":
            require(keys, scope)

    app.before_request(demand)


def require(keys: Keys, scope: Scope) -> None:
    """Raises Problem unless the request shows a key with this scope, which is `g.key` then."""
    shown = BEARER.fullmatch(request.headers.get("Authorization", ""))
    key = keys.find(shown[1]) if shown else None
    if key is None:
        raise Problem(
            "no_key",
            "This call needs an API key: send it as Authorization: Bearer <key>.",
            {"WWW-Authenticate": "Bearer"},
        )
    if scope not in key.scopes:
        raise Problem("no_scope", f"This key is not for the scope {scope!r}.")
    g.key = key


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(record: Record) -> Key:
    values = json.loads(record.value)
    return Key(**{**values, "scopes": tuple(values["scopes"])})
