"""What is new about a job, for whoever listens: its log lines, how far it is, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..records import Record
from ..streams import News, event, missed
from .job import Job, decode
from .task import TaskState, state_of


@dataclass(frozen=True)
class JobNews:
    """A job as the source of a stream. `key` is its id; empty if there is no job.

    Events: `log` ({"line": text}), `progress` (how the job stands, without its log), and one of
    `complete`, `failed` and `cancelled` (how it stands) or `expired` ({}), which end the stream.
    """

    key: str
    kind: str = "job"

    def news(self, record: Record | None, seen: int) -> News:
        if not self.key:
            return News([event(seen + 1, "progress", TaskState().to_dict())], ended=True)
        if record is None:
            return News([event(seen + 1, "expired", {})], ended=True)
        job = decode(record)
        if seen > job.events:
            seen = 0  # no id of this job's
        lines = [line for line in job.lines if line[0] > seen]
        events = [missed(seen, job.dropped)] if seen < job.dropped else []
        events += [event(number, "log", {"line": line}) for number, line in lines]
        if job.ended and job.changed > seen:
            events.append(event(job.changed, job.status, state_of(job).to_dict()))
        elif job.changed > seen:
            events.append(event(job.changed, "progress", _without_log(job)))
        return News(sorted(events, key=lambda each: each.id), job.ended)


def _without_log(job: Job) -> dict[str, Any]:
    state = state_of(job).to_dict()
    del state["logs"]
    return state
