"""The worker's side: one job, from its inputs to its stored report."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from . import pipeline
from .cache import Found, ResultCache, key_of
from .edits import AWAITS, Kept, edited
from .pipeline import Options, process
from .report import Attachment, Report
from .report_json import to_json
from .review import Review
from .review_json import dump, load
from .shelf import Shelf, deposit, dumped, review_name
from .silo.files.base import FileStore
from .silo.files.place import Place
from .silo.files.places import open_place
from .silo.sessions.ids import SessionKey
from .silo.tasks.base import Reporter
from .step import NAME_CHARS, InputFile, UserError
from .tables import read

Made = Report | Attachment | Review
Finish = Callable[[Review, Options], Report | Attachment]

STEP_PERCENT = 90.0
"""The part of the progress bar that belongs to the step; the rest is for writing the report."""

FILES, ENCRYPTION_KEY = "files", "encryption_key"
"""Under which names a job's runner has the location of its files, and their keys.

They are no arguments: files may have moved by the time that a job which waits is begun.
"""

MOST_HEADINGS = 2000
"""More nobody picks one from."""

finish: Finish | None = getattr(pipeline, "finish", None)
"""What makes a report of a review; only a step that has reviews needs it."""

RETURN = 'End it with `return Report("…")`: it returns a Report'

REUSED = "This report was made before, from the same files with the same options."


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file, as a step is given it."""

    name: str
    path: Path

    def __fspath__(self) -> str:
        return str(self.path)


class StepProgress:
    """What a step reports, passed on as percent of the whole job."""

    def __init__(self, task: Reporter) -> None:
        self._task = task

    def __call__(self, done: float, total: float, message: str | None = None) -> None:
        share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
        self._task.update(share * STEP_PERCENT, message)

    def log(self, line: str) -> None:
        self._task.log(line)


def run(
    task: Reporter,
    key: str,
    files: list[dict[str, Any]],
    options: dict[str, Any],
    cache: dict[str, Any] | None = None,
    min_free: int = 0,
) -> str | None:
    """Process a session's files and store the report beside them, or one that was made before.

    A step may want a review first: then that is stored, and `AWAITS` returned.

    `key` is the session's, `files` are as `uploads.receive` made them; `cache` is what
    `ResultCache` is told, None without one; `min_free` is what must stay free, in bytes.
    """
    place = place_of(task)
    shelf = Shelf(FileStore(place, min_free), SessionKey(key), files[0]["name"])
    kept = ResultCache(place, **cache, clock=task.clock) if cache else None
    name = key_of(files, options) if kept else ""
    found = kept.find(name) if kept else None
    if found:
        reuse(task, shelf, found)
        return None
    with ExitStack() as stack:
        inputs = [
            StoredFile(file["name"], stack.enter_context(shelf.local(file["id"]))) for file in files
        ]
        made = processed(task, inputs, Options.model_validate(options))
    if isinstance(made, Review):
        shelf.save(review_name(task.id), io.BytesIO(dump(made)))
        return AWAITS
    write(task, shelf, made, kept, name)
    return None


def finish_review(
    task: Reporter,
    key: str,
    job: str,
    edits: Kept,
    options: dict[str, Any],
    min_free: int = 0,
    first: str = "",
) -> None:
    """Make the report of the review that `job` has stored, as `run` does, with a person's edits.

    `first` is what the client calls the first file.

    It is not kept in the cache: hardly two people correct the same.
    """
    shelf = Shelf(FileStore(place_of(task), min_free), SessionKey(key), first)
    with shelf.store.open(shelf.session, review_name(job)) as stream:
        review = edited(load(stream), edits)
    task.update(0, "Making the report")
    write(task, shelf, finished(review, Options.model_validate(options)))


def processed(task: Reporter, inputs: Sequence[InputFile], options: Options) -> Made:
    """What the step makes of files. Raises TypeError if that is nothing to make a report of."""
    made: Any = process(inputs, options, StepProgress(task))
    if not isinstance(made, Made):
        raise TypeError(f"process returned {_said(made)}. {RETURN}, an Attachment or a Review.")
    return made


def finished(made: Made, options: Options) -> Report | Attachment:
    """What comes of what a step returned: of a review, what its `finish` makes of it.

    Raises UserError if the review has an empty cell that must not be, and TypeError if `finish`
    makes no report.
    """
    if not isinstance(made, Review):
        return made
    if missing := made.missing():
        row, name = missing[0]
        raise UserError(f"Row {row + 1} needs its {name}. Review the rows on the page.")
    if finish is None:
        raise TypeError("process returned a Review, and pipeline.py has no finish")
    report: Any = finish(made, options)
    if not isinstance(report, Report | Attachment):
        raise TypeError(f"finish returned {_said(report)}. {RETURN} or an Attachment.")
    return report


def _said(made: object) -> str:
    return "nothing" if made is None else f"a {type(made).__name__}"


def write(
    task: Reporter,
    shelf: Shelf,
    made: Report | Attachment,
    kept: ResultCache | None = None,
    name: str = "",
) -> None:
    """Store what a step made as the job's report, and under a name in the cache, if any."""
    report = as_report(made)
    task.update(STEP_PERCENT, "Writing the report")
    written = to_json(report)
    with tempfile.TemporaryFile() as bundle:
        write_bundle(report, bundle)
        deposit(shelf, task.id, written, bundle)
        if kept:
            kept.keep(name, dumped(written), bundle)


def reuse(task: Reporter, shelf: Shelf, found: Found) -> None:
    """Store a report that was made before as this job's, and say so."""
    report = json.loads(found.report)
    report["notes"].append(REUSED)
    with found.files as bundle:
        deposit(shelf, task.id, report, bundle)
    task.complete("Done, from the cache")


def as_report(made: Report | Attachment) -> Report:
    """What a step returned, as a report: a file is one that has nothing else."""
    return Report(made.name, files=[made]) if isinstance(made, Attachment) else made


def write_report(report: Report, to: Path | BinaryIO) -> None:
    """Write the workbook of a report."""
    from .workbook import write_workbook  # here: web processes know jobs, and need no openpyxl

    write_workbook(report, to)


def write_bundle(report: Report, bundle: BinaryIO) -> None:
    """All files of a report, one after the other: its workbook, if any, and what is attached."""
    if report.has_workbook:
        write_report(report, bundle)
    bundle.seek(0, io.SEEK_END)
    for file in report.files:
        with file.open() as stream:
            shutil.copyfileobj(stream, bundle)


def place_of(task: Reporter) -> Place:
    """Where a job's files are."""
    return open_place(task.secrets[FILES], task.secrets.get(ENCRYPTION_KEY, ""))


def read_headings(task: Reporter, key: str, files: list[dict[str, Any]]) -> list[str]:
    """The names of the columns of a session's tables, each once; what cannot be read has none."""
    store = FileStore(place_of(task))
    found: dict[str, None] = {}
    for file in files:
        with (
            contextlib.suppress(UserError, FileNotFoundError),  # others may have taken its place
            store.local(SessionKey(key), file["id"]) as path,
        ):
            for sheet in read(StoredFile(file["name"], path)).sheets:
                found |= dict.fromkeys(name for name in sheet.header if len(name) <= NAME_CHARS)
    return list(found)[:MOST_HEADINGS]
