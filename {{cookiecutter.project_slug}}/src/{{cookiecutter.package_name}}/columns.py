"""What is in a column of a sheet: its type, its counts and its statistics, exact at any size."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import count
from operator import eq
from typing import Any

from .values import Cell, total
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
AT_ONCE = 3
BATCH = 1_000
"""Rows that a processor's cache holds."""
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


def cells_of(rows: Sequence[Sequence[Cell]], places: Sequence[int]) -> Iterator[list[Cell]]:
    """The cells of each of these columns, taken out of the rows a few columns at a time.

    Each walk through many rows waits for memory; all columns at once would take too much of it.
    """
    for first in range(0, len(places), AT_ONCE):
        found: list[list[Cell]] = [[] for _ in places[first : first + AT_ONCE]]
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            for place, cells in zip(places[first:], found, strict=False):
                cells += [row[place] for row in batch]
        while found:
            yield found.pop(0)


class Groups:
    """The rows of a sheet by what they have in one column: True and 1 are two values.

    `values` are in the order in which they come first; `counts` says how many rows have each.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        keys: Sequence[Any] = cells
        if bool in set(map(type, cells)):
            keys = [(isinstance(cell, bool), cell) for cell in cells]
        found = Counter(keys)
        self.values: list[Cell] = [key if keys is cells else key[1] for key in found]
        self.counts = list(found.values())
        lists: dict[Any, list[Cell]] = {key: [] for key in found}
        self._lists = list(lists.values())
        self._list_of_row = list(map(lists.__getitem__, keys))

    def totals(self, column: Sequence[Cell]) -> list[int | float]:
        """The sum of the numbers that each value's rows have in another column."""
        # Walked in its own order: places all over a long column would miss the processor's cache.
        deque(map(list.append, self._list_of_row, column), maxlen=0)
        sums = [*map(total, self._lists)]
        for cells in self._lists:
            cells.clear()
        return sums


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


def shorten(value: Cell) -> Cell:
    """The value; text on one line and at most `LONGEST` characters long."""
    if not isinstance(value, str):
        return value
    line = " ".join(value.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _families(cells: Sequence[Cell]) -> list[tuple[str, Sequence[Any]]]:
    """The cells by kinds that compare with each other, the largest first."""
    kinds = set(map(type, cells))
    names = {FAMILIES[kind] for kind in kinds - {type(None)}}
    filled = [cell for cell in cells if cell is not None] if type(None) in kinds else cells
    if len(names) == 1:
        return [(names.pop(), filled)]
    found: dict[str, list[Any]] = defaultdict(list)
    for cell in filled:
        found[FAMILIES[type(cell)]].append(cell)
    if "datetime" in found:
        found["datetime"] += [datetime.combine(day, time()) for day in found.pop("date", [])]
    return sorted(found.items(), key=lambda family: -len(family[1]))


def _type(family: str, members: Sequence[Any]) -> str:
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
