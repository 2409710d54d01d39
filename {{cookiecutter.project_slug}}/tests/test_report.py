"""What a step may return, and what the page gets of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from {{ cookiecutter.package_name }}.report import (
    JSON_ROWS,
    MAX_COLUMNS,
    MAX_ROWS,
    Attachment,
    Cell,
    Chart,
    Column,
    Report,
    Table,
    to_json,
    unique,
)

REGION, SALES = Column("Region"), Column("Sales", "integer")
TEXT = st.text(st.characters())  # lone surrogates and controls, too
CELLS: st.SearchStrategy[Cell] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    TEXT,
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.times(),
    st.timedeltas(),
)


def table(
    rows: Any = (("North", 1),), chart: Chart | None = None, columns: Sequence[Column] = ()
) -> Table:
    return Table("Totals", columns or [REGION, SALES], rows, chart)


def json_cell(value: Cell) -> Any:
    report = Report("R", [Table("T", [Column("C", "number")], [[value]])])
    return to_json(report)["tables"][0]["rows"][0][0]


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (lambda: table([("North", 1), ("South",)]), "row 1 has 1 cells for 2 columns"),
        (lambda: table([("North", Decimal(1))]), "a cell is a Decimal"),
        (lambda: table([("North", ["list"])]), "a cell is a list"),
        (lambda: table(iter([("North", 1)])), "rows must be a list or a tuple"),
        (lambda: table([("a", 1)] * (MAX_ROWS + 1)), "1,048,576 rows"),
        (lambda: table([()], columns=[REGION, REGION]), "two columns are named 'Region'"),
        (lambda: Table("Totals", [], []), "it has 0 columns"),
        (
            lambda: table([], columns=[Column(str(n)) for n in range(MAX_COLUMNS + 1)]),
            "it has 16385 columns",
        ),
        (lambda: table(chart=Chart("C", "Land", "Sales")), "'Land' that it does not have"),
        (lambda: table(chart=Chart("C", "Region", "Price")), "'Price' that it does not have"),
        (lambda: table(chart=Chart("C", "Sales", "Region")), "'Region', which is not a column of"),
        (lambda: table(chart=Chart("C", "Region", "Sales", limit=0)), "no room for a bar"),
    ],
)
def test_a_mistake_in_a_table_is_named_where_it_is_made(mistake: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^Table 'Totals': .*\.$") as caught:
        mistake()
    assert sentence in str(caught.value)


def test_two_tables_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="'Totals'"):
        Report("R", [table(), table()])


def test_a_kind_that_does_not_exist_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="Column 'Price': kind 'money'"):
        Column("Price", "money")  # type: ignore[arg-type]  # the mistake under test


@given(rows=st.lists(st.tuples(CELLS, CELLS)), texts=st.tuples(TEXT, TEXT, TEXT, TEXT))
def test_any_report_is_strict_json(rows: list[tuple[Cell, Cell]], texts: tuple[str, ...]) -> None:
    title, note, name, heading = texts
    columns = [Column(heading), Column(heading + "2", "number")]
    chart = Chart(title, heading, heading + "2")
    answer = to_json(Report(title, [Table(name, columns, rows, chart)], notes=[note]))
    encoded = json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(encoded) == answer
    assert answer["tables"][0]["row_count"] == len(rows)


def test_the_page_gets_the_first_rows_and_the_true_number() -> None:
    rows = [(str(n), n) for n in range(JSON_ROWS + 7)]
    answer = to_json(Report("R", [table(rows)]))["tables"][0]
    assert answer["rows"] == [list(row) for row in rows[:JSON_ROWS]]
    assert answer["row_count"] == JSON_ROWS + 7


def test_the_page_gets_names_kinds_notes_files_and_the_chart(tmp_path: Any) -> None:
    file = Attachment("raw.csv", tmp_path / "raw.csv")
    shown = table(chart=Chart("Sales by region", "Region", "Sales", limit=3))
    assert to_json(Report("R", [shown, Table("Empty", [REGION], [])], ["A note"], [file])) == {
        "title": "R",
        "notes": ["A note"],
        "files": ["raw.csv"],
        "tables": [
            {
                "name": "Totals",
                "columns": [
                    {"name": "Region", "kind": "text"},
                    {"name": "Sales", "kind": "integer"},
                ],
                "rows": [["North", 1]],
                "row_count": 1,
                "chart": {
                    "kind": "bar",
                    "title": "Sales by region",
                    "labels": "Region",
                    "values": "Sales",
                    "limit": 3,
                },
            },
            {
                "name": "Empty",
                "columns": [{"name": "Region", "kind": "text"}],
                "rows": [],
                "row_count": 0,
                "chart": None,
            },
        ],
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 7, 5), "2024-02-29T07:05:00"),  # noqa: DTZ001  # as sheets have them
        (datetime(2024, 2, 29, 7, 5, tzinfo=UTC), "2024-02-29T07:05:00+00:00"),
        (time(7, 5), "07:05:00"),
        (timedelta(days=1, hours=2, minutes=3, seconds=4), "26:03:04"),
        (timedelta(seconds=-61), "-0:01:01"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (2**53, 2**53),
        (2**53 + 1, "9007199254740993"),
        (-(2**53) - 1, "-9007199254740993"),
        (True, True),
        (None, None),
        (0.1, 0.1),
        ("a\x00\ud800\ufffe\r\nb\tc", "a\nb\tc"),
    ],
)
def test_a_cell_in_json_is_exact_or_readable_text(value: Cell, shown: Any) -> None:
    answer = json_cell(value)
    assert answer == shown
    assert type(answer) is type(shown)


@given(names=st.lists(st.sampled_from(["A", "B", "A (2)", "A (2) (2)", ""])))
def test_unique_names_are_unique_in_order_and_leave_first_ones_alone(names: list[str]) -> None:
    made = unique(names)
    assert len(set(made)) == len(made) == len(names)
    assert all(new.startswith(old) for new, old in zip(made, names, strict=True))
    assert unique(set(names)) == list(set(names))
