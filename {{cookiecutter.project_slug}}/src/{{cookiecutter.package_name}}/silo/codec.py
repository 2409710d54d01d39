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


_dumps = json.JSONEncoder(separators=(",", ":")).encode
_loads = json.JSONDecoder().decode


def dump(values: Any) -> bytes:
    """Plain values as bytes, in one line."""
    return _dumps(values).encode()


def decode(value: bytes, find: Callable[[Reference], Referable]) -> dict[str, Any]:
    """State from bytes; `find` makes a live object of each reference."""

    def revive(found: dict[str, Any]) -> Any:
        return find(found[TASK]) if TASK in found else found

    text = value.decode()
    state: dict[str, Any] = json.loads(text, object_hook=revive) if TASK in text else _loads(text)
    return state


def plain(value: Any, path: str, referred: list[Referable] | None = None) -> Any:
    """The value in JSON's own types; `path` is what an error calls it.

    Objects stored by reference are added to `referred`. Raises NotEncodable, for them too where
    there is no such list.
    """
    return _plain(value, referred, (None, path))


Place = tuple[Any, str]
"""Where a value stands: the place of what holds it, and its own step from there."""

_ATOMS = frozenset({type(None), str, bool, int})


def _plain(value: Any, referred: list[Referable] | None, place: Place) -> Any:
    if type(value) in _ATOMS or isinstance(value, (str, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, dict):
        return {
            _key(key, place): each
            if type(each) in _ATOMS
            else _plain(each, referred, (place, f".{key}"))
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(each, referred, (place, f"[{n}]")) for n, each in enumerate(value)]
    if isinstance(value, Referable) and referred is not None:
        referred.append(value)
        return {TASK: value.reference()}
    raise NotEncodable(_path(place), value)


def _key(key: Any, place: Place) -> str:
    if not isinstance(key, str) or key == TASK:
        raise NotEncodable(_path((place, f".{key!r} (a key)")), key)
    return key


def _path(place: Place | None) -> str:
    """A place in words, put together only when an error needs them."""
    steps = []
    while place:
        place, step = place
        steps.append(step)
    return "".join(reversed(steps)).lstrip(".")
