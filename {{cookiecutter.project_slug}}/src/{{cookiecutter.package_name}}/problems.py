"""Errors as answers: one form, `application/problem+json` (RFC 9457), made in one place."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from .messages import message
from .silo.errors import NO_SPACE
from .silo.refusals import OUR_FAULT, STATUS_OF, problem
from .silo.tasks.base import FULL

log = logging.getLogger(__name__)

TITLES = {
    **{status: title for status, title, _ in STATUS_OF.values()},
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    500: "Internal Server Error",
}
STATUS_OF_CODE = {
    **{code: status for status, _, code in STATUS_OF.values()},
    "bad_request": 400,
    "completed_upload": 400,
    "cut_off": 400,
    "inconsistent_length": 400,
    "no_key": 401,
    "cross_site": 403,
    "forbidden_link": 403,
    "no_scope": 403,
    "no_such_file": 404,
    "not_found": 404,
    "unknown_upload": 404,
    "method_not_allowed": 405,
    "too_slow": 408,
    "edit_conflict": 409,
    "mismatching_offset": 409,
    "no_review": 409,
    "not_ready": 409,
    "not_running": 409,
    "nothing_uploaded": 409,
    "review_incomplete": 409,
    "review_replaced": 409,
    "too_many_edits": 409,
    "too_many_uploads": 409,
    "upload_incomplete": 409,
    "too_large": 413,
    "uri_too_long": 414,
    "unsupported_media_type": 415,
    "unsupported_type": 415,
    "range_not_satisfiable": 416,
    "empty_file": 422,
    "file_count": 422,
    "invalid_edits": 422,
    "invalid_options": 422,
    "invalid_uploads": 422,
    "no_file": 422,
    "too_often": 429,
    "internal": 500,
    "total_full": 507,
}
"""Every problem that an answer may name, by the code that programs read."""

USUAL = {
    400: "bad_request",
    403: "cross_site",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    500: "internal",
}
"""The codes of what Flask and Werkzeug raise."""


class Problem(Exception):
    """An answer that a view gives instead of what was asked: a code of the above, a sentence."""

    def __init__(
        self,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        self.code = code
        self.headers: Mapping[str, str] = headers or {}
        self.members = members
        super().__init__(detail)


def invalid(code: str, error: ValidationError) -> Problem:
    """What a model refuses, field by field. `code` is `invalid_` and what it is that is refused."""
    errors, whole = field_errors(error), code.removeprefix("invalid_")
    said = "; ".join(f"{each['field'] or whole}: {each['message'].rstrip('.')}" for each in errors)
    return Problem(code, f"{said}.", errors=errors)


def field_errors(error: ValidationError) -> list[dict[str, str]]:
    """What is wrong with which field, the first 20 of it; no `field` is all of them together."""
    return [
        {"field": ".".join(map(str, each["loc"])), "message": message(each)}
        for each in error.errors(include_url=False, include_input=False)[:20]
    ]


def init_app(app: Flask) -> None:
    """Register the handlers; before silo, whose own answers then pass here too."""
    app.register_error_handler(Problem, of_problem)
    app.register_error_handler(RequestEntityTooLarge, of_size)
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(OSError, of_storage)
    app.register_error_handler(Exception, of_anything)
    app.after_request(say_when)


def of_problem(error: Problem) -> Response:
    status = STATUS_OF_CODE[error.code]
    answer = problem(status, TITLES[status], error.code, str(error), **error.members)
    answer.headers.update(error.headers)
    return answer


def of_size(_: RequestEntityTooLarge) -> Response:
    megabytes, parts = (request.max_content_length or 0) // 2**20, request.max_form_parts
    said = f"At most {megabytes:,} MB and {parts:,} files can be sent at a time."
    return of_problem(Problem("too_large", said))


def of_http(error: HTTPException) -> Response:
    """Errors that Flask and Werkzeug raise; their headers, such as Allow, are kept."""
    status = error.code or 500
    detail = error.description or OUR_FAULT
    if status == 404:
        detail = f"There is nothing at {request.path}."
    title = TITLES.get(status, error.name)
    answer = problem(status, title, USUAL.get(status, "http_error"), detail)
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            answer.headers[name] = value
    return answer


def of_storage(error: OSError) -> Response:
    """A full or read-only disk is nobody's bug: what is stored stays, and the next try may do."""
    if error.errno not in (*FULL, errno.EACCES, errno.EPERM):
        return of_anything(error)
    log.error("nothing can be stored", exc_info=error)
    return of_problem(Problem("no_space", NO_SPACE))


def of_anything(error: Exception) -> Response:
    """What nobody foresaw: logged with its traceback, and said without it."""
    log.error("unforeseen", exc_info=error)
    return of_problem(Problem("internal", OUR_FAULT))


def say_when(response: Response) -> Response:
    """Say when another try is worth it, where one is."""
    if response.status_code in (429, 503):
        response.headers.setdefault("Retry-After", "2")
    return response
