"""Uploads in as many pieces as they take, so that a lost connection costs only what it carried.

Each file is an upload of its own under `/api/uploads`, by the IETF's "Resumable Uploads for HTTP"
(draft-ietf-httpbis-resumable-upload): the server keeps the offset, and whoever lost the connection
asks for it and goes on from there. Complete ones become the session's files by `POST /api/upload`.
Three things are as the draft leaves them to a server:

- WSGI servers cannot send `104 Upload Resumption Supported`, so nobody learns where a creation was
  that broke off. What came of it is removed; to be able to resume, create an empty upload first.
- A length must be told at the creation, so that there is room for all that was begun.
- Who comes to an upload ends what came before: a connection that was given up, but still delivers,
  loses its turn. Of two at one offset, one adds its bytes and the other is told the new offset with
  409, so what is there is what the client sent, in order.
"""

from __future__ import annotations

import re

from flask import Blueprint, Response, jsonify, request, url_for
from werkzeug.http import parse_options_header
from werkzeug.wsgi import get_input_stream

from .body import TYPES, Arriving, inconsistent_length
from .pending import Entry, Pending, unknown
from .problems import Problem
from .silo import SessionExpired
from .silo.errors import PartMoved
from .uploads import HEAD_BYTES, check_head, check_type
from .values import clean_name
from .views import (
    NAMESPACE,
    check_room,
    idempotent,
    refuse_while_running,
    the_files,
    the_settings,
    the_silo,
)

DATA_ENDPOINTS = ("/api/uploads/<upload>",)
PARTIAL = "application/partial-upload"
INTEGER = re.compile(r"([0-9]{1,15})(;.*)?", re.ASCII)
BOOLEAN = re.compile(r"\?([01])(;.*)?", re.ASCII)

blueprint = Blueprint("resumable", __name__)


@blueprint.route("/api/uploads", methods=["OPTIONS"])
def discover() -> Response:
    """What an upload must keep to."""
    headers = {"Allow": "OPTIONS, POST", "Accept-Patch": PARTIAL, "Upload-Limit": limits()}
    return Response(status=204, headers=headers)


@blueprint.post("/api/uploads", provide_automatic_options=False)
@idempotent.keyed_by("Content-Disposition", "Upload-Complete", "Upload-Length")
def create() -> Response:
    """Begin an upload; the body is nothing yet, the beginning, or, if not said otherwise, all."""
    name, complete = told_name(), told_complete() is not False
    length = told_length(0, complete)
    if length is None:
        raise missing("Upload-Length")
    refuse_while_running(the_silo().snapshot(NAMESPACE))
    refuse_beforehand(name, length)
    pending = Pending(the_silo().store, the_files(), the_silo().sid, quota())
    new, entry = begin(pending, name, length)
    try:
        answer = add(pending, new, entry, 0, complete) if has_body() else said(new, entry, 0)
    except BaseException:
        pending.remove(new)
        raise
    answer.status_code = 201
    answer.headers["Location"] = url_for("resumable.offset", upload=new)
    answer.headers["Upload-Limit"] = limits()
    return answer


def begin(pending: Pending, name: str, length: int) -> tuple[str, Entry]:
    try:
        return pending.create(name, length)
    except Problem as error:
        error.headers = {"Upload-Limit": limits()}
        raise


@blueprint.route("/api/uploads/<upload>", methods=["HEAD"])
def offset(upload: str) -> Response:
    """How far it is."""
    entry, size = the_pending().settle(upload)
    answer = said(upload, entry, size)
    answer.status_code = 204
    answer.headers["Upload-Length"] = str(entry["length"])
    answer.headers["Upload-Limit"] = limits()
    return answer


@blueprint.patch("/api/uploads/<upload>")
def append(upload: str) -> Response:
    """Add to an upload; `Upload-Complete: ?1` says that this is the rest of it."""
    if request.mimetype != PARTIAL:
        detail = f"Send the bytes as {PARTIAL}."
        raise Problem("unsupported_media_type", detail)
    at, complete = told_integer("Upload-Offset"), told_complete()
    if at is None or complete is None:
        raise missing("Upload-Offset and Upload-Complete")
    pending = the_pending()
    entry, size = pending.settle(upload, at)
    refuse_unfit(entry, size, at, told_length(at, complete))
    try:
        answer = add(pending, upload, entry, at, complete)
    except PartMoved as error:
        raise mismatching(error.size, at) from error
    if not complete:
        answer.status_code = 204
    return answer


@blueprint.delete("/api/uploads/<upload>")
def abandon(upload: str) -> Response:
    """Let go of an upload."""
    pending = the_pending()
    pending.find(upload)
    pending.remove(upload)
    return Response(status=204)


def has_body() -> bool:
    """Whether bytes come along, or may."""
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def add(pending: Pending, upload: str, entry: Entry, at: int, complete: bool) -> Response:
    """Add the request's body, and complete the upload if that is its end."""
    head = pending.head(upload, at) if at < HEAD_BYTES else None
    body, room = get_input_stream(request.environ), entry["length"] - at
    data = Arriving(body, entry["name"], head, room)
    entry, size = pending.append(upload, at, data, complete)
    if data.cut or data.size < (request.content_length or 0):
        raise cut_off(size)
    if complete and size != entry["length"]:
        raise inconsistent_length()
    return said(upload, entry, size)


def said(upload: str, entry: Entry, size: int) -> Response:
    """How an upload stands."""
    answer = jsonify(id=upload, name=entry["name"], size=entry["length"], offset=size)
    answer.headers["Upload-Offset"] = str(size)
    answer.headers["Upload-Complete"] = "?1" if "sha256" in entry else "?0"
    return answer


def the_pending() -> Pending:
    """The uploads of the session that the client sends.

    Raises SessionExpired, and Problem if there is no session that could have one.
    """
    silo = the_silo()
    status = silo.status
    if status == "expired":
        raise SessionExpired
    if status == "none":
        raise unknown()
    return Pending(silo.store, the_files(), silo.sid, quota())


# Told by the client. A header that is not as the draft has it counts as none.


def told_name() -> str:
    header = request.headers.get("Content-Disposition")
    name = parse_options_header(header)[1].get("filename")
    if not name:
        raise missing("Content-Disposition with the file's name")
    return clean_name(name)


def told_integer(header: str) -> int | None:
    found = INTEGER.fullmatch(request.headers.get(header, "").strip())
    return int(found[1]) if found else None


def told_complete() -> bool | None:
    found = BOOLEAN.fullmatch(request.headers.get("Upload-Complete", "").strip())
    return found[1] == "1" if found else None


def told_length(at: int, complete: bool) -> int | None:
    """How long the whole upload is, if the client says so, in one way or two."""
    lengths = {told_integer("Upload-Length")}
    if complete and "Transfer-Encoding" not in request.headers:
        lengths.add(at + (request.content_length or 0))
    lengths.discard(None)
    if len(lengths) > 1:
        raise inconsistent_length()
    return lengths.pop() if lengths else None


# Refused


def refuse_beforehand(name: str, length: int) -> None:
    """Raises Problem for what can be seen before a byte of the file is there."""
    check_type(name)
    if not length:
        check_head(name, b"")
    if length > most():
        detail = f"{name} is too large: a file may hold {most() // 2**20:,} MB."
        raise Problem("too_large", detail, {"Upload-Limit": limits()})
    if (request.content_length or 0) > length:
        raise inconsistent_length()
    check_room(length)


def refuse_unfit(entry: Entry, size: int, at: int, length: int | None) -> None:
    """Raises Problem if what is sent does not belong where the upload stands."""
    if "sha256" in entry:
        raise completed(bool(request.content_length))
    if at != size:
        raise mismatching(size, at)
    too_long = at + (request.content_length or 0) > entry["length"]
    if too_long or (length is not None and length != entry["length"]):
        raise inconsistent_length()


def missing(what: str) -> Problem:
    return Problem("bad_request", f"Send {what}.")


def mismatching(expected: int, provided: int) -> Problem:
    return Problem(
        "mismatching_offset",
        f"The upload is at byte {expected}. Go on from there.",
        {"Upload-Offset": str(expected), "Upload-Complete": "?0"},
        type=f"{TYPES}mismatching-upload-offset",
        **{"expected-offset": expected, "provided-offset": provided},
    )


def cut_off(size: int) -> Problem:
    """Hardly anybody hears this but a log."""
    headers = {"Upload-Offset": str(size), "Upload-Complete": "?0"}
    return Problem("cut_off", "The connection broke off.", headers)


def completed(more: bool) -> Problem:
    """The upload is whole already: nothing can be added, not even its end once more."""
    if more:
        return inconsistent_length()
    return Problem(
        "completed_upload",
        "The upload is complete already.",
        {"Upload-Complete": "?1"},
        type=f"{TYPES}completed-upload",
    )


def limits() -> str:
    """What an upload must keep to, as a dictionary of RFC 9651."""
    return f"max-size={most()}, min-size=1, max-age={int(the_settings().silo_ttl)}"


def most() -> int:
    return min(the_settings().silo_max_upload_mb * 2**20, quota())


def quota() -> int:
    return the_settings().silo_session_quota_mb * 2**20
