"""Figures of a column, checked against exact fractions and plain counting."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from {{ cookiecutter.package_name }}.columns import (
    AT_ONCE,
    BATCH,
    LONGEST,
    Groups,
    cells_of,
    profile,
    shorten,
)
from {{ cookiecutter.package_name }}.values import Cell, total

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.lists(st.integers() | FLOATS | st.integers(10**300, 10**320), min_size=1)
CELLS = st.lists(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        FLOATS,
        st.text(max_size=3),
        st.dates(date(2024, 1, 1), date(2024, 1, 3)),
        st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 3)),  # noqa: DTZ001  # as in sheets
        st.times(),
        st.timedeltas(),
    )
)


def nearest(number: Fraction) -> int | float:
    try:
        return float(number)
    except OverflowError:
        return int(number)


@given(numbers=NUMBERS)
def test_a_sum_is_exact_and_rounded_once(numbers: list[int | float]) -> None:
    exact = sum((Fraction(number) for number in numbers), Fraction())
    whole = all(isinstance(number, int) for number in numbers)
    assert total(numbers) == (exact if whole else nearest(exact))


def test_a_sum_where_adding_in_order_goes_wrong() -> None:
    assert total([0.1] * 10) == 1.0
    assert total([1e16, 1.0, -1e16]) == 1.0
    assert total([2**60, 0.5, -(2**60)]) == 0.5
    assert total([1e308, 1e308, -1e308]) == 1e308
    assert total([1e308, 1e308]) == 2 * int(1e308)
    assert total([10**400, 1]) == 10**400 + 1


def test_a_sum_is_of_numbers_only() -> None:
    assert total([1, True, "2", None, date(2024, 1, 1), 3]) == 4
    assert total([]) == 0


@given(numbers=NUMBERS)
def test_the_figures_of_numbers(numbers: list[int | float]) -> None:
    found = profile("N", [None, *numbers])
    exact = [Fraction(number) for number in numbers]
    assert found.type == ("integer" if all(n.denominator == 1 for n in exact) else "number")
    assert (found.rows, found.empty, found.distinct) == (len(numbers) + 1, 1, len(set(exact)))
    assert [found.minimum, found.maximum] == [min(exact), max(exact)]
    mean = nearest(sum(exact, Fraction()) / len(exact))
    assert found.mean == pytest.approx(mean, rel=1e-15, abs=5e-324)
    assert found.others == 0
    assert found.is_numeric


@given(cells=CELLS)
def test_every_cell_is_counted_once_whatever_it_is(cells: list[Cell]) -> None:
    def family(cell: Cell) -> str:
        if isinstance(cell, bool):
            return "boolean"
        if isinstance(cell, int | float):
            return "number"
        if isinstance(cell, datetime) or (isinstance(cell, date) and moments):
            return "datetime"
        return {str: "text", date: "date", time: "time", timedelta: "duration"}[type(cell)]

    def value(cell: Any) -> Any:
        if moments and type(cell) is date:
            return datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001  # as in sheets
        return cell

    moments = any(isinstance(cell, datetime) for cell in cells)
    filled = [cell for cell in cells if cell is not None]
    kinds = Counter(family(cell) for cell in filled)
    found = profile("C", cells)
    names = found.type.replace("integer", "number").split(" + ")
    assert (found.rows, found.empty) == (len(cells), len(cells) - len(filled))
    assert found.distinct == len({(family(cell), value(cell)) for cell in filled})
    if not filled:
        assert (names, found.minimum, found.maximum, found.mean) == (["empty"], None, None, None)
        return
    assert sorted(names) == sorted(kinds)
    assert [kinds[name] for name in names] == sorted(kinds.values(), reverse=True)
    assert found.others == len(filled) - kinds[names[0]]
    main = [value(cell) for cell in filled if family(cell) == names[0]]
    assert (found.minimum, found.maximum) == (shorten(min(main)), shorten(max(main)))
    assert (found.mean is None) == (names[0] != "number")


@pytest.mark.parametrize("height", [0, 1, BATCH, 2 * BATCH + 1])
@pytest.mark.parametrize("width", [0, 1, AT_ONCE, 2 * AT_ONCE + 1])
def test_the_cells_of_columns_are_those_of_all_rows_in_order(height: int, width: int) -> None:
    rows = [[(row, place) for place in range(width + 1)] for row in range(height)]
    places = [*range(width, 0, -1)]
    found = list(cells_of(rows, places))  # type: ignore[arg-type]  # any value tells the place
    assert found == [[row[place] for row in rows] for place in places]


@given(cells=CELLS)
def test_groups_hold_every_row_once_under_its_value(cells: list[Cell]) -> None:
    groups = Groups(cells)
    places = [bits(mask) for mask in groups.totals([1 << place for place in range(len(cells))])]
    assert sorted(place for found in places for place in found) == list(range(len(cells)))
    assert [len(found) for found in places] == groups.counts
    assert sorted(places) == places, "a value comes where its first row does"
    for value, found in zip(groups.values, places, strict=True):
        assert all(cells[place] == value for place in found)
        assert len({isinstance(cells[place], bool) for place in found}) == 1
    assert len({(isinstance(value, bool), value) for value in groups.values}) == len(places)
    assert groups.totals([1] * len(cells)) == groups.counts, "nothing is left of a column before"


def bits(mask: float) -> list[int]:
    return [place for place in range(int(mask).bit_length()) if int(mask) >> place & 1]


@pytest.mark.parametrize(
    ("cells", "is_amount"),
    [
        ([3, 1, 2], True),
        ([10, 20, 30], True),
        ([1999, 2024, 2024], False),
        ([1001, 1002, 1003], False),
        ([1999, 2024, 2024.5], True),
        ([1999, 2024, "n/a"], True),
        (["a", "b"], False),
        ([None, None], False),
        ([True, False], False),
    ],
)
def test_years_and_running_numbers_are_no_amounts(cells: list[Cell], is_amount: bool) -> None:
    assert profile("C", cells).is_amount is is_amount


@pytest.mark.parametrize(
    ("cells", "is_category"),
    [
        (["a", "b", "a"], True),
        (["a", "b"], False),
        (["a", "b", None], False),
        (["a", "a"], False),
        ([str(n) for n in range(50)] * 2, True),
        ([str(n) for n in range(51)] * 2, False),
        (["a", "b", "a", 1], False),
        ([1, 2, 1], False),
    ],
)
def test_a_category_is_text_with_two_to_fifty_values_that_repeat(
    cells: list[Cell], is_category: bool
) -> None:
    assert profile("C", cells).is_category is is_category


def test_long_text_is_shortened_where_it_is_shown() -> None:
    assert shorten("a\n b") == "a b"
    assert shorten("x" * LONGEST) == "x" * LONGEST
    assert shorten("x" * 100_000) == "x" * (LONGEST - 1) + "…"
    assert profile("C", ["x" * 100_000]).minimum == "x" * (LONGEST - 1) + "…"
    assert shorten(5) == 5
