"""What is no HTTP, as gunicorn meets it before the app does or while the app reads a body.

gunicorn's own answer would be a page that quotes what it was sent, without the headers that guard
every other answer, and a chunk that is none would be an error of ours.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from .problems import USUAL, Problem, of_problem
from .security import GUARDS

STATUS_OF = {
    ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}
"""As RFC 9110, 9112 and 6585 have it; all else is a bad request."""

DETAIL = "This request is not as HTTP has it, or too long in its first lines."


class Worker(ThreadWorker):
    """Answers as the app does, and ends the connection: nobody knows where a next request began."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("refused what is no HTTP: %s", type(exc).__name__)
        with contextlib.suppress(OSError):
            write_nonblock(client, answer(STATUS_OF.get(type(exc), HTTPStatus.BAD_REQUEST)))


def answer(status: HTTPStatus) -> bytes:
    """A whole answer, as it goes over the line."""
    request_id = secrets.token_hex(8)
    problem = {"type": "about:blank", "title": status.phrase, "status": status, "detail": DETAIL}
    problem |= {"error": USUAL.get(status, "http_error"), "request_id": request_id}
    body = json.dumps(problem)
    headers = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Request-ID": request_id,
        **GUARDS,
    }
    head = [f"HTTP/1.1 {status} {status.phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*head, "", body]).encode()


def init_app(app: Flask) -> None:
    """Have the app answer likewise where it is the body that is not sent as it should be."""
    app.register_error_handler(ParseException, of_body)


def of_body(_: ParseException) -> Response:
    return of_problem(Problem("bad_request", "The body is not sent as HTTP has it."))
