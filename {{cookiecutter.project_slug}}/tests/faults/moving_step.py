"""A step for an app that moves: files named slow wait for a file, and those named review ask."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from {{ cookiecutter.package_name }}.report import Column, Report, Table
from {{ cookiecutter.package_name }}.review import Review, ReviewColumn
from {{ cookiecutter.package_name }}.step import Accepts, InputFile, Progress
from {{ cookiecutter.package_name }}.tables import read

ACCEPTS = Accepts()


class Options(BaseModel):
    """Nothing to choose."""


def process(inputs: Sequence[InputFile], options: Options, progress: Progress) -> Report | Review:
    """The rows as they are, now or later, or for somebody to look at."""
    [sheet] = read(inputs[0]).sheets
    rows = [[str(cell) for cell in row] for row in sheet.rows]
    while inputs[0].name.startswith("slow") and not Path(os.environ["MAY_GO_ON"]).exists():
        progress(1, 2, "Half done")
        time.sleep(0.02)
    if inputs[0].name.startswith("review"):
        return Review("Look", [ReviewColumn(name, editable=True) for name in sheet.header], rows)
    return Report("Done", [Table("Rows", [Column(name) for name in sheet.header], rows)])


def finish(review: Review, options: Options) -> Report:
    """The rows as they were looked at."""
    return Report("Seen", [Table("Rows", [Column(it.name) for it in review.columns], review.rows)])
