"""HTTP, in the order in which a person meets it: page, process, progress, reset.

The upload, which comes after the page, is in `arrival.py` and `resumable.py`; the report, which
comes before a reset, in `downloads.py`.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any, cast

from flask import (
    Blueprint,
    Response,
    current_app,
    render_template,
    request,
)

from . import pipeline
from .about import TITLE
from .calls import CALLS
from .config import Settings
from .edits import NAMESPACE as REVIEW
from .edits import review_of
from .jobs import run
from .openapi import document
from .payload import read_body, read_json
from .pipeline import Options
from .problems import Problem
from .ratelimits import JOBS, count
from .shelf import is_of, is_review
from .silo import (
    BackgroundTask,
    FileStore,
    Idempotent,
    SessionExpired,
    Silo,
    SiloError,
)
from .silo.sessions.ids import session_key
from .total import Total

NAMESPACE = "work"
FILES = "files"
DATA_ENDPOINTS = (
    "/api/process",
    "/api/progress",
    "/api/events",
    "/api/cancel",
)

WARN_SECONDS = 120
"""So long before a session ends the page says so; a tenth of the TTL, if that is less."""

blueprint = Blueprint("app", __name__)
idempotent = Idempotent()


def first_state() -> dict[str, Any]:
    """What a session begins with."""
    return {"files": [], "options": None, "task": BackgroundTask("report")}


def job_json(task: BackgroundTask) -> dict[str, Any]:
    """How a task stands, as the page is told."""
    return task.state.to_dict()


def the_silo() -> Silo:
    return cast(Silo, current_app.extensions["silo"])


def the_settings() -> Settings:
    return cast(Settings, current_app.config["SETTINGS"])


def the_files() -> FileStore:
    return the_silo().file_store(FILES)


def the_total() -> Total:
    store, quota = the_silo().store, the_settings().silo_total_quota_mb * 2**20
    return Total(store.records, the_files(), store.clock, quota)


def check_room(size: int) -> None:
    """Raises Problem or OSError if so many bytes more are too many for this server."""
    the_files().check_room(size)
    the_total().check(size)


# The page


@blueprint.get("/")
def page() -> str:
    return render_template(
        "index.html",
        title=TITLE,
        accepts=pipeline.ACCEPTS,
        samples=samples(),
        warn=min(WARN_SECONDS, the_settings().silo_ttl / 10),
        development=the_settings().silo_development,
    )


def samples() -> list[str]:
    """The names of the files that the page offers to whoever has none at hand.

    There are none where the step would not take them.
    """
    folder = Path(str(current_app.static_folder))
    names = sorted(path.name for path in folder.glob("sample*") if path.is_file())
    return [] if pipeline.ACCEPTS.refusal(names) else names


@blueprint.get("/api/options")
def options_schema() -> Response:
    """The JSON Schema of the options, in the order in which the form shall show them."""
    return Response(json.dumps(Options.model_json_schema()), mimetype="application/json")


@blueprint.get("/api/status")
def status() -> dict[str, Any]:
    """How the session stands. Asking neither makes a session nor keeps one alive.

    `review` is the id of the job that has made rows to review, if any; while it is the last job,
    they wait for that.
    """
    silo, session = the_silo(), the_silo().session
    state, review = silo.snapshot(NAMESPACE), silo.snapshot(REVIEW)  # before it is said to live
    return {
        "session": silo.status,
        "files": state["files"],
        "options": state["options"],
        "job": job_json(state["task"]) if session else None,
        "review": review_of(state["task"], review),
        "expires_in": max(0.0, session.due - silo.store.clock()) if session else None,
    }


# Process


@blueprint.post("/api/process")
@idempotent.keyed
def process() -> tuple[dict[str, Any], int]:
    """Start a job on the session's files; without a body, with the default options."""
    silo, files, options = the_silo(), the_files(), read_options()
    if not silo.snapshot(NAMESPACE)["files"]:
        raise nothing_uploaded()
    state = silo.state(NAMESPACE)
    refuse_while_running(state)
    if not state["files"]:
        raise nothing_uploaded()
    count(JOBS)
    key, forgotten = session_key(silo.sid), forget_report(state)
    silo.after_commit(lambda: files.remove(key, *forgotten))
    state["options"] = options
    settings = the_settings()
    cache = settings.cache if settings.silo_cache_ttl else None
    state["task"].start(run, key, state["files"], options, cache, settings.min_free)
    return job_json(state["task"]), 202


def read_options() -> dict[str, Any]:
    """The options in the request's body, checked; the defaults if it has none."""
    if read_body() and not request.is_json:
        raise Problem("unsupported_media_type", "Send the options as JSON.")
    options = read_json(Options, "The options are", "invalid_options", absent=b"{}")
    return options.model_dump(mode="json")


# Progress


@blueprint.get("/api/progress")
def progress() -> dict[str, Any]:
    """How the job stands."""
    return job_json(the_silo().state(NAMESPACE)["task"])


@blueprint.get("/api/events")
def events() -> Response:
    """The job's progress as server-sent events, until it ends."""
    silo = the_silo()
    return silo.follow(silo.state(NAMESPACE)["task"])


@blueprint.post("/api/cancel")
@idempotent.keyed  # or a repeated call meets the next job
def cancel() -> tuple[dict[str, Any], int]:
    """Ask the job to stop."""
    task = the_silo().snapshot(NAMESPACE)["task"]
    if not task.cancel():
        raise Problem("not_running", "Nothing is running that could be cancelled.")
    return job_json(task), 202


# Reset


@blueprint.post("/api/reset")
@idempotent.keyed  # or a repeated call takes along what was uploaded meanwhile
def reset() -> tuple[str, int]:
    """Begin anew: the job is cancelled, files and report are gone."""
    with contextlib.suppress(SessionExpired):  # by now: then there is nothing to reset
        if the_silo().status == "live":
            the_silo().reset_current()
    return "", 204


# About the API, and whether the server is well


@blueprint.get("/api/openapi.json")
def openapi() -> dict[str, Any]:
    """What all calls take and answer, as OpenAPI 3.1."""
    return document(current_app, CALLS, the_silo().data_endpoints)


@blueprint.get("/healthz")
def healthz() -> dict[str, str]:
    """Whether the server answers."""
    return {"status": "ok"}


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, str], int]:
    """Whether sessions and files can be served; asks the store and the disk."""
    try:
        the_silo().store.records.read("session", "")
        the_files().check_room()
        with tempfile.TemporaryFile(dir=the_settings().silo_data_dir, buffering=0) as probe:
            probe.write(b"\0")
    except (OSError, SiloError):
        return {"status": "unavailable"}, 503
    return {"status": "ok"}, 200


# Told more than once


def forget_report(state: dict[str, Any]) -> list[str]:
    """Let go of the last run and its review.

    Returns the names of its files, were it to end or to be killed.
    """
    job = state["task"].state.id
    state["task"].reset()
    stored = the_files().list_files(the_silo().sid) if job else []
    return [name for name in stored if is_of(job or "", name) or is_review(name)]


def refuse_while_running(state: dict[str, Any]) -> None:
    """Raises Problem if a job is queued or running."""
    if state["task"].is_running:
        raise Problem("already_running", "Your files are being processed. Wait or cancel.")


def nothing_uploaded() -> Problem:
    return Problem("nothing_uploaded", "Upload a file first.")
