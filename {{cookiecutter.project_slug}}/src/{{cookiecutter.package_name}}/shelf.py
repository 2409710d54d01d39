"""Where a job's files lie, beside those of its session: how they get there, and under which names.

The names are made from the job's id, so that a second attempt replaces what the first one left.
"""

from __future__ import annotations

import io
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, BinaryIO, cast

from .silo.files.base import FileStore
from .silo.files.place import Served
from .silo.sessions.ids import SessionKey
from .values import BYTES, XLSX, clean_name

REVIEW = ".review"
"""What the name ends with under which a review is stored."""


@dataclass(frozen=True)
class Shelf:
    """Where a job has its files; `first` is what the client calls the first of them."""

    store: FileStore
    session: SessionKey
    first: str

    def local(self, name: str) -> AbstractContextManager[Path]:
        return self.store.local(self.session, name)

    def save(self, name: str, data: BinaryIO, served: Served | None = None) -> None:
        self.store.save(self.session, name, data, served)


def deposit(shelf: Shelf, job: str, report: dict[str, Any], bundle: BinaryIO) -> None:
    """Store a report and its files as a job's; the report comes last, so that it has its files."""
    sizes = [file["size"] for file in report["files"]]
    whole = bundle.seek(0, io.SEEK_END)
    bundle.seek(0)
    if report["workbook"]:
        served = Served(workbook_title(shelf.first), XLSX)
        shelf.save(workbook_name(job), part_of(bundle, whole - sum(sizes)), served)
    for number, file in enumerate(report["files"]):
        served = Served(clean_name(file["name"]), BYTES)
        shelf.save(file_name(job, number), part_of(bundle, file["size"]), served)
    shelf.save(json_name(job), io.BytesIO(dumped(report)))


class Part:
    """As much of a stream as belongs to one file."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


def part_of(stream: BinaryIO, size: int) -> BinaryIO:
    return cast(BinaryIO, Part(stream, size))


def dumped(report: dict[str, Any]) -> bytes:
    return json.dumps(report, allow_nan=False, separators=(",", ":")).encode()


def workbook_title(first: str) -> str:
    """What the workbook is called when it is downloaded, after the first file."""
    return f"{PurePath(first).stem} report.xlsx"


def workbook_name(job_id: str) -> str:
    """Under which name a job's workbook is stored."""
    return f"{job_id}.xlsx"


def json_name(job_id: str) -> str:
    """Under which name a job's report is stored as JSON."""
    return f"{job_id}.json"


def file_name(job_id: str, number: int) -> str:
    """Under which name a file that is attached to a job's report is stored."""
    return f"{job_id}.{number}"


def review_name(job_id: str) -> str:
    """Under which name the review is stored that a job has made."""
    return f"{job_id}{REVIEW}"


def is_review(name: str) -> bool:
    """Whether a review is stored under this name."""
    return name.endswith(REVIEW)


def is_of(job_id: str, name: str) -> bool:
    """Whether something is stored for a job."""
    return name.startswith(f"{job_id}.")
