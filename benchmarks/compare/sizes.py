"""How much of everything a run does: as the issue of the figures has it, or a quick look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Counts, rows of a workbook, seconds, megabytes."""

    rounds: int = 3
    rows: int = 20_000
    jobs: int = 8
    light_seconds: float = 7.0
    post_seconds: int = 6
    upload_megabytes: int = 500
    watchers: int = 1000
    watch_seconds: float = 10.0
    killed_rows: int = 100_000
    asked_seconds: float = 30.0
    growth: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    sessions: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    queued: tuple[int, ...] = (10, 100, 1_000, 10_000)


QUICK = Sizes(
    rounds=1,
    rows=1_000,
    jobs=2,
    light_seconds=1.5,
    post_seconds=1,
    upload_megabytes=20,
    watchers=40,
    watch_seconds=4.0,
    killed_rows=20_000,
    asked_seconds=25.0,
    growth=(100, 1_000),
    sessions=(100, 1_000),
    queued=(10, 50),
)
"""To see that everything runs; its figures mean nothing."""
