"""What Swift's proxy keeps in memcached elsewhere: what it knows of accounts and buckets.

Without it each call asks for both anew. As a filter of the proxy, this keeps them in its memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Any

from .atomic import App


class Memory:
    """As much of Swift's client of memcached as the proxy and its filters call."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Any]] = {}

    def get(self, key: str, **_: object) -> Any:
        until, value = self._kept.get(key, (0.0, None))
        return value if until > monotonic() else None

    def set(self, key: str, value: Any, *, time: float, **_: object) -> None:
        self._kept[key] = (monotonic() + time, value)

    def delete(self, key: str, **_: object) -> None:
        self._kept.pop(key, None)


class Remembering:
    def __init__(self, app: App) -> None:
        self._app = app
        self._memory = Memory()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["swift.cache"] = self._memory
        return self._app(environ, start_response)


def factory(*_: object, **__: object) -> type[Remembering]:
    """As Swift asks for a filter."""
    return Remembering
