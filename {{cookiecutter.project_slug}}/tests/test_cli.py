"""The command `process`: the step without a browser."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, Literal
from unittest.mock import Mock

import known_step
import openpyxl
import pytest
from click.testing import CliRunner, Result
from pydantic import BaseModel, Field
from web import steps

from {{ cookiecutter.package_name }} import cli, contract, offline
from {{ cookiecutter.package_name }}.about import TITLE
from {{ cookiecutter.package_name }}.config import load_settings
from {{ cookiecutter.package_name }}.step import Accepts

ROWS: list[list[Any]] = [["Region", "Amount"], ["North", 1.5], ["South", 2], ["North", 3.25]]

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("process", "a.csv")` in a folder that holds sales.xlsx and sales.csv."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(contract, "load", lambda: known_step)
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
    options = ["--category", "Town", "--largest", "1", "--no-hidden"]
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
        (["sales.csv", "--largest"], "Option '--largest' requires an argument"),
        (["sales.csv", "--largest", "ten"], "--largest: This must be a whole number."),
        (["sales.csv", "--largest", "0"], "--largest: This must be 1 or more."),
        (["sales.csv", "--colour", "red"], "No such option"),
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
    monkeypatch.setattr(f"{cli.__package__}.paths.run_paths", steps.crash)
    result = run("process", "sales.csv")
    assert result.exit_code == 1
    assert "Error: Processing crashed on this input" in result.output


@pytest.mark.parametrize(
    ("target", "said"),
    [(steps.gives_up, "Error: Cancelled."), (steps.refuses, "Error: Processing failed, without")],
)
def test_a_step_that_ends_without_a_word(
    run: Run, monkeypatch: pytest.MonkeyPatch, target: Callable[..., None], said: str
) -> None:
    monkeypatch.setattr(f"{cli.__package__}.paths.run_paths", target)
    result = run("process", "sales.csv")
    assert result.exit_code == 1
    assert said in result.output


def test_a_wrong_setting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILO_TASK_TIMEOUT", "soon")
    result = run("process", "sales.csv")
    assert result.exit_code == 1
    assert result.output.startswith("Error: SILO_TASK_TIMEOUT is 'soon': ")


def test_a_time_limit_ends_the_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{cli.__package__}.paths.run_paths", steps.endless)
    monkeypatch.setenv("SILO_TASK_TIMEOUT", "0.2")
    result = run("process", "sales.csv")
    assert result.exit_code == 1
    assert "took longer than" in result.output


def test_another_number_of_files_than_the_step_takes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_step, "ACCEPTS", Accepts((".csv",), least=2, most=2))
    assert "Error: Choose exactly 2 files." in run("process", "sales.csv").output
    assert "sales.xlsx is not a type" in run("process", "sales.xlsx", "sales.csv").output


def test_attached_files_are_written_beside_the_workbook(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{cli.__package__}.paths.run_paths", steps.write_files)
    result = run("process", "sales.csv", "-o", "mine.xlsx")
    files = ["mine files/a.csv", "mine files/b.txt", "mine files/a (2).csv"]
    assert result.output.splitlines() == ["Processing", *(f"Wrote {file}" for file in files)]
    assert not Path("mine.xlsx").exists()
    assert Path("mine files/a.csv").read_text() == "one"
    assert Path("mine files/b.txt").read_text() == "two"
    assert Path("mine files/a (2).csv").read_text() == "three"


def test_check_says_that_the_step_is_as_it_should_be(run: Run) -> None:
    result = run("check")
    assert result.exit_code == 0, result.output
    [line] = [line for line in result.output.splitlines() if line.startswith("step ")]
    assert line.split(None, 3)[1] == "ok"
    assert line.endswith("It is as it should be. Its options: category, largest, hidden.")


def test_check_tells_each_breach(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_step, "ACCEPTS", None)
    monkeypatch.setattr(known_step.Options, "__doc__", "")
    result = run("check")
    assert result.exit_code == 1
    lines = [line for line in result.output.splitlines() if line.startswith("step ")]
    assert len(lines) == 2
    assert all(" error " in line for line in lines)
    assert "known_step.py, line " in lines[0]


def test_a_step_that_breaks_the_contract_is_not_served(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_step, "ACCEPTS", None)
    result = run("serve")
    assert result.exit_code == 1
    assert "ACCEPTS must say which files are taken" in result.output


class Colour(Enum):
    """What the code knows colours by."""

    red = "red"
    blue = "blue"


class Various(BaseModel):
    """An option of every sort."""

    choice: Literal["a", "b"] = "a"
    several: list[Literal["x", "y"]] = []
    level: Literal[1, 2] = 1
    since: date | None = None
    maybe: bool | None = None
    Region: str = ""
    Strict: bool = False
    main_colour: Colour = Colour.red
    two_words: float = Field(default=0.5, title="Part", description="Up to one.", le=1)


def test_the_command_has_an_option_for_every_option_of_the_step(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_step, "Options", Various)
    said = run("process", "--help").output
    for text in (
        "[a|b]",
        "[x|y]",
        "--since DATE",
        "--two-words NUMBER",
        "Part: Up to one.",
        "Main Colour",
    ):
        assert text in said
    assert "What the code knows" not in said
    given = (
        "--choice b --several x --several y --level 2 --since 2024-02-29 --two-words 0.25 "
        "--no-maybe --main-colour blue --Region North --Strict"
    )
    with monkeypatch.context() as patch:
        read = Mock(return_value={})
        patch.setattr(offline, "read_options", read)
        assert run("process", "sales.csv", *given.split()).exit_code == 0
    assert offline.read_options(read.call_args.args[0]) == {
        "choice": "b",
        "several": ["x", "y"],
        "level": 2,
        "since": "2024-02-29",
        "maybe": False,
        "Region": "North",
        "Strict": True,
        "main_colour": "blue",
        "two_words": 0.25,
    }
    defaults = Various().model_dump(mode="json")
    assert offline.read_options({"choice": None, "several": ()}) == defaults
    for wrong in (["--choice", "c"], ["--level", "3"], ["--since", "soon"], ["--two-words", "2"]):
        result = run("process", "sales.csv", *wrong)
        assert result.exit_code == 2
        assert wrong[0] in result.output


class Unasked(BaseModel):
    """An option that neither the form nor the command line can ask for."""

    names: list[str] = []


def test_an_option_that_cannot_be_asked_for_is_told_by_name(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_step, "Options", Unasked)
    result = run("process", "sales.csv")
    assert result.exit_code == 1
    assert "Options.names is of a type that the form has no field for" in result.output


def test_help_says_what_there_is(run: Run) -> None:
    overall = run("--help").output
    assert TITLE in overall
    assert "serve" in overall
    assert "process" in overall
    said = run("process", "--help").output
    for name in ("--category", "--largest", "--no-hidden", "--output", "report.xlsx"):
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
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Processing\nWrote report.xlsx\n", "")
