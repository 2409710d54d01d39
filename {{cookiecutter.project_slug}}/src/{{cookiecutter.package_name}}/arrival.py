"""`POST /api/upload`: files become the session's files, all at once, or none of them.

They are the parts of a form, or uploads that have arrived before (see `resumable.py`).
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, request

from .payload import read_body
from .problems import Problem
from .resumable import quota, the_pending
from .silo.errors import StoreUnavailable
from .uploads import Stored, check_count, checked, receive, taken_away
from .views import (
    NAMESPACE,
    check_room,
    forget_report,
    idempotent,
    refuse_while_running,
    the_files,
    the_silo,
    the_total,
)

blueprint = Blueprint("arrival", __name__)


@blueprint.post("/api/upload")
@idempotent.keyed
def upload() -> Response:
    """Store the files, and only then take the session's lock: a large file takes its time."""
    refuse_while_running(the_silo().snapshot(NAMESPACE))
    return take_uploads() if request.is_json else take_form()


def take_form() -> Response:
    """The files of a form become the session's files."""
    silo, files = the_silo(), the_files()
    check_room(request.content_length or 0)
    parts = checked(request.files.getlist("file"))
    sid = silo.sid
    received = receive(files, sid, parts, quota())
    answer, in_doubt = told(received), False
    try:
        the_total().add(sum(file["size"] for file in received))
        with silo.store.transaction(sid, silo.answered_by(answer)) as session:
            replaced = replace_files(session[NAMESPACE], received)
            refuse_if_gone(sid, received)
            in_doubt = True
    except BaseException as error:
        if in_doubt and isinstance(error, StoreUnavailable):
            raise  # they are the session's, if only the answer was lost; else they go with it
        files.remove(sid, *(file["id"] for file in received))
        raise
    files.remove(sid, *replaced)
    return answer


def take_uploads() -> Response:
    """Completed uploads become the session's files. To say it twice is to say it once."""
    silo, ids = the_silo(), uploads_named()
    pending, sid = the_pending(), silo.sid
    with silo.store.transaction(sid, create=False) as session:
        state = session[NAMESPACE]
        if [file["id"] for file in state["files"]] == ids:
            return told(state["files"])
        refuse_while_running(state)
        received = pending.take(session, ids)
        the_total().add(sum(file["size"] for file in received))
        replaced = replace_files(state, received)
        refuse_if_gone(sid, received)
    the_files().remove(sid, *replaced)
    return told(received)


def told(files: list[Stored]) -> Response:
    """The answer to whoever brought these files."""
    return make_response({"files": files}, 201)


def uploads_named() -> list[str]:
    """The ids in the request's body. Raises Problem."""
    read_body()
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # nested deeper than any list of ids
        body = None
    if body is None:
        raise Problem("bad_request", "The list of uploads is not JSON.")
    ids = body.get("uploads") if isinstance(body, dict) else None
    if not ids:
        raise Problem("no_file", "Choose at least one file.")
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise Problem("invalid_uploads", "Uploads are a list of ids.")
    if len(set(ids)) < len(ids):
        raise Problem("invalid_uploads", "Each upload can be named once.")
    check_count(len(ids))
    return ids


def replace_files(state: dict[str, Any], received: list[Stored]) -> list[str]:
    """Let a session have these files, and no others. Returns what is stored in vain from now on."""
    refuse_while_running(state)
    replaced: list[str] = [file["id"] for file in state["files"]]
    state["files"] = received
    return replaced + forget_report(state)


def refuse_if_gone(sid: str, received: list[Stored]) -> None:
    """Raises Problem if a reset has removed files that are about to be kept."""
    if not all(the_files().get_path(sid, file["id"]) for file in received):
        raise taken_away()
