"""Calls that travel: a target that another process can import, with arguments it can be told."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..codec import plain
from ..errors import NotEncodable, TaskError
from .base import Call
from .child import find
from .job import Job, new_id

ATTEMPTS = 2
"""How often a job is begun whose worker dies."""


def travelling_job(name: str, owner: str | None, call: Call) -> Job:
    """The job that will run the call, in any process. Raises TaskError if that cannot be."""
    return Job(
        id=new_id(),
        name=name,
        owner=owner,
        attempts=ATTEMPTS,
        **travelling(call),
        **asdict(call.terms),
    )


def travelling(call: Call) -> dict[str, Any]:
    """The call as a job tells it to another process. Raises TaskError if that cannot be."""
    return {
        "target": importable(call),
        "args": _arguments(list(call.args), "args"),
        "kwargs": _arguments(call.kwargs, "kwargs"),
    }


def importable(call: Call) -> str:
    """`module:name` of the call's target. Raises TaskError if another process cannot import it."""
    target = call.target
    path = f"{getattr(target, '__module__', None)}:{getattr(target, '__qualname__', None)}"
    try:
        found = None if path.startswith("__main__:") else find(path)
    except (ImportError, AttributeError):
        found = None
    if found is not target:
        raise TaskError(
            f"{target!r} cannot run in another process, because another process cannot import it. "
            "Make it a function at the top level of a module, or use the thread runner."
        )
    return path


def _arguments(values: Any, path: str) -> Any:
    try:
        return plain(values, path)
    except NotEncodable as error:
        raise TaskError(f"A task's arguments travel to another process as JSON: {error}") from error
