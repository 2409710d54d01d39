"""The step that ships: what it merges, what it drops, and that it says so."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from pydantic import ValidationError

from {{ cookiecutter.package_name }} import pipeline, step
from {{ cookiecutter.package_name }}.pipeline import Options, process
from {{ cookiecutter.package_name }}.report import Report, Table
from {{ cookiecutter.package_name }}.step import Cancelled, SilentProgress, UserError
from {{ cookiecutter.package_name }}.values import Cell, total
from {{ cookiecutter.package_name }}.workbook import write_workbook

SAMPLES = Path(step.__file__).parent / "static"
JANUARY = "Order,Customer,Amount\n1,Ann,10.5\n2,Bob,20\n"
FEBRUARY = "amount , ORDER,City\n30,3,Rome\n20,2,Oslo\n"


class Recorder:
    """A `Progress` that remembers, and that cancels at the call where it is told to."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.calls: list[float] = []
        self.cancel_at = cancel_at

    def __call__(self, done: float, total: float, message: str | None = None) -> None:
        self.calls.append(done / total)
        if len(self.calls) == self.cancel_at:
            raise Cancelled

    def log(self, line: str) -> None:
        raise AssertionError(line)


@pytest.fixture
def months(tmp_path: Path) -> list[Path]:
    return [text(tmp_path / "jan.csv", JANUARY), text(tmp_path / "feb.csv", FEBRUARY)]


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def sheet(path: Path, *rows: Sequence[Cell]) -> Path:
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(list(row))
    book.save(path)
    return path


def run(*files: Path, **options: Any) -> Report:
    return process(files, Options(**options), SilentProgress())


def table(report: Report, name: str) -> Table:
    [found] = [table for table in report.tables if table.name == name]
    return found


def merged(*files: Path, **options: Any) -> list[list[Cell]]:
    """The merged table with its header."""
    found = table(run(*files, **options), "Merged")
    return [[column.name for column in found.columns], *map(list, found.rows)]


def test_columns_of_one_name_are_one_in_any_order_and_case(months: list[Path]) -> None:
    assert merged(*months) == [
        ["Order", "Customer", "Amount", "City"],
        [1, "Ann", 10.5, None],
        [2, "Bob", 20.0, None],
        [3, None, 30, "Rome"],
        [2, None, 20, "Oslo"],
    ]


@pytest.mark.parametrize(("keep", "city"), [("first", None), ("last", "Oslo")])
def test_of_rows_with_one_key_one_is_kept(months: list[Path], keep: str, city: str | None) -> None:
    rows = merged(*months, key=" order ", keep=keep)
    assert {row[0] for row in rows[1:]} == {1, 2, 3}
    assert len(rows) == 4
    assert [row[3] for row in rows if row[0] == 2] == [city]


def test_it_is_said_what_became_of_the_rows_of_each_sheet(months: list[Path]) -> None:
    report = run(*months, key="Order")
    sheets = table(report, "Sheets")
    assert list(sheets.rows) == [
        ["jan.csv", "jan", 2, 0, 0, 2],
        ["feb.csv", "feb", 2, 0, 1, 1],
    ]
    assert sheets.totals() == ["Total", None, 4, 0, 1, 3]
    assert [(figure.label, figure.value) for figure in report.figures] == [
        ("Rows read", 4),
        ("Duplicates dropped", 1),
        ("Rows kept", 3),
    ]
    assert report.title == "2 merged sheets"


def test_text_is_trimmed_and_a_row_of_blanks_is_dropped(tmp_path: Path) -> None:
    rows = ["Name", "City"], ["  Ann  Lee ", "Oslo"], ["\u2003", " \t "], ["Ann Lee", "oslo"]
    report = run(sheet(tmp_path / "a.xlsx", *rows))
    assert list(table(report, "Merged").rows) == [("Ann Lee", "Oslo")]
    assert report.title == "Sheet, cleaned"


def test_without_a_key_rows_are_the_same_when_all_cells_are(tmp_path: Path) -> None:
    file = sheet(tmp_path / "a.xlsx", ["A", "B"], [1, "x"], [1, "y"], [1.0, "X"], [True, "x"])
    assert merged(file)[1:] == [[1, "x"], [1, "y"], [True, "x"]]


def test_rows_without_a_key_are_kept_and_counted(tmp_path: Path) -> None:
    file = text(tmp_path / "a.csv", "Order,Amount\n,1\n,2\n7,3\n7,4\n")
    report = run(file, key="Order")
    assert [row[1] for row in table(report, "Merged").rows] == [1, 2, 3]
    assert "Rows without Order were all kept: 2." in report.warnings


@pytest.mark.parametrize(
    ("dates", "first"), [("day first", date(2025, 4, 3)), ("month first", date(2025, 3, 4))]
)
def test_dates_that_are_text_are_read(tmp_path: Path, dates: str, first: date) -> None:
    file = text(tmp_path / "a.csv", "Day,Iso\n3/4/2025,2025-01-31\n05.06.2025,2025-02-01\n")
    assert merged(file, dates=dates)[1] == [first, date(2025, 1, 31)]
    assert [column.kind for column in table(run(file), "Merged").columns] == ["date", "date"]


@pytest.mark.parametrize("cells", ["31/12/2025\n12/31/2025", "1/1/0000\n1/1/2025", "n/a\n1/1/2025"])
def test_a_column_that_is_not_all_dates_stays_text(tmp_path: Path, cells: str) -> None:
    file = text(tmp_path / "a.csv", f"Day\n{cells}\n")
    assert [row[0] for row in merged(file)[1:]] == cells.split("\n")


def test_numbers_that_are_text_are_read_but_not_names_made_of_digits(tmp_path: Path) -> None:
    file = sheet(tmp_path / "a.xlsx", ["Amount", "Zip"], ["1,234.50", "00123"], [" 7 ", "12345"])
    assert merged(file)[1:] == [[1234.5, "00123"], [7, "12345"]]


def test_a_key_that_is_text_here_and_a_number_there_is_one(tmp_path: Path) -> None:
    files = sheet(tmp_path / "a.xlsx", ["Order"], ["12"]), text(tmp_path / "b.csv", "Order\n12\n")
    assert merged(*files) == [["Order"], [12]]


def test_columns_of_one_sheet_that_have_nearly_one_name_stay_two(tmp_path: Path) -> None:
    rows = merged(text(tmp_path / "a.csv", "A b,A  b\nx,y\n"))
    assert rows == [["A b", "A b (2)"], ["x", "y"]]


def test_the_file_holds_the_merged_rows(months: list[Path]) -> None:
    [file] = run(*months).files
    assert file.name == "merged.csv"
    assert isinstance(file.content, bytes)
    found = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert found[0] == ["Order", "Customer", "Amount", "City"]
    assert found[1] == ["1", "Ann", "10.5", ""]
    assert len(found) == 5


def test_s28_no_text_of_the_file_is_a_formula(tmp_path: Path) -> None:
    hostile = ["=1+1", "@SUM(A1)", "+1+1", "-1+1", "\t=1", '=HYPERLINK("http://x")']
    file = sheet(tmp_path / "a.xlsx", ["=cmd()"])
    book = load_workbook(file)
    for number, value in enumerate(hostile, start=2):
        book.worksheets[0].cell(number, 1, value).data_type = "s"
    book.save(file)
    [attached] = run(file).files
    assert isinstance(attached.content, bytes)
    for [cell] in csv.reader(io.StringIO(attached.content.decode("utf-8-sig"))):
        assert cell.startswith("'")


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    tmp_path: Path, months: list[Path]
) -> None:
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04 but nothing more")
    report = run(broken, *months)
    assert len(table(report, "Merged").rows) == 4
    assert any(warning.startswith("broken.xlsx") for warning in report.warnings)
    with pytest.raises(UserError, match=r"^broken\.xlsx "):
        run(broken)
    with pytest.raises(UserError, match="no file"):
        run()


def test_a_key_that_no_sheet_has_is_told(months: list[Path]) -> None:
    with pytest.raises(UserError, match="No sheet has a column 'Land'"):
        run(*months, key="Land")


def test_more_columns_than_a_worksheet_holds_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "MAX_COLUMNS", 9)
    for name in "ab":
        text(tmp_path / f"{name}.csv", ",".join(f"{name}{n}" for n in range(5)) + "\n1\n")
    with pytest.raises(UserError, match="Together the sheets have 10 columns"):
        run(tmp_path / "a.csv", tmp_path / "b.csv")


def test_a_header_without_rows_gives_a_report(tmp_path: Path) -> None:
    report = run(text(tmp_path / "a.csv", "Region,Sales\n"))
    assert table(report, "Merged").rows == []
    write_workbook(report, tmp_path / "report.xlsx")


def test_the_samples_give_a_report_worth_showing(tmp_path: Path) -> None:
    report = run(*sorted(SAMPLES.glob("sample-*")), key="order")
    figures = {figure.label: figure.value for figure in report.figures}
    assert figures == {"Rows read": 47, "Duplicates dropped": 3, "Rows kept": 44}
    assert [column.name for column in table(report, "Merged").columns][:2] == ["Amount", "Order"]
    assert {column.kind for column in table(report, "Merged").columns} == {"text", "number", "date"}
    assert report.warnings == []
    write_workbook(report, tmp_path / "report.xlsx")


def any_cell(chance: Random) -> Cell:
    """Nothing, a number, a boolean, or text with what CSV, Excel and Unicode make something of."""
    word = "".join(chance.choices(" \t\r\n,;\"'=+-@ab0é\u200f\U0001f600\ufeff\x01", k=6))
    return chance.choice([None, chance.randint(-(10**9), 10**9), chance.random() < 0.5, word, word])


@pytest.mark.parametrize("seed", range(5))
def test_every_row_is_kept_or_counted_whatever_is_in_it(tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    rows = [(any_cell(chance), any_cell(chance)) for _ in range(40)]
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("A", "B"), *rows, ("end", "end")])
    report = run(tmp_path / "a.csv", key="A")
    [line] = table(report, "Sheets").rows
    assert line[2] == total(line[3:])
    write_workbook(report, tmp_path / "report.xlsx")


def test_progress_only_rises(months: list[Path]) -> None:
    progress = Recorder()
    process(months, Options(), progress)
    assert progress.calls == sorted(progress.calls)
    assert 0 <= progress.calls[0] <= progress.calls[-1] <= 1


def test_cancelling_ends_the_step_wherever_it_is(months: list[Path]) -> None:
    complete = Recorder()
    process(months, Options(), complete)
    for number in range(1, len(complete.calls) + 1):
        with pytest.raises(Cancelled):
            process(months, Options(), Recorder(cancel_at=number))


@pytest.mark.parametrize(
    "options", [{"keep": "both"}, {"dates": "year first"}, {"key": "x" * 201}, {"other": 1}]
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Options.model_validate(options)
    assert [error["loc"] for error in caught.value.errors()] == [tuple(options)]
