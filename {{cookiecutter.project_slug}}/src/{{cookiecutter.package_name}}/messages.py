"""What is wrong with a value, in sentences for the person who gave it."""

from __future__ import annotations

from typing import Any

DATE = "This must be a date, such as 2025-01-31."
NUMBER = "This must be a number."
WHOLE = "This must be a whole number."
BOOLEAN = "This must be true or false."

SENTENCES = {
    "bool_parsing": BOOLEAN,
    "bool_type": BOOLEAN,
    "date_from_datetime_inexact": DATE,
    "date_from_datetime_parsing": DATE,
    "date_parsing": DATE,
    "date_type": DATE,
    "enum": "This must be {expected}.",
    "extra_forbidden": "Nothing of this name is known.",
    "finite_number": NUMBER,
    "float_parsing": NUMBER,
    "float_type": NUMBER,
    "greater_than": "This must be more than {gt}.",
    "greater_than_equal": "This must be {ge} or more.",
    "int_from_float": WHOLE,
    "int_parsing": WHOLE,
    "int_parsing_size": "This number is too large.",
    "int_type": WHOLE,
    "less_than": "This must be less than {lt}.",
    "less_than_equal": "This must be {le} or less.",
    "list_type": "This must be a list.",
    "literal_error": "This must be {expected}.",
    "missing": "This must be given.",
    "multiple_of": "This must be a multiple of {multiple_of}.",
    "string_too_long": "This must not be longer than {max_length} characters.",
    "string_too_short": "This must be at least {min_length} characters long.",
    "string_type": "This must be a text.",
    "too_long": "No more than {max_length} can be chosen.",
    "too_short": "At least {min_length} must be chosen.",
}
"""By the type of pydantic's error; what is in braces is in its context."""


def message(error: Any) -> str:
    """The sentence for an error of pydantic's; its own words where there is no better one."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_too_short" and context["min_length"] == 1:
        return "This must not be empty."
    if kind in SENTENCES:
        told = {name: plain(value) for name, value in context.items()}
        return SENTENCES[kind].format_map(told)
    said: str = error["msg"]
    return said.removeprefix("Value error, ")


def plain(value: object) -> str:
    """A bound as a person writes it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:,}" if isinstance(value, int | float) else str(value)
