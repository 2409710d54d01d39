"""The log: an event a line, as text or as JSON, and nothing in it that somebody else has formed.

Every line that is written for a request carries the request's id, which its answer carries, too.
Told of a session is the beginning of its key's hash; session ids, tokens, keys, the addresses that
were asked for and the names of files are left out, since they are secret or personal.
"""

from __future__ import annotations

import json
import logging
import re
import time
from datetime import UTC, datetime
from typing import Any, Literal

from flask import Flask, Response, g, has_request_context, request

from .silo.sessions.ids import session_key
from .silo.tasks.job import OWNER_CHARS

log = logging.getLogger(__name__)

Format = Literal["text", "json"]

CONTROL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PROBLEM = "application/problem+json"


class Formatter(logging.Formatter):
    """What both formats tell: when (UTC), how bad, who says it, in which request, and what."""

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        when = datetime.fromtimestamp(record.created, UTC)
        return {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": request_id(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }

    def trace(self, record: logging.LogRecord) -> str:
        shown = self.formatException(record.exc_info) if record.exc_info else ""
        return "\n".join(filter(None, [shown, record.stack_info]))


class Text(Formatter):
    """For people: an event is a line, and a traceback is indented below its event.

    Control characters are shown as escapes, line breaks of a message among them. So whatever begins
    at the left margin is an event of ours.
    """

    def format(self, record: logging.LogRecord) -> str:
        told = self.fields(record)
        head = " ".join(told[name] for name in ("time", "level", "logger", "request_id"))
        line = escaped(f"{head}: {told['message']}").replace("\n", "\\n")
        return "\n    ".join([line, *escaped(self.trace(record)).splitlines()])


class Json(Formatter):
    """For programs: each event is one line, a JSON object in ASCII, its traceback in `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        trace = self.trace(record)
        return json.dumps({**self.fields(record), **({"trace": trace} if trace else {})})


FORMATTERS: dict[Format, type[Formatter]] = {"text": Text, "json": Json}


def configure(form: Format) -> None:
    """Log to standard error; for the commands, since an app leaves that to whoever runs it."""
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS[form]())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)


def escaped(text: str) -> str:
    """With control characters, line breaks apart, as Python writes them."""
    return CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


def request_id() -> str:
    """The id of the request that is answered here, or a dash."""
    return str(g.get("request_id", "-")) if has_request_context() else "-"


def init_app(app: Flask) -> None:
    """Log every request; before any other extension, so that the log sees the final answer."""
    app.before_request(_begin)
    app.after_request(_say)


def method() -> str:
    """The request's method; one word for all that nobody knows, since clients make them up."""
    return request.method if request.method in METHODS else "other"


def elapsed() -> float:
    """Seconds since the request began to be answered."""
    return time.monotonic() - float(g.begun)


def _begin() -> None:
    g.begun = time.monotonic()


def _say(response: Response) -> Response:
    """The route as it is written in the code: what was asked for may hold an id or a token."""
    told = {
        "method": method(),
        "route": request.url_rule.rule if request.url_rule else "-",
        "status": response.status_code,
        "ms": round(elapsed() * 1000),
        "session": _session(),
        "error": response.get_json()["error"] if response.mimetype == PROBLEM else "-",
    }
    log.info(
        "%(method)s %(route)s %(status)d %(ms)d ms, session %(session)s, error %(error)s",
        told,
        extra={"fields": told},
    )
    return response


def _session() -> str:
    """The beginning of the key of the session that the client sent or was given, or a dash."""
    sid = g.silo.sid if "silo" in g else None
    return session_key(sid)[:OWNER_CHARS] if sid else "-"
