"""A stored session: what its record's value holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ..codec import Reference, decode, dump, encode
from ..errors import TaskError
from ..records import Record
from ..tasks.base import Runner
from ..tasks.task import BackgroundTask, Launch

Factory = Callable[[], dict[str, Any]]

REMEMBERED_LINES = 1024
"""What stands before a session's state seldom changes, so it is read and written from memory."""


@dataclass(frozen=True)
class Session:
    """A session as stored. `bare` is its id without the signature, times are unix seconds.

    `tasks` are the ids of the jobs that its state refers to; `state` is encoded.
    """

    bare: str
    created: float
    tasks: list[str] = field(default_factory=list)
    state: bytes = b"{}"
    version: int = 0
    due: float = 0.0


def read_session(record: Record) -> Session:
    """The session that a record holds: a line about it, then its state."""
    about, _, state = record.value.partition(b"\n")
    bare, created, tasks = _read_line(about)
    return Session(bare, created, list(tasks), state, record.version, record.due)


def write_session(session: Session, state: dict[str, Any], runner: Runner) -> bytes:
    """The record's value for a session with this state. Raises NotEncodable or TaskError."""
    value, referred = encode(state)
    tasks = [_job_of(each, runner) for each in referred if isinstance(each, BackgroundTask)]
    about = _line(session.bare, session.created, *filter(None, tasks))
    return b"%b\n%b" % (about, value)


@lru_cache(REMEMBERED_LINES)
def _read_line(about: bytes) -> tuple[str, float, tuple[str, ...]]:
    bare, created, tasks = json.loads(about)
    return bare, created, tuple(tasks)


@lru_cache(REMEMBERED_LINES, typed=True)
def _line(bare: str, created: float, *tasks: str) -> bytes:
    return dump([bare, created, tasks])


def fresh_state(
    factories: Mapping[str, Factory], session: Session, runner: Runner, launch: Launch
) -> dict[str, Any]:
    """A session's state as live objects, later registered namespaces included."""

    def find(reference: Reference) -> BackgroundTask:
        return BackgroundTask.bound(reference, runner, launch)

    state = decode(session.state, find)
    missing = {name: make() for name, make in factories.items() if name not in state}
    return {**state, **decode(encode(missing)[0], find)} if missing else state


def meta(session: Session, sid: str, ttl: float) -> dict[str, Any]:
    """What a session says about itself; `last_active` is exact to a second."""
    return {"created_at": session.created, "last_active": session.due - ttl, "sid": sid}


def _job_of(task: BackgroundTask, runner: Runner) -> str | None:
    job: str | None = task.reference()["job"]
    if job and task.runner is not runner:
        raise TaskError(
            f"Task {task.name!r} was started on its own before it was put into session state, so "
            "the session cannot find it again. Make it in the namespace's factory."
        )
    return job
