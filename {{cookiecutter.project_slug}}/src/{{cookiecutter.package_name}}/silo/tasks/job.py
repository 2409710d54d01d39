"""A job: one run of one task, and the record that it is stored as."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from ..records import Record
from .queue import Priority

Status = Literal["idle", "queued", "running", "complete", "failed", "cancelled"]
End = Literal["complete", "failed", "cancelled"]
ENDS: tuple[End, ...] = get_args(End)

LOG_LINES = 200
LINE_CHARS = 500
SENTENCE_CHARS = 4000
"""A line of a job's log, and the sentence with which it ends, are cut after so many."""
OWNER_CHARS = 8
"""As much of a session's key as tells it from others in a log, and is of no other use."""


def sentence(said: object) -> str:
    """What a person is told at the end, within reason: it may quote a file."""
    text = str(said)
    return text if len(text) <= SENTENCE_CHARS else f"{text[:SENTENCE_CHARS]}…"


@dataclass(frozen=True)
class Job:
    """One run of one task. Times are unix seconds; `progress` is 0 to 100.

    `target` is `module:function`, or empty if only this process can run it; `args` and `kwargs` are
    JSON-like. `owner` is the key of the session that it belongs to. `attempts` is how often it may
    be begun, counting those whose worker died; `retries` is how often it may be tried again after
    an error that nobody foresaw, `backoff` seconds later at first and twice as long each time.

    What is told of it has rising ids, the last of which is `events`: each of its last log `lines`
    has one, and the last change to how it stands (`changed`). Lines up to the id `dropped` are no
    longer kept.
    """

    id: str
    name: str
    owner: str | None = None
    target: str = ""
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    status: Status = "queued"
    attempt: int = 0
    attempts: int = 1
    priority: Priority = "normal"
    delay: float = 0.0
    retries: int = 0
    backoff: float = 1.0
    cancelling: bool = False
    progress: float = 0.0
    message: str = "Waiting to start"
    lines: list[tuple[int, str]] = field(default_factory=list)
    events: int = 0
    changed: int = 0
    dropped: int = 0
    error: str | None = None
    result: Any = None
    created_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def active(self) -> bool:
        """Whether it is queued or running."""
        return self.status in ("queued", "running")

    @property
    def logs(self) -> list[str]:
        """The last lines of its log."""
        return [line for _, line in self.lines]

    @property
    def stand(self) -> tuple[Any, ...]:
        """What is told of how it stands, as it is told."""
        return (self.status, self.attempt, round(self.progress, 1), self.message, self.error)

    @property
    def ended(self) -> bool:
        """Whether it has come to an end, of whatever kind."""
        return self.status in ENDS

    def hears(self, attempt: int | None) -> bool:
        """Whether it is this attempt at it that is at work; None: anybody's word, until its end."""
        if attempt is None:
            return not self.ended
        return self.status == "running" and self.attempt == attempt

    def with_lines(self, lines: Iterable[str]) -> Job:
        """The job with more lines in its log, of which the last are kept."""
        added = list(enumerate((str(line)[:LINE_CHARS] for line in lines), self.events + 1))
        every = [*self.lines, *added]
        gone = every[:-LOG_LINES]
        return replace(
            self,
            lines=every[-LOG_LINES:],
            events=self.events + len(added),
            dropped=gone[-1][0] if gone else self.dropped,
        )


def new_id() -> str:
    """An id for a job: 128 random bits in hex."""
    return secrets.token_hex(16)


def encode(job: Job) -> bytes:
    """The job as its record's value."""
    return json.dumps(vars(job), separators=(",", ":")).encode()


def decode(record: Record) -> Job:
    """The job in a record; what another release has put there besides is passed over."""
    stored = json.loads(record.value)
    return Job(**{name: stored[name] for name in FIELDS if name in stored})


FIELDS = [each.name for each in fields(Job)]
