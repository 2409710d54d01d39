"""What S3 promises and Swift does not: of two who create an object at once, one is refused.

Swift looks whether there is one, and lets others in before it writes. As a filter of its proxy,
this has those who create one object come one after the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from eventlet.semaphore import Semaphore  # type: ignore[import-untyped]

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Atomic:
    def __init__(self, app: App) -> None:
        self._app = app
        self._turns: dict[str, Any] = defaultdict(Semaphore)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("HTTP_IF_NONE_MATCH") != "*":
            return self._app(environ, start_response)
        with self._turns[environ["PATH_INFO"]]:
            return list(self._app(environ, start_response))


def factory(*_: object, **__: object) -> type[Atomic]:
    """As Swift asks for a filter."""
    return Atomic
