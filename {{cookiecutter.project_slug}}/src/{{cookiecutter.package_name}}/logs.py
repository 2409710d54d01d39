"""The log: a line for each request, and nothing in it that somebody else could have written."""

from __future__ import annotations

import logging
import re
import time
from urllib.parse import quote

from flask import Flask, Response, g, request

log = logging.getLogger(__name__)

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
CONTROL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class Plain(logging.Formatter):
    """Shows control characters as escapes, and indents every line but an event's first.

    So a file name or an error that holds a line break cannot pass for an event.
    """

    def format(self, record: logging.LogRecord) -> str:
        text = CONTROL.sub(lambda found: repr(found.group())[1:-1], super().format(record))
        return text.replace("\n", "\n    ")


def configure() -> None:
    """Log to standard error; for the commands, since an app leaves that to whoever runs it."""
    handler = logging.StreamHandler()
    handler.setFormatter(Plain(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def init_app(app: Flask) -> None:
    """Log every request; before any other extension, so that the log sees the final answer."""
    app.before_request(_begin)
    app.after_request(_say)


def _begin() -> None:
    g.begun = time.monotonic()


def _say(response: Response) -> Response:
    """Neither the query, which may hold a link's token, nor a header, which may hold a session."""
    milliseconds = (time.monotonic() - g.begun) * 1000
    log.info(
        "%s %s %d %.0f ms %s",
        request.method,
        quote(request.path),
        response.status_code,
        milliseconds,
        g.request_id,
    )
    return response
