"""The step that the tests know: it totals each sheet by a category, whatever `pipeline.py` does."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from {{ cookiecutter.package_name }}.report import Chart, Column, Report, Table, unique
from {{ cookiecutter.package_name }}.step import Accepts, InputFile, Progress, UserError
from {{ cookiecutter.package_name }}.tables import Sheet, read
from {{ cookiecutter.package_name }}.values import Cell, numbers, total

ACCEPTS = Accepts()


class Options(BaseModel):
    """Some text, a number with bounds, and a check box."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    category: str = Field(default="", max_length=200, title="Totals by", description="A column.")
    largest: int = Field(default=10, ge=1, le=50, title="Bars", description="As many are drawn.")
    hidden: bool = Field(default=True, title="Hidden sheets", description="Read them, too.")


def process(inputs: Sequence[InputFile], options: Options, progress: Progress) -> Report:
    """Total each sheet by the chosen column, or else by its first column of text."""
    with witnessed(progress):
        pass_gate(progress)
        return report(inputs, options, progress)


def pass_gate(progress: Progress) -> None:
    """Wait as long as there is the file TESTS_GATE."""
    gate = os.environ.get("TESTS_GATE")
    while gate and Path(gate).exists():
        progress(1, 100, "Waiting at the gate")
        time.sleep(0.02)


@contextlib.contextmanager
def witnessed(progress: Progress) -> Iterator[None]:
    """Tell the file `twice` in the folder TESTS_WITNESS if two work on one job at once.

    Nobody does so if there is no such folder. A lock ends with the process that holds it.
    """
    folder, task = os.environ.get("TESTS_WITNESS"), getattr(progress, "_task", None)
    if not folder or not task:
        yield
        return
    import fcntl  # which Windows has not

    with (Path(folder) / f"job-{task.id}").open("a") as mine:
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with (Path(folder) / "twice").open("a") as told:
                told.write(f"{task.id}\n")
        yield


def report(inputs: Sequence[InputFile], options: Options, progress: Progress) -> Report:
    """What the step returns."""
    sheets: list[Sheet] = []
    unread: list[list[Cell]] = []
    for number, file in enumerate(inputs):

        def tell(part: float, done: int = number, name: str = file.name) -> None:
            # Not less than at the gate: nobody is to see it go back.
            progress(max(done + part, len(inputs) / 100), len(inputs), f"Reading {name}")

        try:
            sheets += read(file, tell).sheets
        except UserError as problem:
            unread.append([file.name, str(problem)])
    if not sheets:
        raise UserError(str(unread[0][1]))
    tables = [found for sheet in sheets if (found := totals(sheet, options.category))]
    if options.category and not tables:
        raise UserError(f"No sheet has a column {options.category!r}.")
    names = unique(each.name for each in tables)
    return Report(
        title=f"Report on {inputs[0].name if len(inputs) == 1 else f'{len(inputs)} files'}",
        notes=[f"Read {len(sheets)} sheets."],
        tables=[
            *(draw(*each, options.largest) for each in zip(tables, names, strict=True)),
            Table("Columns", [Column(n) for n in ("File", "Column", "Rows", "Sum")], lines(sheets)),
            *([Table("Not read", [Column("File"), Column("What")], unread)] if unread else []),
        ],
    )


def lines(sheets: Sequence[Sheet]) -> list[list[Cell]]:
    """A line for every column: its file and name, its rows and the sum of its numbers."""
    return [
        [sheet.file, name, len(sheet.rows), total(row[place] for row in sheet.rows)]
        for sheet in sheets
        for place, name in enumerate(sheet.header)
    ]


def totals(sheet: Sheet, category: str) -> Table | None:
    """Rows and sums for each value of the category, the largest first; None without a category."""
    place = place_of(sheet, category)
    if place is None:
        return None
    numeric = [n for n in range(len(sheet.header)) if numbers(row[n] for row in sheet.rows)]
    groups: dict[Cell, list[list[Cell]]] = {}
    for row in sheet.rows:
        groups.setdefault(row[place], []).append(row)
    names = [sheet.header[place], "Rows", *(f"Sum of {sheet.header[n]}" for n in numeric)]
    rows: list[list[Cell]] = [
        [label, len(found), *(total(row[n] for row in found) for n in numeric)]
        for label, found in groups.items()
    ]
    rows.sort(key=lambda row: numbers(row[1:])[-1], reverse=True)
    columns = [Column(names[0]), *(Column(name, "number") for name in names[1:])]
    return Table(f"{sheet.name} by {names[0]}", columns, rows)


def place_of(sheet: Sheet, category: str) -> int | None:
    """Where the category stands, or else the first column of text; None if there is none."""
    if category:
        return sheet.header.index(category) if category in sheet.header else None
    places = range(len(sheet.header))
    return next((n for n in places if any(isinstance(row[n], str) for row in sheet.rows)), None)


def draw(table: Table, name: str, limit: int) -> Table:
    """The table under a name of its own, with a chart of its last column."""
    labels, values = table.columns[0].name, table.columns[-1].name
    return Table(name, table.columns, table.rows, Chart(values, labels, values, limit=limit))
