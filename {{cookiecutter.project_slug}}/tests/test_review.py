"""Reviews as a step builds them: what they hold, and what is a mistake in one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from {{ cookiecutter.package_name }}.review import MAX_CHOICES, MAX_ROWS, Review, ReviewColumn


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "colour"}, "kind 'colour' is none of"),
        ({"kind": "choice"}, "choices belong to"),
        ({"choices": ["a"]}, "choices belong to"),
        ({"kind": "choice", "choices": ["a", "a"]}, "'a' twice"),
        ({"kind": "choice", "choices": ["a", ""]}, "none of them empty"),
        ({"kind": "choice", "choices": [*map(str, range(MAX_CHOICES + 1))]}, "201 choices"),
        ({"kind": "choice", "choices": "abc"}, "write choices=['abc']"),
        ({"least": 1}, "1 is no bound of a text"),
        ({"kind": "integer", "most": 1.5}, "1.5 is no bound"),
        ({"kind": "date", "least": "2025-01-01"}, "is no bound of a date"),
        ({"required": True}, "must be editable"),
    ],
)
def test_a_column_that_cannot_be_is_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"^Column 'A': ") as caught:
        ReviewColumn("A", **given)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("text", 1),
        ("choice", "c"),
        ("integer", 1.5),
        ("integer", True),
        ("number", float("nan")),
        ("number", 2**60),
        ("date", "2025-01-01"),
        ("date", datetime(2025, 1, 1, tzinfo=UTC)),
        ("boolean", 1),
    ],
)
def test_a_cell_that_nobody_could_have_entered_is_told(kind: Any, cell: Any) -> None:
    choices = ("a", "b") if kind == "choice" else ()
    with pytest.raises(ValueError, match="Review 'R': row 0, column 'A': "):
        Review("R", [ReviewColumn("A", kind, True, choices)], [[cell]])
    assert Review("R", [ReviewColumn("A", kind, True, choices)], [[None]]).rows == [[None]]


@pytest.mark.parametrize(
    ("columns", "rows", "said"),
    [
        ([], [], "0 columns"),
        (["A", "A"], [], "two columns are named 'A'"),
        (["A"], [["x", "y"]], "row 0 has 2 cells for 1 columns"),
        (["A", "B"], ["ab"], "a row is a list of cells: write ['ab']"),
        (["A"], [[object()]], "a cell is a object"),
        (["A"], [["x"]] * (MAX_ROWS + 1), "10,001 rows, more than 10,000"),
    ],
)
def test_a_review_that_cannot_be_is_told(columns: list[str], rows: Any, said: str) -> None:
    with pytest.raises(ValueError, match="Review 'R': ") as caught:
        Review("R", [ReviewColumn(name) for name in columns], rows)
    assert said in str(caught.value)


def test_notes_are_a_list() -> None:
    with pytest.raises(ValueError, match=r"write notes=\['Look closely.'\]"):
        Review("R", [ReviewColumn("A")], [], notes="Look closely.")


def test_what_is_missing_is_known() -> None:
    columns = [ReviewColumn("A", editable=True, required=True), ReviewColumn("B", editable=True)]
    review = Review("R", columns, [["x", None], [None, "y"], ["", None]])
    assert review.missing() == [(1, "A"), (2, "A")]


def test_dates_have_bounds_too() -> None:
    column = ReviewColumn("A", "date", True, least=date(2025, 1, 1), most=date(2025, 12, 31))
    assert column.parse("2025-06-01") == date(2025, 6, 1)
    with pytest.raises(ValueError, match="It must be 2025-01-01 at least"):
        column.parse("2024-12-31")
