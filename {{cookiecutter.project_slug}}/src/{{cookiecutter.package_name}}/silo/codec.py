"""State as bytes: JSON, with one addition, the reference to a background task.

Every store encodes, the memory one too: what cannot be stored is refused where it was put in, on
the developer's machine and not on the day the app moves to another store.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from .errors import NotEncodable

TASK = "__task__"

Reference = dict[str, Any]


class Referable:
    """A live object that state holds by reference; `BackgroundTask` is the one there is."""

    def reference(self) -> Reference:
        """What to find the object again by, as JSON-like values."""
        raise NotImplementedError


def encode(state: dict[str, Any]) -> tuple[bytes, list[Referable]]:
    """State as bytes, and the objects in it that are stored by reference.

    Raises NotEncodable naming the first value that does not fit.
    """
    referred: list[Referable] = []
    return dump(plain(state, "", referred)), referred


def dump(values: Any) -> bytes:
    """Plain values as bytes."""
    return json.dumps(values, separators=(",", ":")).encode()


def decode(value: bytes | str, find: Callable[[Reference], Referable]) -> dict[str, Any]:
    """State from bytes; `find` makes a live object of each reference."""

    def revive(found: dict[str, Any]) -> Any:
        return find(found[TASK]) if TASK in found else found

    state: dict[str, Any] = json.loads(value, object_hook=revive)
    return state


def plain(value: Any, path: str, referred: list[Referable] | None = None) -> Any:
    """The value in JSON's own types; `path` is what an error calls it.

    Objects stored by reference are added to `referred`. Raises NotEncodable, for them too where
    there is no such list.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, dict):
        return {_key(k, path): plain(each, f"{path}.{k}", referred) for k, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, f"{path}[{n}]", referred) for n, each in enumerate(value)]
    if isinstance(value, Referable) and referred is not None:
        referred.append(value)
        return {TASK: value.reference()}
    raise NotEncodable(path.lstrip("."), value)


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str) or key == TASK:
        raise NotEncodable(f"{path.lstrip('.')}.{key!r} (a key)", key)
    return key
