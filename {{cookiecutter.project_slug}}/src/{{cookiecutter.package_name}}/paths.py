"""A job on files of this machine, for the command line."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .jobs import STEP_PERCENT, as_report, finished, processed, write_report
from .pipeline import Options
from .review import Review
from .silo.tasks.base import Reporter
from .step import InputFile
from .values import file_names


def run_paths(
    task: Reporter, paths: list[str], options: dict[str, Any], output: str, folder: str
) -> dict[str, Any]:
    """Process files of this machine; for the command line.

    The workbook becomes `output`, and attached files go into `folder`, under their own names.
    Nobody is there for a review, so its rows go into the report as the step made them. Returns
    whether there is a `workbook`, the names of the `files`, and whether a review was `passed`.
    """
    inputs: list[InputFile] = [Path(path) for path in paths]
    chosen = Options.model_validate(options)
    made = processed(task, inputs, chosen)
    report = as_report(finished(made, chosen))
    task.update(STEP_PERCENT, "Writing the report")
    if report.has_workbook:
        with replaced(Path(output)) as part:
            write_report(report, part)
    names = file_names(file.name for file in report.files)
    for name, file in zip(names, report.files, strict=True):
        Path(folder).mkdir(exist_ok=True)
        with (
            replaced(Path(folder) / name) as part,
            file.open() as stream,
            part.open("wb") as target,
        ):
            shutil.copyfileobj(stream, target)
    passed = isinstance(made, Review)
    return {"workbook": report.has_workbook, "files": names, "passed": passed}


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path to write to, whose file takes the place of the other once the block has ended well."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
