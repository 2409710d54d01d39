"""What calls say that send no file: how long a body may be, and what it has to be."""

from __future__ import annotations

from typing import TypeVar

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from .problems import Problem, invalid

BODY_BYTES = 2**20

Model = TypeVar("Model", bound=BaseModel)


def read_body() -> bytes:
    """The request's body. Raises RequestEntityTooLarge.

    Werkzeug ends one of unknown length at the limit, so what reaches it is too long.
    """
    request.max_content_length = BODY_BYTES
    body = request.get_data()
    if len(body) >= BODY_BYTES:
        raise RequestEntityTooLarge
    return body


def read_json(model: type[Model], what: str, code: str, absent: bytes = b"") -> Model:
    """What the request's body says, which is taken as `absent` if there is none.

    Raises Problem: of `what` is said if it is not JSON, and `code` if it is not as the model wants
    it.
    """
    try:
        return model.model_validate_json(read_body() or absent, strict=True)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise Problem("bad_request", f"{what} not JSON.") from error
        raise invalid(code, error) from error
