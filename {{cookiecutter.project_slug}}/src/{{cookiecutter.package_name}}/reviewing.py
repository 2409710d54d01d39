"""A review between processing and the report: its rows, the person's edits, and the end of it."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, request

from .edits import (
    NAMESPACE,
    Edits,
    Kept,
    Misfitting,
    Overtaken,
    TooMany,
    edited,
    edits_of,
    merged,
    review_of,
)
from .jobs import finish_review
from .payload import read_json
from .problems import Problem
from .ratelimits import JOBS, count
from .review import MAX_ROWS, Review
from .review_json import load, page_of
from .shelf import is_of, review_name
from .silo.sessions.ids import session_key
from .views import NAMESPACE as WORK
from .views import (
    idempotent,
    job_json,
    refuse_while_running,
    the_files,
    the_settings,
    the_silo,
)

ENDPOINTS = ("/api/review", "/api/finish")
LIMIT, MOST_ROWS = 100, 500
NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)

blueprint = Blueprint("reviewing", __name__)


@blueprint.get("/api/review")
def look() -> dict[str, Any]:
    """The rows to review, with the edits so far.

    Of them `limit` are told, from `offset` on.
    """
    silo = the_silo()
    kept = silo.state(NAMESPACE)
    job = review_id(silo.state(WORK), kept)
    review = edited(stored(job), edits_of(kept, job))
    offset, limit = told_number("offset", 0, 0), told_number("limit", LIMIT, 1, MOST_ROWS)
    return {"review": job, **page_of(review, offset, limit)}


@blueprint.patch("/api/review")
def edit() -> dict[str, Any]:
    """Keep edits: all of those that are sent, or none.

    Edits of other cells than those sent here stay. To send the same again changes nothing.
    """
    wanted, silo = read_json(Edits, "The edits are", "invalid_edits"), the_silo()
    review_id(silo.snapshot(WORK), silo.snapshot(NAMESPACE))  # before a session is made for it
    state, kept = silo.state(WORK), silo.state(NAMESPACE)
    job = review_id(state, kept)
    if wanted.review not in (None, job):
        raise Problem("review_replaced", "The files were processed again. Look at the new rows.")
    refuse_while_running(state)
    edits = kept_edits(stored(job), edits_of(kept, job), wanted)
    if kept["job"] != job:
        kept["finish"] = None
    kept["job"], kept["edits"] = job, edits
    return {"review": job, "edits": sum(map(len, edits.values()))}


@blueprint.post("/api/finish")
@idempotent.keyed
def finish() -> tuple[dict[str, Any], int]:
    """Start the job that makes the report of the reviewed rows. It may be said again after more
    edits, and then makes the report anew."""
    silo, files = the_silo(), the_files()
    review_id(silo.snapshot(WORK), silo.snapshot(NAMESPACE))
    state, kept = silo.state(WORK), silo.state(NAMESPACE)
    refuse_while_running(state)
    job = review_id(state, kept)
    edits = edits_of(kept, job)
    refuse_incomplete(edited(stored(job), edits))
    count(JOBS)
    key, task = session_key(silo.sid), state["task"]
    last = task.state.id
    forgotten = [name for name in files.list_files(silo.sid) if last != job and is_of(last, name)]
    silo.after_commit(lambda: files.remove(key, *forgotten))
    task.reset()
    least, first = the_settings().min_free, state["files"][0]["name"]
    task.start(finish_review, key, job, edits, state["options"], least, first)
    kept.update(job=job, edits=edits, finish=task.state.id)
    return job_json(task), 202


def told_number(name: str, default: int, least: int, most: int = MAX_ROWS) -> int:
    """A whole number in the query. Raises Problem."""
    told = request.args.getlist(name) or [str(default)]
    if len(told) == 1 and NUMBER.fullmatch(told[0]) and least <= int(told[0]) <= most:
        return int(told[0])
    raise Problem("bad_request", f"{name} is a whole number from {least} to {most:,}.")


def review_id(state: dict[str, Any], kept: dict[str, Any]) -> str:
    """The id of the session's review. Raises Problem if it has none."""
    job = review_of(state["task"], kept)
    if job is None:
        raise no_review()
    return job


def stored(job: str) -> Review:
    """The review that a job has made. Raises Problem if a reset has removed it."""
    silo = the_silo()
    try:
        with the_files().open(silo.sid, review_name(job)) as stream:
            return load(stream)
    except FileNotFoundError as error:
        raise no_review() from error


def no_review() -> Problem:
    return Problem("no_review", "There is nothing to review.")


def kept_edits(review: Review, edits: Kept, wanted: Edits) -> Kept:
    """The edits with those that are wanted. Raises Problem."""
    try:
        return merged(review, edits, wanted.edits)
    except Misfitting as error:
        raise Problem("invalid_edits", str(error), errors=error.errors) from error
    except Overtaken as error:
        raise Problem("edit_conflict", str(error), errors=error.errors) from error
    except TooMany as error:
        raise Problem("too_many_edits", str(error)) from error


def refuse_incomplete(review: Review) -> None:
    """Raises Problem if a cell is empty that must not be."""
    if missing := review.missing():
        row, name = missing[0]
        more = f" So must {len(missing) - 1:,} more." if len(missing) > 1 else ""
        said = "This must not be empty."
        errors = [{"row": n, "column": each, "message": said} for n, each in missing[:20]]
        raise Problem("review_incomplete", f"Row {row + 1} needs its {name}.{more}", errors=errors)
