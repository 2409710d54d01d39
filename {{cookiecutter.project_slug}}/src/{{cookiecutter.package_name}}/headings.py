"""Which columns the uploaded tables have, for options that name one (`step.ColumnName`).

Tables are read in a job, as ever: it is asked for once, and looked at until it is done.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from .jobs import read_headings
from .silo import BackgroundTask, SessionBusy
from .silo.sessions.ids import session_key
from .views import NAMESPACE as WORK
from .views import nothing_uploaded, the_silo

NAMESPACE = "headings"
ENDPOINTS = ("/api/columns",)

blueprint = Blueprint("headings", __name__)


def first_state() -> dict[str, Any]:
    """What a session begins with: `files` are those that the task has read, by their ids."""
    return {"files": [], "task": BackgroundTask("headings")}


@blueprint.post("/api/columns")
def ask() -> tuple[dict[str, Any], int]:
    """Begin to read the columns of the session's files, unless that was asked for already.

    While those of other files, which it had before, are still being read, it is busy.
    """
    silo = the_silo()
    files = silo.snapshot(WORK)["files"]
    if not files:
        raise nothing_uploaded()
    state, ids = silo.state(NAMESPACE), [file["id"] for file in files]
    if state["files"] != ids:
        task = state["task"]
        if task.cancel() and task.is_running:
            raise SessionBusy
        task.reset()
        state["files"] = ids
        task.start(read_headings, session_key(silo.sid), files)
    return found(state), 202


@blueprint.get("/api/columns")
def look() -> dict[str, Any]:
    """The columns, once they are read."""
    silo = the_silo()
    files, state = silo.state(WORK)["files"], silo.state(NAMESPACE)
    if state["files"] != [file["id"] for file in files]:
        state = first_state()
    return found(state)


def found(state: dict[str, Any]) -> dict[str, Any]:
    task = state["task"]
    return {"status": task.state.status, "columns": task.result if task.state.complete else None}
