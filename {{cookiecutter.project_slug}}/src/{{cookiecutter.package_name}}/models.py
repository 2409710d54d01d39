"""The JSON that calls take and answer, as models for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .review import ReviewKind
from .silo import TaskState


class StoredFile(BaseModel):
    """A file of the session; `size` is in bytes, `sha256` in hex."""

    id: str
    name: str
    size: int
    sha256: str


class Files(BaseModel):
    """The session's files."""

    files: list[StoredFile]


class UploadState(BaseModel):
    """How an upload stands; `size` is how many bytes it will have, `offset` how many have come."""

    id: str
    name: str
    size: int
    offset: int


class SessionState(BaseModel):
    """How the session stands; `expires_in` is in seconds."""

    session: Literal["none", "live", "expired"]
    files: list[StoredFile]
    options: dict[str, Any] | None
    job: TaskState | None
    review: str | None
    expires_in: float | None


class StreamEvent(BaseModel):
    """One event of a stream; `data` is JSON. A stream that is to be asked for again says when."""

    event: str | None = None
    id: str | None = None
    data: str | None = None
    retry: int | None = None


class Headings(BaseModel):
    """The columns of the session's tables; None until they are read."""

    status: Literal["idle", "queued", "running", "complete", "failed", "cancelled"]
    columns: list[str] | None


class ReviewColumn(BaseModel):
    """A column of a review, and what its values must keep to; dates are ISO 8601."""

    name: str
    kind: ReviewKind
    editable: bool
    choices: list[str]
    least: int | float | str | None
    most: int | float | str | None
    longest: int
    required: bool


class Cell(BaseModel):
    """Where a value stands; rows count from 0."""

    row: int
    column: str


class Review(BaseModel):
    """Rows to review from `offset` on, with the edits so far, of which there are `edits`.

    `edited` says which of these cells the person has changed; `row_count` is of all rows.
    """

    review: str
    title: str
    notes: list[str]
    columns: list[ReviewColumn]
    row_count: int
    offset: int
    rows: list[list[str | int | float | bool | None]]
    edited: list[Cell]
    edits: int


class Edited(BaseModel):
    """What is kept: how many `edits` the `review` of this id has."""

    review: str
    edits: int


class Wanted(BaseModel):
    """Which file a link shall be for: the workbook, all files, or an attached one by its number."""

    model_config = ConfigDict(extra="forbid")

    file: str = Field("workbook", pattern="^(workbook|all|0|[1-9][0-9]{0,3})$")


class Link(BaseModel):
    """A link for the browser's own download; `expires_in` is in seconds."""

    url: str
    expires_in: int


class Health(BaseModel):
    """Whether the server can serve."""

    status: Literal["ok", "unavailable"]
