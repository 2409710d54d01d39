"""Figures that other pages quote: made from the files that hold them, with where and when.

They stand between two comments in each page, and nobody writes there by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from goals import LINES, SUBJECTS, beside, rows_of

HERE = Path(__file__).parent
TEMPLATE = HERE.parent
README = TEMPLATE / "README.md"
DEPLOYMENT = TEMPLATE / "{{cookiecutter.project_slug}}" / "docs" / "deployment.md"
BEGIN, END = "<!-- figures: made by benchmarks/quotes.py -->\n", "<!-- /figures -->\n"

TOLD = (
    "one user (s)",
    "all at once (s)",
    "busy p99 (ms)",
    "MB/s",
    "KB",
    "seconds",
    "packages",
    "asked",
    "wrong of 200",
)
"""Which lines of the comparison the README shows, by their heads."""
OF_OURS = """\
{where}; {when}:

- From the call that starts a job to the step's first line: {line[p50]:.1f} ms (p99 {line[p99]:.1f} ms).
- 2,000 people watching one process: each is told within {lag[p50]:.0f} ms (p99 {lag[p99]:.0f} ms).
- An upload of 500 MB: the process grows by at most {growth} MB.
- Beside flask-silo 0.1.6, which keeps sessions in memory and loses them with its process: with 100,000
  sessions reading one costs {ours[get][p50]:.0f} µs instead of {silo[get][p50]:.1f}, and one worker changes {one:,} a second instead of
  {silo_one:,}; an idle cleanup costs {ours[idle cleanup][p50]:.0f} µs instead of {silo_idle:.0f} ms.
"""  # noqa: E501 - as long as the figures make it
HOW_LARGE = """\
The template's benchmarks measured ({where}; {when}):

| | measured |
|---|---|
| calls that change a session's state | {one:,} a second with one worker process, {four:,} with four |
| from the call that starts a job to the step's first line | {line[p50]:.1f} ms, at p99 {line[p99]:.1f} ms |
| event streams in one process | 2,000, each told within {lag[p50]:.0f} ms (p99 {lag[p99]:.0f} ms), about {stream:.0f} KB of memory each |
| an upload of 500 MB | at {slowest} to {fastest} MB/s, the process grows by at most {growth} MB |
| what the database takes for a session | about {ours[disk a session (bytes)]} bytes; files come to that |
"""  # noqa: E501


def values() -> dict[str, Any]:
    """What the texts above need."""
    store, streams, upload = (
        read(HERE / f"{name}.json") for name in ("store", "streams", "upload")
    )
    calls, rates = store["calls (µs)"], store["32 connections"]
    stream = streams["live streams"]["2,000"]
    ways = [way for name, way in rows_of(upload).items() if name != "a bare copy"]
    speeds = [way["MB/s, median"] for way in ways]
    return {
        "where": store["machine"],
        "when": store["when"],
        "line": store["from POST to the step's first line (ms)"],
        "lag": stream["lag (ms)"],
        "stream": stream["memory a stream (KB)"],
        "growth": max(way["growth (MB)"] for way in ways),
        "slowest": min(speeds),
        "fastest": max(speeds),
        "ours": calls["ours, 100,000"],
        "silo": (silo := calls["flask-silo, 100,000"]),
        "silo_idle": silo["idle cleanup"]["p50"] / 1000,
        "one": rates["POST, ours, 1 worker"]["requests a second"],
        "four": rates["POST, ours, 4 workers"]["requests a second"],
        "silo_one": rates["POST, flask-silo, 1 worker"]["requests a second"],
    }


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def readme() -> str:
    return compared() + OF_OURS.format(**values())


def deployment() -> str:
    return HOW_LARGE.format(**values())


def compared() -> str:
    """Some lines of the comparison; nothing before it was made."""
    found = {path.stem: read(path) for path in (HERE / "results").glob("*.json")}
    lines = [line for line in LINES if line.head in TOLD and line.row in found]
    if not lines:
        return ""
    table = [f"| | {' | '.join(SUBJECTS)} |", "|---" * (len(SUBJECTS) + 1) + "|"]
    for line in lines:
        cells = [beside(rows_of(found[line.row]), subject, line.head) for subject in SUBJECTS]
        table.append(f"| {line.title} | {' | '.join(cells)} |")
    last = max((found[line.row] for line in lines), key=lambda each: str(each["when"]))
    table += ["", f"{last['machine']}; {last['when']}. In brackets: so many times ours.", ""]
    return "\n".join(table) + "\n"


PLACES: dict[Path, Callable[[], str]] = {README: readme, DEPLOYMENT: deployment}


def filled(page: Path) -> str:
    """The page with its figures as they are now. Raises ValueError if it has no place for them."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{page} has no place for figures")
    return before + BEGIN + PLACES[page]() + END + after


def write() -> None:
    for page in PLACES:
        page.write_text(filled(page), "utf-8")
