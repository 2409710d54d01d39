"""How errors of silo are answered: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
import logging
from typing import Any

from flask import Response, g

from .errors import (
    FilesUnavailable,
    InFlight,
    KeyInvalid,
    KeyReused,
    SessionBusy,
    SessionExpired,
    SiloError,
    StoreFull,
    StoreUnavailable,
    StreamsFull,
    TaskRunning,
    TooManyStreams,
    UnreadableFile,
)

log = logging.getLogger(__name__)

OUR_FAULT = "Something went wrong on our side. Try again; if it stays, tell whoever runs this."

STATUS_OF: dict[type[SiloError], tuple[int, str, str]] = {
    SessionExpired: (410, "Gone", "session_expired"),
    SessionBusy: (409, "Conflict", "busy"),
    KeyInvalid: (400, "Bad Request", "invalid_idempotency_key"),
    InFlight: (409, "Conflict", "in_flight"),
    KeyReused: (422, "Unprocessable Content", "idempotency_mismatch"),
    TaskRunning: (409, "Conflict", "already_running"),
    TooManyStreams: (429, "Too Many Requests", "too_many_streams"),
    UnreadableFile: (500, "Internal Server Error", "unreadable_file"),
    StreamsFull: (503, "Service Unavailable", "streams_full"),
    StoreUnavailable: (503, "Service Unavailable", "unavailable"),
    FilesUnavailable: (503, "Service Unavailable", "files_unavailable"),
    StoreFull: (507, "Insufficient Storage", "no_space"),
}

PASSING = (SessionBusy, InFlight)
"""Over in a moment, so another try is worth it."""


def problem_of(error: SiloError) -> Response:
    """The answer to an error of silo; what only a developer should read is logged and not told."""
    if type(error) not in STATUS_OF:
        log.error("a view misused silo", exc_info=error)
        return problem(500, "Internal Server Error", "internal", OUR_FAULT)
    answer = problem(*STATUS_OF[type(error)], str(error))
    if isinstance(error, PASSING):
        answer.headers["Retry-After"] = "1"
    return answer


def problem(status: int, title: str, code: str, detail: str, **members: Any) -> Response:
    """An `application/problem+json` answer (RFC 9457); `error` is the code that programs read.

    An app that puts a `request_id` into `g` finds it in there.
    """
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body |= {"error": code, **members}
    if "request_id" in g:
        body["request_id"] = g.request_id
    return Response(json.dumps(body), status, mimetype="application/problem+json")
