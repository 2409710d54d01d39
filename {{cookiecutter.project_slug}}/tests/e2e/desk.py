"""The app in this process, with a clock to turn and a step that waits until it is told to go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest
from flask import Flask
from pydantic import BaseModel, ConfigDict, Field
from servers.ports import free_port
from support import without_children
from werkzeug.serving import make_server

from {{ cookiecutter.package_name }} import create_app, jobs, views
from {{ cookiecutter.package_name }}.report import (
    Attachment,
    Cell,
    Chart,
    Column,
    Figure,
    Report,
    Table,
)
from {{ cookiecutter.package_name }}.review import Review, ReviewColumn
from {{ cookiecutter.package_name }}.silo import SessionStore
from {{ cookiecutter.package_name }}.step import ColumnName, InputFile, Progress, UserError

Made = Report | Review
HOUR = 3600.0
MOST_TURNS = 100
LARGEST = "A chart shows this many of the largest groups; the table below it has all of them."


class Colour(Enum):
    """What the code knows colours by."""

    red = "red"
    blue = "blue"


class Options(BaseModel):
    """An option of every sort that the form knows, whatever the app's own step asks for."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field("", max_length=20, title="Label", description="Stands above the report.")
    largest: int = Field(10, ge=1, le=50, title="Largest", description=LARGEST)
    limit: float | None = Field(None, gt=0, title="Limit")
    order: Literal["by name", "by value"] = Field("by value", title="Order")
    hidden: bool = Field(True, title="Hidden sheets")
    since: date | None = Field(None, title="Since")
    until: date = Field(date(2025, 12, 31), title="Until")
    sizes: list[Literal["small", "medium", "large"]] = Field([], max_length=2, title="Sizes")
    column: ColumnName = Field("", title="Column")
    certain: bool | None = Field(None, title="Certain")
    main_colour: Colour = Colour.red


class Step:
    """A step that reports on nothing but its inputs and options, and can be held in its middle."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.error = ""
        self.report: Report | None = None
        self.review: Review | None = None
        """What it returns instead of the report below, if anything."""
        self.seen: list[Options] = []

    def __call__(self, inputs: Sequence[InputFile], options: Options, progress: Progress) -> Made:
        self.seen.append(options)
        progress.log("Opened the files.")
        progress(1, 4, "Reading the first rows")
        while not self.gate.wait(0.02):
            progress(1, 4)  # raises Cancelled
        if self.error:
            raise UserError(self.error)
        return self.review or self.report or report(inputs, options)

    def finish(self, review: Review, options: Options) -> Report:
        """The reviewed rows, as a table."""
        if self.error:
            raise UserError(self.error)
        columns = [Column(column.name) for column in review.columns]
        notes = [f"{len(review.edited)} corrected."]
        return Report("Reviewed", [Table("Rows", columns, review.rows)], notes)


def payments(rows: int = 3) -> Review:
    """A review with a column of every sort, whose first row has no category."""
    names: list[Cell] = ["Bakery", "<b>Rail</b>", "Hotel Adlon"]
    kinds: list[Cell] = [None, "Travel", "Travel"]
    return Review(
        "Are these in the right category?",
        [
            ReviewColumn("Payee"),
            ReviewColumn("Paid", "date"),
            ReviewColumn("Category", "choice", True, ("Food", "Travel", "Rent"), required=True),
            ReviewColumn("Amount", "number", True, least=0, most=10_000),
            ReviewColumn("People", "integer", True),
            ReviewColumn("Due", "date", True),
            ReviewColumn("Private", "boolean", True),
            ReviewColumn("Remark", "text", True, longest=40),
        ],
        [
            [
                names[n % 3],
                date(2025, 3, 1 + n % 28),
                kinds[n] if n < 3 else "Rent",
                12.5,
                n,
                date(2025, 4, 1),
                False,
                None,
            ]
            for n in range(rows)
        ],
        ["One row could not be sorted in."],
    )


def report(inputs: Sequence[InputFile], options: Options) -> Report:
    groups = Table(
        "Amount by region",
        [
            Column("Region"),
            Column("Amount", "number", "sum"),
            Column("Share", "percent"),
            Column("Weight", "number", "mean", decimals=1, unit="kg"),
        ],
        [
            ["North", 1234.5, 0.75, 2],
            ["<b>South</b>", 411.5, 0.25, 3.25],
            ["Returns", -80, None, None],
        ],
        Chart("Amount", "Region", "Amount"),
    )
    months = Table(
        "Months",
        [Column("Month"), Column("Sold", "integer"), Column("Sent back", "integer")],
        [["Jan", 12, 3], ["Feb", 30, 2], ["Mar", None, 5], ["Apr", 21, -4]],
        Chart("Sold by month", "Month", ["Sold", "Sent back"], "line"),
    )
    kinds = Table(
        "Kinds",
        [Column("Kind"), Column("Pieces", "integer", "sum")],
        [["Apples", 60], ["Pears", 30], ["<i>Plums</i>", 10]],
        Chart("Pieces by kind", "Kind", "Pieces", "pie"),
    )
    days = Table(
        "Days",
        [Column("Number", "integer"), Column("Day", "date"), Column("Open", "boolean")],
        [[number, date(2024, 3, 1), True] for number in range(1, 1235)],
    )
    files = ", ".join(Path(file.name).name for file in inputs)
    return Report(
        f"Report on {files}",
        [groups, months, kinds, days],
        [f"Largest: {options.largest}."],
        [Attachment("raw <data>.csv", b"a,b\n1,2\n"), Attachment("plan.pdf", b"%PDF-1.7")],
        [Figure("Revenue", 1566, decimals=0, unit="EUR"), Figure("Best region", "North", "text")],
        ["Three rows have no weight."],
    )


class Desk:
    """The app on a port of its own; `turn` its clock, `close` and `open` its doors."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.step = Step()
        patch.setattr(views, "Options", Options)
        patch.setattr(jobs, "Options", Options)
        patch.setattr(jobs, "process", self.step)
        patch.setattr(jobs, "finish", self.step.finish)
        self._ahead = 0.0
        given = {"SILO_DATA_DIR": str(folder), "SILO_RUNNER": "thread", "SECRET_KEY": "x" * 32}
        self.app: Flask = create_app(given, clock=self.clock)
        without_children(self.app)
        self.store: SessionStore = self.app.extensions["silo"].store
        self._port = free_port()
        self.open()

    def clock(self) -> float:
        return time.time() + self._ahead

    def turn(self, seconds: float) -> None:
        """Let time pass and sessions end. One whose columns are being read is spared, so again."""
        for _ in range(MOST_TURNS):
            self._ahead += seconds
            self.store.cleanup()
            if not self.store.records.count("session"):
                return
            time.sleep(0.05)
        raise AssertionError("a session outlives every turn of the clock")

    def wait(self, seconds: float) -> None:
        """Let time pass in which no session ends."""
        self._ahead += seconds

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def lines(self, job_id: str) -> list[tuple[int, str]]:
        """What a job has logged so far, with the ids of its events."""
        job = self.store.runner.jobs.read(job_id)
        return job.lines if job else []

    def open(self) -> None:
        self._server = make_server("127.0.0.1", self._port, self.app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def stop(self) -> None:
        self.step.gate.set()
        self.close()
        self.app.extensions["silo"].stop()
