"""Number formats: which of them show a number as a date, and which as a length of time."""

from __future__ import annotations

import re

NUMBER, DATE, LENGTH = 0, 14, 46
"""A built-in format of each kind, by its number (ECMA-376, part 1, 18.8.30)."""

_DATES = frozenset((*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)))
_LITERAL = re.compile(r'"[^"]*+"?|[\\_*].', re.DOTALL)
_LENGTH = re.compile(r"\[(?:h++|m++|s++)\]", re.IGNORECASE)
_BRACKETS = re.compile(r"\[[^\]]*+\]?")


def built_in(number: int) -> int:
    """The kind of a built-in format, those of East Asia included."""
    if number == LENGTH:
        return LENGTH
    return DATE if number in _DATES else NUMBER


def kind(code: str) -> int:
    """The kind of a format by its code, whose first section is that of positive numbers."""
    code = _LITERAL.sub("", code).partition(";")[0]
    if _LENGTH.search(code):
        return LENGTH
    code = _BRACKETS.sub("", code).lower()
    return DATE if code != "general" and not set("dmyhs").isdisjoint(code) else NUMBER
