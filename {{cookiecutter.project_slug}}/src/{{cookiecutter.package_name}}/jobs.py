"""The worker's side: one job, from its inputs to its stored report."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cache import Found, ResultCache, key_of
from .pipeline import Options, process
from .report import Report
from .report_json import to_json
from .silo.files.base import FileStore, open_place
from .silo.sessions.ids import SessionKey
from .silo.tasks.base import Reporter
from .step import InputFile
from .workbook import write_workbook

STEP_PERCENT = 90.0
"""The part of the progress bar that belongs to the step; the rest is for writing the report."""

ENCRYPTION_KEY = "encryption_key"
"""Under which name a job's runner has the keys of its files."""

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
    location: str,
    key: str,
    files: list[dict[str, Any]],
    options: dict[str, Any],
    cache: dict[str, Any] | None = None,
    min_free: int = 0,
) -> None:
    """Process a session's files and store the report beside them, or one that was made before.

    `location` is the file store's, `key` the session's key, `files` are as `uploads.receive` made
    them; `cache` is what `ResultCache` is told, None without one; `min_free` is what must stay
    free, in bytes. The report's names are made from the job's id, so that a second attempt replaces
    what the first one left behind.
    """
    place = open_place(location, task.secrets.get(ENCRYPTION_KEY, ""))
    store, session = FileStore(place, min_free), SessionKey(key)
    kept = ResultCache(place, **cache) if cache else None
    name = key_of(files, options) if kept else ""
    found = kept.find(name) if kept else None
    if found:
        reuse(task, store, session, found)
        return
    with ExitStack() as stack:
        inputs = [
            StoredFile(file["name"], stack.enter_context(store.local(session, file["id"])))
            for file in files
        ]
        report = process(inputs, Options.model_validate(options), StepProgress(task))
    task.update(STEP_PERCENT, "Writing the report")
    written = report_json(report)
    with tempfile.TemporaryFile() as workbook:
        write_workbook(report, workbook)
        workbook.seek(0)
        store.save(session, workbook_name(task.id), workbook)
        store.save(session, json_name(task.id), written)
        if kept:
            kept.keep(name, written, workbook)


def reuse(task: Reporter, store: FileStore, session: SessionKey, found: Found) -> None:
    """Store a report that was made before as this job's, and say so."""
    report = json.loads(found.report)
    report["notes"].append(REUSED)
    with found.workbook as workbook:
        store.save(session, workbook_name(task.id), workbook)
    store.save(session, json_name(task.id), dumped(report))
    task.complete("Done, from the cache")


def workbook_name(job_id: str) -> str:
    """Under which name a job's workbook is stored."""
    return f"{job_id}.xlsx"


def json_name(job_id: str) -> str:
    """Under which name a job's report is stored as JSON."""
    return f"{job_id}.json"


def run_paths(task: Reporter, paths: list[str], options: dict[str, Any], output: str) -> None:
    """Process files of this machine into the workbook `output`; for the command line."""
    inputs: list[InputFile] = [Path(path) for path in paths]
    report = process(inputs, Options.model_validate(options), StepProgress(task))
    task.update(STEP_PERCENT, "Writing the report")
    path = Path(output)
    part = path.with_name(f".{path.name}.part")
    try:
        write_workbook(report, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def report_json(report: Report) -> bytes:
    return dumped(to_json(report))


def dumped(report: dict[str, Any]) -> bytes:
    return json.dumps(report, allow_nan=False, separators=(",", ":")).encode()
