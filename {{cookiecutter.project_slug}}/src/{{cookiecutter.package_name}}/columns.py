"""What is in a column of a sheet: its type, its counts and its statistics, exact at any size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import count
from operator import eq
from typing import Any

from .values import Cell
from .values import mean as mean_of

FAMILIES: dict[type, str] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "boolean",
    date: "date",
    datetime: "datetime",
    time: "time",
    timedelta: "duration",
}
LONGEST = 80
"""Longer text is shortened where it is shown as a minimum, a maximum or a category."""


@dataclass(frozen=True)
class Profile:
    """A column in figures.

    `type` is text, integer (whole numbers only), number, boolean, date, datetime, time, duration or
    empty; where there are several, the most frequent comes first: "number + text". `minimum`,
    `maximum` and `mean` are of the cells of that first type, and `others` counts the rest. Text is
    in the order of Unicode, False comes before True, and only numbers have a mean.
    """

    name: str
    type: str
    rows: int
    empty: int
    distinct: int
    minimum: Cell
    maximum: Cell
    mean: int | float | None
    others: int
    is_amount: bool
    """Whether its sum says something: numbers that are neither years nor count up one by one."""

    @property
    def is_numeric(self) -> bool:
        return self.type.startswith(("integer", "number"))

    @property
    def is_category(self) -> bool:
        """Text with 2 to 50 values that repeat."""
        repeats = self.distinct < self.rows - self.empty
        return self.type == "text" and 2 <= self.distinct <= 50 and repeats


def profile(name: str, cells: Sequence[Cell]) -> Profile:
    """Describe a column; a cell that is None is empty."""
    families = _families(cells)
    main_family, main = families[0] if families else ("empty", [])
    types = [_type(*family) for family in families]
    filled = sum(len(members) for _, members in families)
    return Profile(
        name=name,
        type=" + ".join(types) or "empty",
        rows=len(cells),
        empty=len(cells) - filled,
        distinct=sum(len(set(members)) for _, members in families),
        minimum=shorten(min(main, default=None)),
        maximum=shorten(max(main, default=None)),
        mean=mean_of(main) if main_family == "number" else None,
        others=filled - len(main),
        is_amount=main_family == "number" and not (types == ["integer"] and _only_names(main)),
    )


def group(cells: Sequence[Cell]) -> list[tuple[Cell, list[int]]]:
    """Each value, with the places where it stands; True and 1 are two values."""
    places: dict[Any, list[int]] = defaultdict(list)
    if bool not in map(type, cells):
        for place, cell in enumerate(cells):
            places[cell].append(place)
        return list(places.items())
    for place, cell in enumerate(cells):
        places[isinstance(cell, bool), cell].append(place)
    return [(value, found) for (_, value), found in places.items()]


def shorten(value: Cell) -> Cell:
    """The value; text on one line and at most `LONGEST` characters long."""
    if not isinstance(value, str):
        return value
    line = " ".join(value.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _families(cells: Sequence[Cell]) -> list[tuple[str, list[Any]]]:
    """The cells by kinds that compare with each other, the largest first."""
    kinds = set(map(type, cells)) - {type(None)}
    names = {FAMILIES[kind] for kind in kinds}
    if len(names) == 1:
        return [(names.pop(), [cell for cell in cells if cell is not None])]
    found: dict[str, list[Any]] = defaultdict(list)
    for cell in cells:
        if cell is not None:
            found[FAMILIES[type(cell)]].append(cell)
    if "datetime" in found:
        found["datetime"] += [datetime.combine(day, time()) for day in found.pop("date", [])]
    return sorted(found.items(), key=lambda family: -len(family[1]))


def _type(family: str, members: list[Any]) -> str:
    if family == "number" and (
        set(map(type, members)) == {int}
        or all(isinstance(n, int) or n.is_integer() for n in members)
    ):
        return "integer"
    return family


def _only_names(numbers: Sequence[int | float]) -> bool:
    """Whether whole numbers are years, or number the rows."""
    years = min(numbers) >= 1900 and max(numbers) <= 2100
    return years or all(map(eq, numbers, count(int(numbers[0]))))
