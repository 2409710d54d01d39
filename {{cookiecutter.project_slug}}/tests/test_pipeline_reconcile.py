"""The step that ships: which rows are pairs, what differs in them, and what only one table has."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from openpyxl import Workbook
from pydantic import ValidationError

from {{ cookiecutter.package_name }} import step
from {{ cookiecutter.package_name }}.pipeline import Options, process
from {{ cookiecutter.package_name }}.report import Report, Table
from {{ cookiecutter.package_name }}.step import Cancelled, SilentProgress, UserError
from {{ cookiecutter.package_name }}.values import Cell
from {{ cookiecutter.package_name }}.workbook import write_workbook

SAMPLES = Path(step.__file__).parent / "static"
OURS = "Invoice,Amount,Customer\nA-1,100,Ann\nA-2,50.5,Bob\nA-3,70,Cleo\n"
BANK = "customer,INVOICE ,amount\nBob,a-2,51\nAnn,A-1,100.0\nDan,A-4,9\n"


class Recorder:
    """A `Progress` that remembers, and that cancels at the call where it is told to."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.calls: list[float] = []
        self.messages: set[str | None] = set()
        self.cancel_at = cancel_at

    def __call__(self, done: float, total: float, message: str | None = None) -> None:
        self.calls.append(done / total)
        self.messages.add(message)
        if len(self.calls) == self.cancel_at:
            raise Cancelled

    def log(self, line: str) -> None:
        raise AssertionError(line)


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def workbook(path: Path, **sheets: Sequence[Sequence[Cell]]) -> Path:
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path


@pytest.fixture
def both(tmp_path: Path) -> list[Path]:
    return [text(tmp_path / "ours.csv", OURS), text(tmp_path / "bank.csv", BANK)]


def run(*files: Path, **options: Any) -> Report:
    return process(files, Options(**options), SilentProgress())


def table(report: Report, name: str) -> Table:
    [found] = [table for table in report.tables if table.name == name]
    return found


def counts(report: Report) -> list[Cell]:
    """How many rows are the same, different, only in the first, only in the second."""
    return [figure.value for figure in report.figures]


def compared(folder: Path, one: Sequence[Cell], other: Sequence[Cell], **options: Any) -> int:
    """In how many rows two columns of cells differ."""
    sheets: list[list[list[Cell]]] = [
        [["Key", "Value"], *([f"K{n}", cell] for n, cell in enumerate(cells))]
        for cells in (one, other)
    ]
    files = [workbook(folder / f"{n}.xlsx", S=rows) for n, rows in enumerate(sheets)]
    return int(str(counts(run(*files, **options))[1]))


def test_every_row_has_one_outcome(both: list[Path]) -> None:
    report = run(*both)
    assert report.title == "ours.csv against bank.csv"
    assert counts(report) == [1, 1, 1, 1]
    outcome = table(report, "Outcome")
    assert [row[0] for row in outcome.rows] == [
        "The same",
        "Different",
        "Only in ours.csv",
        "Only in bank.csv",
    ]
    assert outcome.totals() == ["Total", 4]
    assert outcome.chart_kind() == "pie"


def test_what_differs_is_shown_with_both_values(both: list[Path]) -> None:
    different = table(run(*both), "Different")
    assert [column.name for column in different.columns] == [
        "Key",
        "Column",
        "ours.csv",
        "bank.csv",
        "Difference",
    ]
    assert list(different.rows) == [["A-2", "Amount", 50.5, 51, 0.5]]
    assert different.totals() == [1, None, None, None, 0.5]


def test_what_only_one_has_is_shown_whole_with_totals(both: list[Path]) -> None:
    report = run(*both)
    ours, bank = table(report, "Only in ours.csv"), table(report, "Only in bank.csv")
    assert (list(ours.rows), ours.totals()) == ([["A-3", 70, "Cleo"]], ["Total", 70, None])
    assert (list(bank.rows), bank.totals()) == ([["Dan", "A-4", 9]], ["Total", None, 9])


def test_the_person_chooses_the_key(both: list[Path]) -> None:
    assert counts(run(*both, key=" CUSTOMER ")) == [1, 1, 1, 1]
    report = run(*both, key="Amount")
    assert counts(report) == [1, 0, 2, 2]


def test_the_person_chooses_what_is_compared(both: list[Path]) -> None:
    assert counts(run(*both, columns="customer"))[:2] == [2, 0]
    assert counts(run(*both, columns=" Customer, AMOUNT ,"))[:2] == [1, 1]


def test_a_column_that_not_both_have_is_told_with_those_there_are(both: list[Path]) -> None:
    for options in ({"key": "Land"}, {"columns": "Amount, Land"}):
        with pytest.raises(UserError) as caught:
            run(*both, **options)
        assert str(caught.value) == (
            "No column 'land' is in both tables. These are: Invoice, Amount, Customer."
        )


def test_tables_without_a_common_column_are_told(tmp_path: Path) -> None:
    files = text(tmp_path / "a.csv", "A\n1\n"), text(tmp_path / "b.csv", "B\n1\n")
    with pytest.raises(UserError, match=r"a\.csv and b\.csv have no column in common\."):
        run(*files)


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "different"),
    [
        (100, 100.5, 0, 1),
        (100, 100.5, 0.5, 0),
        (100, 100.51, 0.5, 1),
        (1.0, 1.1, 0.1, 0),
        (0.1 + 0.2, 0.3, 0, 0),
        (-5, 5, 9.99, 1),
        (0, 1e-9, 0, 1),
        (10**15, 10**15 + 1, 0, 0),
    ],
)
def test_numbers_are_the_same_within_the_tolerance(
    tmp_path: Path, one: float, other: float, tolerance: float, different: int
) -> None:
    assert compared(tmp_path, [one], [other], tolerance=tolerance) == different


def test_a_value_is_the_same_whatever_it_is_stored_as(tmp_path: Path) -> None:
    day = date(2025, 1, 31)
    one: list[Cell] = [7, 7.0, " a  b", None, day, True, None]
    other: list[Cell] = ["7", 7, "a b", None, "2025-01-31", "True", "x"]
    assert compared(tmp_path, one, other) == 1


def test_a_day_is_the_same_with_the_time_of_its_beginning(tmp_path: Path) -> None:
    one = text(tmp_path / "a.csv", "Id,At\nx,2025-01-31 00:00\ny,2025-01-31 10:30\n")
    other = text(tmp_path / "b.csv", "Id,At\nx,2025-01-31\ny,2025-01-31\n")
    assert counts(run(one, other)) == [1, 1, 0, 0]


def test_a_key_made_of_numbers_is_not_added_up(tmp_path: Path) -> None:
    one = text(tmp_path / "a.csv", "Id,V\n1,5\n2,6\n")
    other = text(tmp_path / "b.csv", "Id,V\n3,1\n")
    assert table(run(one, other), "Only in a.csv").totals() == ["Total", 11]


def test_keys_are_paired_whatever_they_are_stored_as(tmp_path: Path) -> None:
    files = (
        workbook(tmp_path / "a.xlsx", S=[["Id"], ["12"], [13.0], [" x Y "]]),
        workbook(tmp_path / "b.xlsx", S=[["Id"], [12], ["13"], ["X y"]]),
    )
    assert counts(run(*files)) == [3, 0, 0, 0]


def test_rows_of_one_key_are_paired_in_their_order(tmp_path: Path) -> None:
    one = text(tmp_path / "a.csv", "Id,V\nx,1\nx,2\nx,3\ny,1\n")
    other = text(tmp_path / "b.csv", "Id,V\nx,1\nx,9\ny,1\n")
    report = run(one, other)
    assert counts(report) == [2, 1, 1, 0]
    assert "a.csv: Keys in several rows, paired in their order: 1." in report.warnings


def test_the_sheet_with_the_key_is_compared_and_named(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [["Id", "V"], ["x", 1]]
    book = workbook(tmp_path / "a.xlsx", Notes=[["Remark"], ["hello"]], Data=rows)
    other = workbook(tmp_path / "b.xlsx", S=rows)
    report = run(book, other, key="Id")
    assert counts(report) == [1, 0, 0, 0]
    assert "Of a.xlsx only the sheet Data was compared." in report.warnings


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    files = text(tmp_path / "a.csv", OURS), text(tmp_path / "copy" / "a.csv", BANK)
    report = run(*files)
    assert [each.name for each in report.tables[2:]] == ["Only in a.csv", "Only in a.csv (2)"]
    write_workbook(report, tmp_path / "report.xlsx")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_files_is_refused(tmp_path: Path, count: int) -> None:
    files = [text(tmp_path / f"{n}.csv", OURS) for n in range(count)]
    with pytest.raises(UserError, match="Choose exactly 2 files"):
        run(*files)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, both: list[Path]) -> None:
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04 but nothing more")
    with pytest.raises(UserError, match=r"^broken\.xlsx "):
        run(both[0], broken)


def test_s28_hostile_text_is_shown_as_text(tmp_path: Path) -> None:
    hostile = '=HYPERLINK("http://x"),@SUM(A1)\n=1+1,<script>\n'
    files = text(tmp_path / "=1+1.csv", hostile), text(tmp_path / "b.csv", hostile + "+2,-3\n")
    report = run(*files)
    write_workbook(report, tmp_path / "report.xlsx")


def test_the_samples_give_a_report_worth_showing(tmp_path: Path) -> None:
    report = run(SAMPLES / "sample-ledger.xlsx", SAMPLES / "sample-bank.csv")
    assert counts(report) == [54, 3, 3, 4]
    assert [row[4] for row in table(report, "Different").rows] == pytest.approx([0.7, 1.9, 3.1])
    assert report.warnings == []
    write_workbook(report, tmp_path / "report.xlsx")


def some_rows(chance: Random) -> list[tuple[str, Cell]]:
    """Rows with few keys, so that some come twice, and a value of any sort."""

    def value() -> Cell:
        word = "".join(chance.choices("ab =1", k=3))
        number = chance.randint(-(10**6), 10**6)
        return chance.choice([None, number, number / 7, word])

    return [(chance.choice("abcdefgh"), value()) for _ in range(chance.randint(1, 30))]


@pytest.mark.parametrize("seed", range(10))
def test_every_row_of_both_is_counted_once(tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    one, other = some_rows(chance), some_rows(chance)
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for file, rows in zip(files, [one, other], strict=True):
        with file.open("w", newline="") as opened:
            csv.writer(opened).writerows([("Key", "Value"), *rows])
    same, different, first, second = (int(str(count)) for count in counts(run(*files)))
    assert same + different + first == len(one)
    assert same + different + second == len(other)
    assert counts(run(files[0], files[0])) == [len(one), 0, 0, 0]


def test_progress_only_rises_and_says_where_it_is(both: list[Path]) -> None:
    progress = Recorder()
    process(both, Options(), progress)
    assert progress.calls == sorted(progress.calls)
    assert 0 <= progress.calls[0] <= progress.calls[-1] <= 1
    assert progress.messages >= {"Reading bank.csv", "Comparing 2 pairs of rows"}


def test_cancelling_ends_the_step_wherever_it_is(both: list[Path]) -> None:
    complete = Recorder()
    process(both, Options(), complete)
    for number in range(1, len(complete.calls) + 1):
        with pytest.raises(Cancelled):
            process(both, Options(), Recorder(cancel_at=number))


@pytest.mark.parametrize(
    "options", [{"tolerance": -1}, {"tolerance": "some"}, {"key": 5}, {"columns": 1}, {"other": 1}]
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Options.model_validate(options)
    assert [error["loc"] for error in caught.value.errors()] == [tuple(options)]
