"""What a step may return, and what the page gets of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from {{ cookiecutter.package_name }} import jobs
from {{ cookiecutter.package_name }}.report import (
    MAX_COLUMNS,
    MAX_ROWS,
    Attachment,
    Chart,
    Column,
    Figure,
    Report,
    Table,
    Total,
    unique,
)
from {{ cookiecutter.package_name }}.report_json import CELL_CHARS, JSON_CHARS, JSON_ROWS, to_json
from {{ cookiecutter.package_name }}.review import Review, ReviewColumn
from {{ cookiecutter.package_name }}.values import Cell, file_names

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
        (lambda: table(["NS", "AB"]), "a row is a list of cells: write ['NS']"),
        (lambda: table(iter([("North", 1)])), "rows must be a list or a tuple"),
        (lambda: table([("a", 1)] * (MAX_ROWS + 1)), "1,048,575 rows"),
        (lambda: table([()], columns=[REGION, REGION]), "two columns are named 'Region'"),
        (lambda: Table("Totals", [], []), "it has 0 columns"),
        (
            lambda: table([], columns=[Column(str(n)) for n in range(MAX_COLUMNS + 1)]),
            "it has 16385 columns",
        ),
        (lambda: table(chart=Chart("C", "Land", "Sales")), "'Land' that it does not have"),
        (lambda: table(chart=Chart("C", "Region", "Price")), "'Price' that it does not have"),
        (lambda: table(chart=Chart("C", "Sales", "Region")), "'Region', which is not a column of"),
        (lambda: table(chart=Chart("C", "Region", "Sales", limit=0)), "no room for a row"),
        (
            lambda: table(chart=Chart("C", "Region", "Sales", kind="radar")),  # type: ignore[arg-type]
            "kind 'radar'",
        ),
        (
            lambda: table(chart=Chart("C", "Region", ["Sales"] * 2, kind="pie")),
            "draws 2 columns, not 1 to 1",
        ),
        (lambda: table(chart=Chart("C", "Region", [])), "draws 0 columns"),
    ],
)
def test_a_mistake_in_a_table_is_named_where_it_is_made(mistake: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^Table 'Totals': .*\.$") as caught:
        mistake()
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("made", "said"), [(None, "returned nothing"), ({"title": "R"}, "returned a dict")]
)
def test_a_step_that_returns_no_report_is_told_what_to_return(
    monkeypatch: pytest.MonkeyPatch, made: Any, said: str
) -> None:
    monkeypatch.setattr(jobs, "process", lambda *_: made)
    monkeypatch.setattr(jobs, "finish", lambda *_: made)
    with pytest.raises(TypeError, match=f"^process {said}. End it with `return Report"):
        jobs.processed(Mock(), [], Mock())
    with pytest.raises(TypeError, match=f"^finish {said}. End it with `return Report"):
        jobs.finished(Review("R", [ReviewColumn("A")], []), Mock())


def test_two_tables_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="'Totals'"):
        Report("R", [table(), table()])


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (lambda: Column("Price", "money"), "Column 'Price': kind 'money' is none of"),  # type: ignore[arg-type]
        (lambda: Column("Price", "number", "median"), "total 'median' is none of"),  # type: ignore[arg-type]
        (lambda: Column("Price", "text", "sum"), "a column of text has no sum"),
        (lambda: Column("Price", "integer", decimals=2), "has decimals, not a integer"),
        (lambda: Column("Price", "number", decimals=11), "11 decimals are not 0 to 10"),
        (lambda: Column("Price", "percent", unit="EUR"), "has a unit, not a percent"),
        (lambda: Figure("Orders", 1, "money"), "Figure 'Orders': kind 'money'"),  # type: ignore[arg-type]
        (lambda: Figure("Orders", Decimal(1)), "cannot show a Decimal"),  # type: ignore[arg-type]
        (lambda: Attachment("a.csv", Path("missing")), "Attachment 'a.csv': missing is not a file"),
        (lambda: Attachment("a.csv", "text"), "'a.csv': its content is a str. Give bytes"),  # type: ignore[arg-type]
        (lambda: Attachment("a.csv", None), "'a.csv': its content is a NoneType"),  # type: ignore[arg-type]
        (lambda: Report("R", notes="No tax."), r"Report 'R': .* write notes=\['No tax.'\]"),
        (lambda: Report("R", warnings="Late."), r"Report 'R': .* write warnings=\['Late.'\]"),
        (lambda: Report("R", files=[Attachment("a", b"")] * 2), "Two files are named 'a'"),
    ],
)
def test_another_mistake_is_named_where_it_is_made(mistake: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        mistake()


@pytest.mark.parametrize(
    ("total", "expected"),
    [("sum", 1111.5), ("mean", 370.5), ("min", 0.5), ("max", 1000), ("count", 4), (None, None)],
)
def test_a_total_is_of_the_numbers_and_a_count_of_all_that_is_there(
    total: Total | None, expected: Any
) -> None:
    rows: list[tuple[Cell, ...]] = [("a", 1000), ("b", 0.5), ("c", 111), ("d", "n/a"), ("e", None)]
    made = Table("T", [Column("Key"), Column("Value", "number", total)], rows).totals()
    assert (made[1] if made else None) == expected


def test_totals_are_over_all_rows_and_say_what_they_are() -> None:
    rows = [(str(n), n, n / 2) for n in range(JSON_ROWS + 1)]
    columns = [Column("Key"), Column("Whole", "integer", "sum"), Column("Half", "number")]
    shown = to_json(Report("R", [Table("T", columns, rows)]))["tables"][0]
    assert shown["totals"] == ["Total", sum(range(JSON_ROWS + 1)), None]
    columns[2] = Column("Half", "number", "max")
    assert Table("T", columns, rows).totals() == ["Totals", 125250, 250.0]
    columns = [Column("Whole", "integer", "sum"), Column("Half", "number", "sum")]
    assert Table("T", columns, [(1, 2), (3, 4)]).totals() == [4, 6]


@pytest.mark.parametrize("total", ["sum", "mean", "min", "max", "count"])
@given(cells=st.lists(CELLS))
def test_any_column_has_a_total(total: Total, cells: list[Cell]) -> None:
    made = Table("T", [Column("C", "number", total)], [[cell] for cell in cells])
    json.dumps(to_json(Report("R", [made])), allow_nan=False)


def test_a_pie_with_a_share_below_zero_is_drawn_as_bars() -> None:
    def kind(value: float, limit: int = 2) -> Any:
        chart = Chart("C", "Region", "Sales", kind="pie", limit=limit)
        made = table([("a", 1), ("b", value)], chart)
        return to_json(Report("R", [made]))["tables"][0]["chart"]["kind"]

    assert kind(2) == "pie"
    assert kind(-2) == "bar"
    assert kind(-2, limit=1) == "pie"


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


def test_the_page_gets_as_much_of_long_texts_as_it_can_hold() -> None:
    long, columns = "x" * 32_000, [Column(f"{n} {'y' * 32_000}") for n in range(100)]
    one, other = (Table(name, columns, [[long] * 100] * JSON_ROWS) for name in ("One", "Other"))
    answer = to_json(Report("R", [one, other], figures=[Figure("F", long)]))
    assert len(json.dumps(answer)) < 1.1 * JSON_CHARS
    first, second = answer["tables"]
    assert first["rows"] == second["rows"]
    assert 1 < len(first["rows"]) < first["row_count"] == JSON_ROWS
    cut = "x" * CELL_CHARS + "…"
    assert first["rows"][0][0] == answer["figures"][0]["value"] == cut
    wide = Table("T", [Column(str(n)) for n in range(9000)], [[long] * 9000] * 2)
    assert len(to_json(Report("R", [wide]))["tables"][0]["rows"]) == 1


def test_the_page_gets_all_that_is_in_a_report(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_bytes(b"1,2")
    files = [Attachment("raw.csv", tmp_path / "raw.csv"), Attachment("a.bin", b"bytes")]
    figures = [Figure("Revenue", 1.5, decimals=1, unit="EUR")]
    shown = table(chart=Chart("Sales by region", "Region", "Sales", limit=3))
    tables = [shown, Table("Empty", [REGION], [])]
    assert to_json(Report("R", tables, ["A note"], files, figures, ["Mind this"])) == {
        "title": "R",
        "figures": [
            {"label": "Revenue", "value": 1.5, "kind": "number", "decimals": 1, "unit": "EUR"}
        ],
        "warnings": ["Mind this"],
        "notes": ["A note"],
        "workbook": True,
        "files": [{"name": "raw.csv", "size": 3}, {"name": "a.bin", "size": 5}],
        "tables": [
            {
                "name": "Totals",
                "columns": [
                    {"name": "Region", "kind": "text", "decimals": None, "unit": ""},
                    {"name": "Sales", "kind": "integer", "decimals": None, "unit": ""},
                ],
                "rows": [["North", 1]],
                "row_count": 1,
                "totals": None,
                "chart": {
                    "kind": "bar",
                    "title": "Sales by region",
                    "labels": "Region",
                    "values": ["Sales"],
                    "limit": 3,
                },
            },
            {
                "name": "Empty",
                "columns": [{"name": "Region", "kind": "text", "decimals": None, "unit": ""}],
                "rows": [],
                "row_count": 0,
                "totals": None,
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


def test_files_of_one_name_keep_their_suffix() -> None:
    names = ["nord/x.csv", "süd/X.csv", "x (2).csv", "x.csv", "a", "b/a", ".env", "c/.env"]
    assert file_names(names) == [
        *("x.csv", "X (2).csv", "x (2) (2).csv", "x (3).csv"),
        *("a", "a (2)", ".env", ".env (2)"),
    ]


def test_a_report_may_be_nothing_but_its_files() -> None:
    file = Attachment("a.pdf", b"%PDF")
    assert not to_json(Report("R", files=[file]))["workbook"]
    assert to_json(Report("R"))["workbook"]
    assert to_json(Report("R", files=[file], figures=[Figure("F", 1)]))["workbook"]


@given(names=st.lists(st.sampled_from(["A", "B", "A (2)", "A (2) (2)", ""])))
def test_unique_names_are_unique_in_order_and_leave_first_ones_alone(names: list[str]) -> None:
    made = unique(names)
    assert len(set(made)) == len(made) == len(names)
    assert all(new.startswith(old) for new, old in zip(made, names, strict=True))
    assert unique(set(names)) == list(set(names))
