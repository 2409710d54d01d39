"""What nothing built on it can beat, ours beside it, and what lies between."""

from __future__ import annotations

from dataclasses import dataclass

from goals import Results, cell, own, times


@dataclass(frozen=True)
class Distance:
    """Ours and its limit, each by row, subject and head; `between` is what ours does besides.

    `scale` brings our figure to the limit's unit.
    """

    title: str
    ours: tuple[str, str, str]
    limit: tuple[str, str, str]
    between: str
    scale: float = 1


DISTANCES = (
    Distance(
        "reading the workbook (ms)",
        ("limits", "our reading", "p50 (ms)"),
        ("limits", "the reader alone (calamine)", "p50 (ms)"),
        "the archive is looked through before anything is unpacked; types, dates and cells that "
        "the reader does not tell of",
    ),
    Distance(
        "one user, upload to report (ms)",
        ("jobs", "ours", "one user (s)"),
        ("limits", "the whole job, warm, without a server", "p50 (ms)"),
        "the upload, forced to disk; the queue; a child process with limits; progress; the "
        "download",
        1000,
    ),
    Distance(
        "a large upload (MB/s)",
        ("upload", "ours", "MB/s"),
        ("limits", "a socket to the disk", "MB/s"),
        "HTTP, the hash, and quotas that are kept while bytes arrive",
    ),
    Distance(
        "a session-bearing POST (req/s)",
        ("post", "ours", "requests a second"),
        ("limits", "Flask with nothing in it, 2 processes", "requests a second"),
        "the session's lock, its state read and written in SQLite, checks of where a call comes "
        "from",
    ),
)


def distances(results: Results) -> list[str]:
    """Ours beside the limit, and what is left; empty before both are measured."""
    lines = []
    for each in DISTANCES:
        ours, limit = figure(results, *each.ours), figure(results, *each.limit)
        if ours and limit:
            ours = round(ours * each.scale, 1)
            left = times(max(ours, limit) / min(ours, limit))
            lines.append(
                f"| {each.title} | {cell(limit)} | {cell(ours)} | {left} times | {each.between} |"
            )
    head = ["| | the limit | ours | distance | what ours does besides |", "|---|---|---|---|---|"]
    return head + lines if lines else []


def figure(results: Results, row: str, subject: str, head: str) -> float | None:
    found = results.get(row, {})
    ours = own(found, "ours") if subject == "ours" else found.get(subject, {})
    return ours.get(head)
