"""Values where they leave Python: as text and as numbers that XML, a worksheet or JSON can hold."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any

Cell = str | int | float | bool | datetime | date | time | timedelta | None

MAX_WHOLE = 2**53
"""Beyond it neither a worksheet nor JavaScript holds every whole number."""
MAX_NUMBER = 9.99999999999999e307
"""The largest number in a worksheet."""

ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
LINE_END = re.compile("\r\n?")
NAME_CHARS = 120

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ZIP = "application/zip"
BYTES = "application/octet-stream"
"""The media types of what people download."""


def clean(text: str) -> str:
    """The text without the characters that XML forbids, its line ends as `\\n`."""
    return LINE_END.sub("\n", ILLEGAL.sub("", text))


def clean_name(name: str) -> str:
    """A file's name, to show and to save: no folders, nothing invisible, at most 120 characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip() or "file"
    if len(shown) <= NAME_CHARS:
        return shown
    stem, dot, suffix = shown.rpartition(".")
    ending = f"{dot}{suffix}" if stem and len(suffix) <= 8 else ""
    return shown[: NAME_CHARS - len(ending)] + ending


def unique(
    names: Iterable[str],
    same: Callable[[str], str] = str,
    numbered: Callable[[str, str], str] = str.__add__,
    taken: Iterable[str] = (),
) -> list[str]:
    """The names in order, where a repeated one gets a number: "Total", "Total (2)".

    Two are alike if `same` makes one text of them, and no name is like one that is `taken`.
    `numbered` makes a name of one and its number, or of one alone and an empty text.
    """
    found, used = list[str](), set(taken)
    copies: Counter[str] = Counter()  # so that a thousand equal names are no million questions
    for name in names:
        base = free = numbered(name, "")
        while same(free) in used:
            copies[same(base)] += 1
            free = numbered(name, f" ({copies[same(base)] + 1})")
        used.add(same(free))
        found.append(free)
    return found


def file_names(names: Iterable[str]) -> list[str]:
    """Names to save files under, in one folder of any system: "x.csv", "x (2).csv"."""

    def numbered(name: str, number: str) -> str:
        path = PurePath(name)
        return f"{path.stem}{number}{path.suffix}"

    return unique(map(clean_name, names), str.casefold, numbered)


def exact(number: int | float) -> int | float | str:
    """The number, or its text where a worksheet or JSON would change it: NaN, 2**53 + 1."""
    if isinstance(number, int):
        return number if abs(number) <= MAX_WHOLE else _digits(number)
    if abs(number) <= MAX_NUMBER:
        return number
    return str(number).replace("inf", "Infinity").replace("nan", "NaN")


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # Python writes no more than 4,300 of them
        return f"{Decimal(number):.15E}"


def duration(value: timedelta) -> str:
    """Hours, minutes and seconds, as a worksheet shows them: "26:03:04"."""
    seconds = abs(value) // timedelta(seconds=1)
    sign = "-" if value < timedelta() else ""
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def numbers(cells: Iterable[Cell]) -> list[int | float]:
    """The numbers among the cells; True and False are none."""
    found: list[Any] = list(cells)
    kinds = set(map(type, found))
    wanted = {kind for kind in kinds if issubclass(kind, int | float) and kind is not bool}
    return found if wanted == kinds else [cell for cell in found if type(cell) in wanted]


def total(cells: Iterable[Cell]) -> int | float:
    """The sum of the numbers among the cells, exact, and rounded once where it is not whole."""
    found = numbers(cells)
    if all(issubclass(kind, int) for kind in set(map(type, found))):
        return sum(found)
    if all(map(float(MAX_WHOLE).__ge__, map(abs, found))):
        return math.fsum(found)
    if not all(map(is_finite, found)):
        return sum(map(float, found))
    return _nearest(sum(map(Fraction, found), Fraction()))


def mean(found: Sequence[int | float]) -> int | float:
    """The mean of at least one number, rounded once."""
    summed = total(found)
    return _nearest(Fraction(summed) / len(found)) if is_finite(summed) else summed


def is_finite(number: int | float) -> bool:
    return isinstance(number, int) or math.isfinite(number)


def _nearest(number: Fraction) -> int | float:
    try:
        return float(number)
    except OverflowError:  # no float is that large, but a whole number is
        return int(number)
