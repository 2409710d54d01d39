"""What ours is to reach, beside what the others reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
"""A subject's figures by their heads."""
Rows = dict[str, Row]
"""By subject, or by subject and way: `ours, 2 of gunicorn`; of ways the first counts."""
Results = Mapping[str, Rows]
"""By the name of the row, as it is stored in `results`; empty for what was not measured."""

SUBJECTS = ("ours", "flask-silo", "Gradio", "Streamlit", "FastAPI", "Flask + Celery")
KEEPS: dict[str, Callable[[float, float], bool]] = {
    "at most": lambda value, bound: value <= bound,
    "under": lambda value, bound: value < bound,
    "at least": lambda value, bound: value >= bound,
}


@dataclass(frozen=True)
class Goal:
    """A bound: a number, or so many times what a peer has."""

    kind: str
    number: float
    peer: str = ""

    def __str__(self) -> str:
        times = f" times {self.peer}" if self.peer else ""
        return f"{self.kind} {self.number:g}{times}"

    def met(self, rows: Rows, head: str) -> bool:
        value = own(rows, "ours").get(head)
        unit = own(rows, self.peer).get(head) if self.peer else 1
        if not isinstance(value, int | float) or not isinstance(unit, int | float):
            return False
        return KEEPS[self.kind](value, self.number * unit)


@dataclass(frozen=True)
class Word:
    """An answer that must be this one."""

    word: str

    def __str__(self) -> str:
        return self.word

    def met(self, rows: Rows, head: str) -> bool:
        return bool(own(rows, "ours").get(head) == self.word)


@dataclass(frozen=True)
class Line:
    """A figure that matters: in which row it is measured, and under which head."""

    title: str
    row: str
    head: str
    goal: Goal | Word


LINES = (
    Line(
        "one user, upload to report (s)", "jobs", "one user (s)", Goal("at most", 0.5, "flask-silo")
    ),
    Line("eight at once (s)", "jobs", "all at once (s)", Goal("at most", 0.2, "flask-silo")),
    Line("speed-up of 8 jobs over serial, 2 cores", "jobs", "speed-up", Goal("at least", 1.9)),
    Line("light call p99 while 4 jobs run (ms)", "light", "busy p99 (ms)", Goal("at most", 7)),
    Line("the same, beside idle (times)", "light", "busy p99 / idle p99", Goal("at most", 2)),
    Line(
        "session-bearing POST, 32 connections (req/s)",
        "post",
        "requests a second",
        Goal("at least", 1.5, "flask-silo, flask run"),
    ),
    Line("500 MB upload (MB/s)", "upload", "MB/s", Goal("at least", 1.5, "Gradio")),
    Line("500 MB upload: growth (MB)", "upload", "growth (MB)", Goal("under", 20)),
    Line("first load: requests", "first-load", "requests", Goal("at most", 8)),
    Line("first load: KB", "first-load", "KB", Goal("at most", 30)),
    Line(
        "first load: upload control there (s)",
        "first-load",
        "upload control (s)",
        Goal("at most", 0.25),
    ),
    Line("cold start (s)", "cold-start", "seconds", Goal("at most", 0.7)),
    Line("packages", "cold-start", "packages", Goal("at most", 20)),
    Line("MB installed", "cold-start", "MB installed", Goal("at most", 30)),
    Line(
        "1,000 live watchers: with news in 3 s",
        "watchers",
        "of 1,000 with news",
        Goal("at least", 1000),
    ),
    Line("light call p99 beside them (ms)", "watchers", "light p99 (ms)", Goal("under", 10)),
    Line("`kill -9` mid-task, then asked", "kill", "asked", Word("complete")),
    Line("wrong answers in 200, four workers", "wrong", "wrong of 200", Goal("at most", 0)),
    Line("a bake (s)", "bake", "p50 (s)", Goal("under", 1)),
    Line("the template's own `make test` (s)", "make-test", "make test (s)", Goal("under", 600)),
)


def glance(results: Results) -> list[str]:
    """What matters, side by side, and whether it is reached."""
    lines = [
        f"| | {' | '.join(SUBJECTS)} | to reach | |",
        "|---" * (len(SUBJECTS) + 3) + "|",
    ]
    for line in LINES:
        rows = results.get(line.row, {})
        cells = [beside(rows, subject, line.head) for subject in SUBJECTS]
        said = (
            ("met" if line.goal.met(rows, line.head) else "**not met**") if rows else "not measured"
        )
        lines.append(f"| {line.title} | {' | '.join(cells)} | {line.goal} | {said} |")
    return lines


def rows_of(found: Mapping[str, Any]) -> Rows:
    """The figures in a file, which are the only table in it; none if it could not be measured."""
    tables = (value for value in found.values() if isinstance(value, dict) and value)
    return next(
        (each for each in tables if all(isinstance(row, dict) for row in each.values())), {}
    )


def own(rows: Rows, subject: str) -> Row:
    """A subject's figures, by the way that is named, or else by the one that counts."""
    return rows.get(subject) or next(
        (row for name, row in rows.items() if name.partition(", ")[0] == subject), {}
    )


def beside(rows: Rows, subject: str, head: str) -> str:
    """A subject's figure, for each of the ways in which it was measured."""
    ways = {name: row for name, row in rows.items() if name.partition(", ")[0] == subject}
    ours, texts = own(rows, "ours").get(head), []
    for name, row in ways.items():
        way = f"{name.partition(', ')[2]}: " if len(ways) > 1 else ""
        texts.append(way + ratio(row.get(head, "-"), ours, subject != "ours"))
    return "<br>".join(texts) or "-"


def ratio(value: Any, ours: Any, told: bool) -> str:
    """A figure, and how many times ours it is, if that is to be told and can be."""
    numbers = isinstance(value, int | float) and isinstance(ours, int | float)
    return f"{cell(value)} ({times(value / ours)})" if told and numbers and ours else cell(value)


def times(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= 10 else f"{factor:.2g}"


def cell(value: Any) -> str:
    if isinstance(value, dict):
        return " / ".join(f"{each:,}" for each in value.values())
    return f"{value:,}" if isinstance(value, int | float) else str(value)
