"""Errors as answers: one form, `application/problem+json` (RFC 9457), made in one place."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response, current_app, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from .silo.extension import OUR_FAULT, problem
from .silo.errors import NO_SPACE
from .silo.tasks.base import FULL

log = logging.getLogger(__name__)

CODES = {
    400: "bad_request",
    403: "cross_site",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


class Problem(Exception):
    """An answer that a view gives instead of what was asked: a status, a code, and a sentence."""

    def __init__(self, status: int, title: str, code: str, detail: str, **members: Any) -> None:
        self.answer = (status, title, code, detail)
        self.members = members
        super().__init__(detail)


def init_app(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(Problem, of_problem)
    app.register_error_handler(ValidationError, of_options)
    app.register_error_handler(RequestEntityTooLarge, of_size)
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(OSError, of_storage)
    app.register_error_handler(Exception, of_anything)


def of_problem(error: Problem) -> Response:
    return problem(*error.answer, **error.members)


def of_options(error: ValidationError) -> Response:
    """Options that the step's model refuses, field by field."""
    errors = [
        {"field": ".".join(map(str, each["loc"])), "message": each["msg"]}
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    said = "; ".join(f"{each['field'] or 'options'}: {each['message']}" for each in errors)
    return problem(422, "Unprocessable Content", "invalid_options", f"{said}.", errors=errors)


def of_size(_: RequestEntityTooLarge) -> Response:
    limit = current_app.config["SETTINGS"].silo_max_upload_mb
    return problem(
        413, "Content Too Large", "too_large", f"An upload may hold at most {limit:,} MB in all."
    )


def of_http(error: HTTPException) -> Response:
    """Errors that Flask and Werkzeug raise; their headers, such as Allow, are kept."""
    status = error.code or 500
    detail = error.description or OUR_FAULT
    if status == 404:
        detail = f"There is nothing at {request.path}."
    answer = problem(status, error.name, CODES.get(status, "http_error"), detail)
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            answer.headers[name] = value
    return answer


def of_storage(error: OSError) -> Response:
    """A full or read-only disk is nobody's bug: what is stored stays, and the next try may do."""
    if error.errno not in FULL:
        return of_anything(error)
    log.error("nothing can be stored", exc_info=error)
    return problem(507, "Insufficient Storage", "no_space", NO_SPACE)


def of_anything(error: Exception) -> Response:
    """What nobody foresaw: logged with its traceback, and said without it."""
    log.error("unforeseen", exc_info=error)
    return problem(500, "Internal Server Error", "internal", OUR_FAULT)
