"""The command `process`: the step without a browser."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner, Result
from web import steps

from {{ cookiecutter.package_name }} import cli
from {{ cookiecutter.package_name }}.about import TITLE
from {{ cookiecutter.package_name }}.config import load_settings

ROWS: list[list[Any]] = [["Region", "Amount"], ["North", 1.5], ["South", 2], ["North", 3.25]]

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("process", "a.csv")` in a folder that holds sales.xlsx and sales.csv."""
    monkeypatch.chdir(tmp_path)
    book = openpyxl.Workbook()
    for row in ROWS:
        book.worksheets[0].append(row)
    book.save("sales.xlsx")
    Path("sales.csv").write_text("Town,Size\nA,1\nB,2\nA,5\n")
    return lambda *arguments: CliRunner().invoke(cli.main, arguments)


def cells(path: str, sheet: int) -> list[list[Any]]:
    found = openpyxl.load_workbook(path).worksheets[sheet]
    return [list(row)[:3] for row in found.iter_rows(values_only=True)][:3]


def test_a_file_becomes_a_workbook(run: Run, tmp_path: Path) -> None:
    result = run("process", "sales.xlsx")
    assert result.exit_code == 0, result.output
    assert cells("report.xlsx", 1) == [
        ["Region", "Rows", "Sum of Amount"],
        ["North", 2, 4.75],
        ["South", 1, 2],
    ]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["report.xlsx", "sales.csv", "sales.xlsx"], "and nothing else"


def test_without_a_terminal_it_says_what_it_does_and_has_done(run: Run) -> None:
    assert run("process", "sales.xlsx").output == "Processing\nWrote report.xlsx\n"


def test_several_files_options_and_an_output_of_ones_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    options = ["--option", "category=Town", "--option", "largest=1", "--option", "hidden=no"]
    result = run("process", "sales.csv", "sales.xlsx", "-o", "out/mine.xlsx", *options)
    assert result.exit_code == 0, result.output
    assert result.output.endswith("Wrote out/mine.xlsx\n")
    assert cells("out/mine.xlsx", 1)[1:] == [["A", 2, 6], ["B", 1, 2]]


def test_the_last_report_is_replaced_as_a_whole(run: Run, tmp_path: Path) -> None:
    Path("report.xlsx").write_text("old")
    Path("bad.csv").write_text("\n\n")
    assert run("process", "bad.csv").exit_code == 1
    assert Path("report.xlsx").read_text() == "old"
    assert run("process", "sales.csv").exit_code == 0
    assert cells("report.xlsx", 1)[0][0] == "Town"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument 'FILES...'"),
        (["none.csv"], "'none.csv' does not exist"),
        (["."], "'.' is a directory"),
        (["sales.csv", "-o", "no/such/report.xlsx"], "There is no folder"),
        (["sales.csv", "-o", "."], "is a directory"),
        (["sales.csv", "-o", "sales.csv"], "'sales.csv' is one of the files"),
        (["sales.csv", "--option", "largest"], "'largest' is not NAME=VALUE"),
        (["sales.csv", "--option", "largest=ten"], "largest: Input should be a valid integer"),
        (["sales.csv", "--option", "largest=0"], "largest: Input should be greater than"),
        (["sales.csv", "--option", "colour=red"], "colour: Extra inputs are not permitted"),
        (["sales.csv", "--option", "=1"], "Extra inputs are not permitted"),
    ],
)
def test_a_call_that_cannot_work_says_why(run: Run, arguments: list[str], said: str) -> None:
    result = run("process", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())
    assert not Path("report.xlsx").exists()
    assert Path("sales.csv").read_text().startswith("Town")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("bad.xlsx", b"PK\x03\x04nonsense", "bad.xlsx is damaged or was not uploaded whole."),
        ("bad.pdf", b"%PDF-1.7", "bad.pdf is not a type that can be read."),
        ("bad.csv", b"", "bad.csv is empty."),
    ],
)
def test_a_file_that_cannot_be_read(run: Run, name: str, data: bytes, said: str) -> None:
    Path(name).write_bytes(data)
    result = run("process", name)
    assert result.exit_code == 1
    assert f"Error: {said}" in result.output
    assert "Traceback" not in result.output
    assert not Path("report.xlsx").exists()


def test_a_reader_that_kills_its_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{cli.__package__}.jobs.run_paths", steps.crash)
    result = run("process", "sales.csv")
    assert result.exit_code == 1
    assert "Error: Processing crashed on this input" in result.output


def test_a_wrong_setting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILO_TASK_TIMEOUT", "soon")
    result = run("process", "sales.csv")
    assert result.exit_code == 1
    assert result.output.startswith("Error: SILO_TASK_TIMEOUT is 'soon': ")


def test_a_time_limit_ends_the_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{cli.__package__}.jobs.run_paths", steps.endless)
    monkeypatch.setenv("SILO_TASK_TIMEOUT", "0.2")
    result = run("process", "sales.csv")
    assert result.exit_code == 1
    assert "took longer than" in result.output


def test_help_says_what_there_is(run: Run) -> None:
    overall = run("--help").output
    assert TITLE in overall
    assert "serve" in overall
    assert "process" in overall
    said = run("process", "--help").output
    for name in ("category", "largest", "hidden", "--output", "report.xlsx"):
        assert name in said
    for name in ("--host", "--port", "--workers", "127.0.0.1", "8000"):
        assert name in run("serve", "--help").output


def test_a_new_encryption_key_is_good_and_never_the_same(run: Run) -> None:
    keys = {run("encryption-key").output.strip() for _ in range(2)}
    assert len(keys) == 2
    assert load_settings({"SILO_ENCRYPTION_KEY": ",".join(keys)})


def test_it_runs_as_a_command_of_its_own(run: Run, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", cli.__name__, "process", "sales.csv"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Processing\nWrote report.xlsx\n", "")
