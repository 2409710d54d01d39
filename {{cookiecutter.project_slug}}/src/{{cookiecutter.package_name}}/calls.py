"""What each call of the API takes and answers, for the OpenAPI document.

The tests hold every answer that they get against this table, so it cannot fall behind the views.
"""

from __future__ import annotations

from dataclasses import replace

from .edits import Edits
from .keys import Scope
from .models import (
    Edited,
    Files,
    Headings,
    Health,
    Link,
    Review,
    SessionState,
    StreamEvent,
    UploadState,
    Wanted,
)
from .openapi import Answer, Operation, Parameter
from .pipeline import Options
from .silo import TaskState
from .silo.idempotency import KEY as KEY_FORM
from .values import BYTES as OCTETS
from .values import XLSX, ZIP

NAMED = {"Content-Disposition": "The name to save it under."}
REPLAYED = {"Idempotency-Replayed": "`true` if it is the answer of an earlier call with this key."}
UPLOAD = {
    "Upload-Offset": "How many bytes have come.",
    "Upload-Complete": "`?1` once all of them have come.",
}
LIMIT = {"Upload-Limit": "What an upload must keep to, as a dictionary of RFC 9651."}

LAST_EVENT = Parameter("Last-Event-ID", "header", "The id of the last event that was heard.")
KEY = Parameter(
    "Idempotency-Key",
    "header",
    "The same for each try of one thing: a quoted UUID. Without a session, 16 characters at least.",
    {"type": "string", "pattern": f"^(?:{KEY_FORM.pattern})$"},
)
BYTES_SO_FAR = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
OFFSET = Parameter("Upload-Offset", "header", "Where the body begins.", BYTES_SO_FAR, True)
COMPLETE = Parameter(
    "Upload-Complete", "header", "Whether the body is the rest.", {"enum": ["?0", "?1"]}
)
LENGTH = Parameter("Upload-Length", "header", "How long the file is.", BYTES_SO_FAR)
NAME = Parameter(
    "Content-Disposition",
    "header",
    "The file's name, as in `attachment; filename=a.csv`.",
    required=True,
)
OFFSET_ROWS = Parameter(
    "offset", "query", "The first row that is wanted.", {"type": "integer", "minimum": 0}
)
LIMIT_ROWS = Parameter(
    "limit",
    "query",
    "How many rows, 100 if it is not told.",
    {"type": "integer", "minimum": 1, "maximum": 500},
)
TOKEN = Parameter("token", "query", "A signed link's, instead of the session.")

ONCE = ("invalid_idempotency_key", "in_flight", "idempotency_mismatch")
READABLE = ("unsupported_type", "empty_file")
PLACED = ("unknown_upload", "session_expired")
FORM = {
    "type": "object",
    "properties": {
        "file": {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    },
    "required": ["file"],
}
UPLOADS = {
    "type": "object",
    "properties": {"uploads": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
    "required": ["uploads"],
}
BYTES = {"type": "string", "format": "binary"}
TAKEN = ("not_ready", "no_such_file", "forbidden_link", "unreadable_file", "too_often")


def download(media: str) -> dict[int, Answer]:
    """What a call answers that sends a file, or a part of it, or says where it is."""
    return {
        200: Answer(media=media, headers=NAMED),
        206: Answer(media=media),
        304: Answer(),
        307: Answer(headers={"Location": "The file in the bucket, for as long as it says."}),
    }


CALLS = {
    "app.options_schema": Operation({200: Answer({"type": "object"})}, scope="read"),
    "app.status": Operation({200: Answer(SessionState)}, scope="read"),
    "arrival.upload": Operation(
        {201: Answer(Files, headers=REPLAYED)},
        (
            *ONCE,
            *READABLE,
            *PLACED,
            "already_running",
            "too_often",
            "no_file",
            "file_count",
            "invalid_uploads",
            "upload_incomplete",
            "unreadable_file",
        ),
        {"multipart/form-data": FORM, "application/json": UPLOADS},
        (KEY,),
        scope="upload",
    ),
    "resumable.discover": Operation({204: Answer(headers=LIMIT)}),
    "resumable.create": Operation(
        {201: Answer(UploadState, headers={**UPLOAD, **LIMIT, **REPLAYED, "Location": "Its URL."})},
        (
            *ONCE,
            *READABLE,
            "already_running",
            "too_often",
            "too_many_uploads",
            "inconsistent_length",
            "cut_off",
            "session_expired",
        ),
        {"application/octet-stream": BYTES},
        (KEY, NAME, COMPLETE, LENGTH),
        scope="upload",
    ),
    "resumable.offset": Operation(
        {204: Answer(headers={**UPLOAD, **LIMIT, "Upload-Length": LENGTH.about})},
        (*PLACED, "busy", "no_space"),
        scope="upload",
    ),
    "resumable.append": Operation(
        {200: Answer(UploadState, headers=UPLOAD), 204: Answer(headers=UPLOAD)},
        (
            *PLACED,
            *READABLE,
            "mismatching_offset",
            "inconsistent_length",
            "completed_upload",
            "cut_off",
            "unsupported_media_type",
            "unreadable_file",
        ),
        {"application/partial-upload": BYTES},
        (OFFSET, replace(COMPLETE, required=True), LENGTH),
        scope="upload",
    ),
    "resumable.abandon": Operation({204: Answer()}, PLACED, scope="upload"),
    "headings.ask": Operation({202: Answer(Headings)}, ("nothing_uploaded",), scope="process"),
    "headings.look": Operation({200: Answer(Headings)}, scope="read"),
    "app.process": Operation(
        {202: Answer(TaskState, headers=REPLAYED)},
        (
            *ONCE,
            "already_running",
            "too_often",
            "nothing_uploaded",
            "unsupported_media_type",
            "invalid_options",
        ),
        {"application/json": Options},
        (KEY,),
        scope="process",
    ),
    "app.progress": Operation({200: Answer(TaskState)}, scope="read"),
    "app.events": Operation(
        {200: Answer(StreamEvent, media="text/event-stream"), 204: Answer()},
        ("too_many_streams", "streams_full"),
        parameters=(LAST_EVENT,),
        scope="read",
    ),
    "app.cancel": Operation(
        {202: Answer(TaskState, headers=REPLAYED)},
        (*ONCE, "not_running"),
        parameters=(KEY,),
        scope="process",
    ),
    "reviewing.look": Operation(
        {200: Answer(Review)},
        ("no_review", "unreadable_file"),
        parameters=(OFFSET_ROWS, LIMIT_ROWS),
        scope="read",
    ),
    "reviewing.edit": Operation(
        {200: Answer(Edited)},
        (
            "already_running",
            "edit_conflict",
            "invalid_edits",
            "no_review",
            "review_replaced",
            "too_many_edits",
            "unreadable_file",
        ),
        {"application/json": Edits},
        scope="process",
        needs_body=True,
    ),
    "reviewing.finish": Operation(
        {202: Answer(TaskState, headers=REPLAYED)},
        (
            *ONCE,
            "already_running",
            "no_review",
            "review_incomplete",
            "too_often",
            "unreadable_file",
        ),
        parameters=(KEY,),
        scope="process",
    ),
    "downloads.report": Operation(
        {
            200: Answer({"type": "object"}),
            206: Answer(media="application/json"),
            304: Answer(),
        },
        ("not_ready", "range_not_satisfiable", "unreadable_file", "too_often"),
        scope="read",
    ),
    "downloads.link": Operation(
        {201: Answer(Link)},
        ("not_ready", "no_such_file", "unreadable_file", "invalid_options", "too_often"),
        {"application/json": Wanted},
        scope="read",
    ),
    "downloads.workbook": Operation(
        download(XLSX), (*TAKEN, "range_not_satisfiable"), parameters=(TOKEN,), scope="read"
    ),
    "downloads.file": Operation(
        download(OCTETS),
        (*TAKEN, "range_not_satisfiable", "not_found"),
        parameters=(TOKEN,),
        scope="read",
    ),
    "downloads.all": Operation(
        {200: Answer(media=ZIP, headers=NAMED)}, TAKEN, parameters=(TOKEN,), scope="read"
    ),
    "app.reset": Operation(
        {204: Answer(headers=REPLAYED)}, ONCE, parameters=(KEY,), scope="process"
    ),
    "app.healthz": Operation({200: Answer(Health)}),
    "metrics.figures": Operation({200: Answer(media="text/plain")}, ("no_key", "no_scope")),
    "app.readyz": Operation({200: Answer(Health), 503: Answer(Health)}),
}
"""By endpoint; beside these problems there are those that every call may meet."""

SCOPE_OF: dict[str, Scope] = {
    endpoint: call.scope for endpoint, call in CALLS.items() if call.scope
}
