"""The step that ships: every figure is checked against another calculation over the same rows."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from pydantic import ValidationError

from {{ cookiecutter.package_name }} import pipeline, step
from {{ cookiecutter.package_name }} import report as report_module
from {{ cookiecutter.package_name }}.pipeline import Options, process
from {{ cookiecutter.package_name }}.report import Report
from {{ cookiecutter.package_name }}.report_json import to_json
from {{ cookiecutter.package_name }}.step import Cancelled, SilentProgress, UserError
from {{ cookiecutter.package_name }}.values import Cell
from {{ cookiecutter.package_name }}.workbook import write_workbook

SAMPLE = Path(step.__file__).parent / "static" / "sample.xlsx"
ORDERS: list[list[Cell]] = [
    ["Order", "Region", "Units", "Price"],
    ["A-1", "North", 3, 0.1],
    ["A-2", "South", 5, 0.2],
    ["A-3", "North", None, 0.5],
    ["A-4", None, 4, 1.5],
]
"""The expected figures of the tests below were worked out by hand."""


class Recorder:
    """A `Progress` that remembers, and that cancels at the call where it is told to."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.calls: list[tuple[float, str]] = []
        self.cancel_at = cancel_at

    def __call__(self, done: float, total: float, message: str | None = None) -> None:
        self.calls.append((done / total, message or ""))
        if len(self.calls) == self.cancel_at:
            raise Cancelled

    def log(self, line: str) -> None:
        raise AssertionError(line)


def saved(path: Path, **sheets: Sequence[Sequence[Cell]]) -> Path:
    """A workbook with these sheets; the first row of each is its header."""
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path


def run(*files: Path, **options: Any) -> Report:
    return process(files, Options(**options), SilentProgress())


def table(report: Report, name: str) -> list[dict[str, Cell]]:
    [found] = [table for table in report.tables if table.name == name]
    return [dict(zip((c.name for c in found.columns), row, strict=True)) for row in found.rows]


def names(report: Report) -> list[str]:
    return [table.name for table in report.tables]


def line(report: Report, column: str, sheet: str = "Orders") -> dict[str, Cell]:
    """The line of a column in the table of columns, without the names of file and sheet."""
    [found] = [
        row for row in table(report, "Columns") if (row["Sheet"], row["Column"]) == (sheet, column)
    ]
    return dict(list(found.items())[3:])


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    return saved(tmp_path / "orders.xlsx", Orders=ORDERS)


def test_every_column_of_every_sheet_is_described(tmp_path: Path) -> None:
    sheet: list[list[Cell]] = [
        ["Day", "Paid"],
        [date(2024, 5, 1), True],
        [date(2024, 4, 1), False],
        [None, True],
    ]
    report = run(saved(tmp_path / "orders.xlsx", Orders=ORDERS, Days=sheet))
    assert [(row["Sheet"], row["Column"]) for row in table(report, "Columns")] == [
        *(("Orders", name) for name in ORDERS[0]),
        ("Days", "Day"),
        ("Days", "Paid"),
    ]
    assert {row["File"] for row in table(report, "Columns")} == {"orders.xlsx"}
    names = ["Type", "Rows", "Empty", "Distinct", "Minimum", "Maximum", "Mean"]
    for column, figures in {
        "Order": ["text", 4, 0, 4, "A-1", "A-4", None],
        "Region": ["text", 4, 1, 2, "North", "South", None],
        "Units": ["integer", 4, 1, 3, 3, 5, 4],
        "Price": ["number", 4, 0, 4, 0.1, 1.5, 0.575],
    }.items():
        assert line(report, column) == dict(zip(names, figures, strict=True))
    day = ["date", 3, 1, 2, date(2024, 4, 1), date(2024, 5, 1), None]
    assert line(report, "Day", "Days") == dict(zip(names, day, strict=True))
    paid = ["boolean", 3, 0, 2, False, True, None]
    assert line(report, "Paid", "Days") == dict(zip(names, paid, strict=True))


def test_totals_are_by_the_first_text_with_values_that_repeat(orders: Path) -> None:
    report = run(orders)
    assert table(report, "Orders by Region") == [
        {"Region": "(empty)", "Rows": 1, "Sum of Units": 4, "Sum of Price": 1.5},
        {"Region": "North", "Rows": 2, "Sum of Units": 3, "Sum of Price": 0.6},
        {"Region": "South", "Rows": 1, "Sum of Units": 5, "Sum of Price": 0.2},
    ]
    chart = report.tables[0].chart
    assert chart is not None
    assert (chart.labels, chart.values, chart.limit) == ("Region", "Sum of Price", 10)
    assert chart.title == "Sum of Price by Region"


def test_the_person_chooses_the_category_and_the_bars(orders: Path) -> None:
    report = run(orders, category=" units ", largest=3)
    assert names(report) == ["Orders by Units", "Columns"]
    assert [row["Units"] for row in table(report, "Orders by Units")] == [4, "(empty)", 5, 3]
    assert "Sum of Units" not in table(report, "Orders by Units")[0]
    assert report.tables[0].chart is not None
    assert report.tables[0].chart.limit == 3
    assert report.tables[0].chart.title == "Sum of Price by Units, the 3 largest of 4"


def test_a_category_is_found_in_any_letter_case(orders: Path) -> None:
    assert names(run(orders, category="REGION"))[0] == "Orders by Region"


def test_a_sheet_without_numbers_is_charted_by_its_rows(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [["Year", "Colour"], [2023, "red"], [2024, "blue"], [2024, "red"]]
    report = run(saved(tmp_path / "a.xlsx", S=rows))
    assert report.tables[0].chart is not None
    assert report.tables[0].chart.values == "Rows"
    assert [row["Colour"] for row in table(report, "S by Colour")] == ["red", "blue"]


def test_columns_named_like_ours_are_told_apart(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [["Rows", "Sum of A", "A"], ["x", 1, 2], ["x", 1, 2], ["y", 1, 2]]
    report = run(saved(tmp_path / "a.xlsx", S=rows))
    assert list(table(report, "S by Rows")[0]) == [
        "Rows",
        "Rows (2)",
        "Sum of Sum of A",
        "Sum of A",
    ]


def test_a_category_that_no_sheet_has_is_answered_with_the_columns_there_are(orders: Path) -> None:
    with pytest.raises(UserError) as caught:
        run(orders, category="Land")
    assert str(caught.value) == (
        "No sheet has a column 'Land'. There are: Order, Region, Units, Price."
    )


def test_a_wide_file_names_only_some_of_its_columns(tmp_path: Path) -> None:
    header: list[Cell] = [f"C{number}" for number in range(200)]
    file = saved(tmp_path / "wide.xlsx", S=[header, [*range(200)]])
    with pytest.raises(UserError, match=r"C0, C1, .*, C19 and 180 more\.$"):
        run(file, category="Land")
    assert len(table(run(file), "Columns")) == 200


def test_the_widest_sheet_there_is_gives_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (pipeline, report_module):
        monkeypatch.setattr(module, "MAX_COLUMNS", 12)
    rows: list[list[Cell]] = [[f"c{n}" for n in range(12)]]
    rows += [[word, *[1] * 11] for word in "aab"]
    report = run(saved(tmp_path / "wide.xlsx", S=rows))
    totals = report.tables[0]
    assert len(totals.columns) == 12
    assert totals.rows[0][:3] == ("a", 2, 2)


def test_a_category_with_more_values_than_a_worksheet_has_rows_is_refused(
    orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "MAX_ROWS", 4)
    assert process([orders], Options(category="Order"), SilentProgress()).tables
    monkeypatch.setattr(pipeline, "MAX_ROWS", 3)
    with pytest.raises(UserError, match=r"Order has more values in .+ Choose another column"):
        process([orders], Options(category="Order"), SilentProgress())


def test_sheets_without_the_category_are_named(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.xlsx", Orders=ORDERS, List=[["Name"], ["a"], ["b"]])
    report = run(file, category="Region")
    assert names(report) == ["Orders by Region", "Columns"]
    assert "Without a column to total by: List." in report.notes


def test_cells_that_are_no_numbers_are_named_and_in_no_sum(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [["Kind", "Price"], ["a", 1.5], ["b", "n/a"], ["a", 2], ["b", 4]]
    report = run(saved(tmp_path / "a.xlsx", S=rows))
    assert table(report, "S by Kind") == [
        {"Kind": "b", "Rows": 2, "Sum of Price": 4},
        {"Kind": "a", "Rows": 2, "Sum of Price": 3.5},
    ]
    price = line(report, "Price", "S")
    assert (price["Type"], price["Minimum"], price["Mean"]) == ("number + text", 1.5, 2.5)
    assert "S: cells without a number are in no sum or mean: Price (1)." in report.notes


def test_s27_what_the_reader_left_out_is_in_a_table_and_in_the_notes(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.xlsx", Orders=ORDERS, Blank=[])
    report = run(file)
    [unread] = table(report, "Not read")
    assert (unread["File"], "Blank" in str(unread["What"])) == ("a.xlsx", True)
    assert any(str(unread["What"]) in note for note in report.notes)


def test_a_report_on_what_was_read_whole_says_so(orders: Path) -> None:
    report = run(orders)
    assert report.title == "Report on orders.xlsx"
    assert report.notes[0] == "Read 1 sheet with 4 rows."
    assert report.notes[-1] == "Everything in the files was read."
    assert "Not read" not in names(report)


def test_s27_the_notes_count_what_was_read(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("Day\n" + "Monday\n" * 1200)
    other = saved(tmp_path / "b.xlsx", S=[["Day"], ["Monday"]])
    assert run(file, other).notes[0] == "Read 2 sheets with 1,201 rows."


def test_hidden_sheets_are_read_unless_the_person_says_no(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.xlsx", Orders=ORDERS, Secret=[["Name"], ["a"]])
    book = load_workbook(file)
    book["Secret"].sheet_state = "hidden"
    book.save(file)
    assert line(run(file), "Name", "Secret")["Rows"] == 1
    report = run(file, hidden=False)
    assert {row["Sheet"] for row in table(report, "Columns")} == {"Orders"}
    assert table(report, "Not read") == [
        {"File": "a.xlsx", "Sheet": "Secret", "What": "The sheet is hidden and was left out."}
    ]


def test_s27_a_file_that_cannot_be_read_does_not_stop_the_others(
    orders: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(orders.read_bytes()[:1000])
    report = run(broken, orders)
    assert report.title == "Report on 2 files"
    assert names(report) == ["Orders by Region", "Columns", "Not read"]
    [unread] = table(report, "Not read")
    assert unread["File"] == "broken.xlsx"
    assert unread["What"] in report.notes


def test_s26_files_that_cannot_be_read_at_all_are_an_error_that_names_them(tmp_path: Path) -> None:
    for name in ("one.xlsx", "two.xlsx"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 but nothing more")
    with pytest.raises(UserError, match=r"^one\.xlsx [^ ]"):
        run(tmp_path / "one.xlsx")
    with pytest.raises(UserError, match=r"one\.xlsx.*two\.xlsx"):
        run(tmp_path / "one.xlsx", tmp_path / "two.xlsx")
    with pytest.raises(UserError, match="no file"):
        run()


def test_sheets_of_one_name_in_several_files_are_told_apart(tmp_path: Path) -> None:
    files = [saved(tmp_path / f"{name}.xlsx", Orders=ORDERS) for name in ("jan", "feb")]
    (tmp_path / "copy").mkdir()
    report = run(*files, saved(tmp_path / "copy" / "jan.xlsx", Orders=ORDERS))
    assert names(report) == [
        "Orders by Region (jan.xlsx)",
        "Orders by Region (feb.xlsx)",
        "Orders by Region (jan.xlsx) (2)",
        "Columns",
    ]


def test_a_header_without_rows_gives_a_report(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("Region,Sales\n")
    report = run(file, category="Region")
    assert table(report, "a by Region") == []
    assert line(report, "Sales", "a")["Type"] == "empty"
    write_workbook(report, tmp_path / "report.xlsx")


def some_rows(chance: Random) -> list[tuple[str | None, Cell, Cell]]:
    """Rows of a category and two amounts, some of which are missing or have cents."""

    def amount() -> Cell:
        whole = chance.randint(-(10**9), 10**9)
        return chance.choice([None, whole, whole / 100])

    return [(chance.choice(["a", "b", "c", None]), amount(), amount()) for _ in range(60)]


@pytest.mark.parametrize("seed", range(5))
def test_totals_agree_with_adding_up_fractions(tmp_path: Path, seed: int) -> None:
    rows: list[Any] = [("a", 1, 2), *some_rows(Random(seed)), ("a", 7, 0.25), ("b", None, -3)]
    file = saved(tmp_path / "t.xlsx", T=[["Key", "X", "Y"], *rows])
    expected: dict[str, list[Fraction]] = defaultdict(lambda: [Fraction()] * 3)
    for key, x, y in rows:
        if (key, x, y) != (None, None, None):  # a blank row is no row
            added = [Fraction(1), Fraction(x or 0), Fraction(y or 0)]
            known = expected[key or "(empty)"]
            expected[key or "(empty)"] = [a + b for a, b in zip(known, added, strict=True)]
    found = table(run(file), "T by Key")
    assert {row["Key"]: [row["Rows"], row["Sum of X"], row["Sum of Y"]] for row in found} == {
        key: [int(count), float(x), float(y)] for key, (count, x, y) in expected.items()
    }
    values = [row["Sum of Y"] for row in found]
    assert values == sorted(values, key=lambda value: float(str(value)), reverse=True)


def test_progress_only_rises_and_says_where_it_is(orders: Path, tmp_path: Path) -> None:
    progress = Recorder()
    other = saved(tmp_path / "other.xlsx", Days=[["Day"], ["Mon"]], Orders=ORDERS)
    process([orders, other], Options(), progress)
    places = [place for place, _ in progress.calls]
    assert places == sorted(places)
    assert places[0] >= 0
    assert places[-1] <= 1
    messages = dict.fromkeys(message for _, message in progress.calls)
    assert "Reading other.xlsx" in messages
    assert [text for text in messages if "Price" in text] == [
        "Profiling Orders: Price",
        "Adding up Orders: Price",
    ]


def test_cancelling_ends_the_step_wherever_it_is(orders: Path) -> None:
    complete = Recorder()
    process([orders], Options(), complete)
    for number in range(1, len(complete.calls) + 1):
        progress = Recorder(cancel_at=number)
        with pytest.raises(Cancelled):
            process([orders], Options(), progress)
        assert len(progress.calls) == number


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"largest": 0}, "largest"),
        ({"largest": 51}, "largest"),
        ({"largest": "many"}, "largest"),
        ({"category": 5}, "category"),
        ({"category": "x" * 201}, "category"),
        ({"hidden": "perhaps"}, "hidden"),
        ({"other": 1}, "other"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Options.model_validate(options)
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


def test_the_form_can_explain_every_option() -> None:
    properties = Options.model_json_schema()["properties"]
    assert list(properties) == ["category", "largest", "hidden"]
    assert all(option["title"] and option["description"] for option in properties.values())


def test_the_sample_gives_a_report_worth_showing(tmp_path: Path) -> None:
    report = run(SAMPLE)
    assert SAMPLE.stat().st_size < 25_000
    assert names(report) == ["Orders by Region", "Columns"]
    assert len(table(report, "Orders by Region")) == 5
    assert report.tables[0].chart is not None
    assert report.tables[0].chart.values == "Sum of Amount"
    sheet = load_workbook(SAMPLE)["Orders"]
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for row in sheet.iter_rows(min_row=2, values_only=True):
        amounts[str(row[2])] += Decimal(str(row[8]))
    found = {row["Region"]: row["Sum of Amount"] for row in table(report, "Orders by Region")}
    assert found == pytest.approx({region: float(amount) for region, amount in amounts.items()})
    write_workbook(report, tmp_path / "report.xlsx")
    assert load_workbook(tmp_path / "report.xlsx").sheetnames == ["Summary", *names(report)]


@pytest.mark.skipif(not os.environ.get("SILO_SAMPLE_INPUTS"), reason="it names no folder of files")
def test_real_files_give_a_report_that_can_be_written(tmp_path: Path) -> None:
    files = sorted(Path(os.environ["SILO_SAMPLE_INPUTS"]).glob("good/*"))
    assert files
    for file in files:
        report = run(file)
        json.dumps(to_json(report), allow_nan=False)
        write_workbook(report, tmp_path / "report.xlsx")
        assert load_workbook(tmp_path / "report.xlsx").sheetnames[0] == "Summary"
