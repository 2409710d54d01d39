"""What the benchmarks share: percentiles, figures in files, and the page that shows them all."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import wrap
from typing import Any

import quotes
from distances import distances
from goals import cell, glance, rows_of
from growth import growth

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGES = {
    "store": (
        "Sessions in the store",
        "Ours keeps sessions in a SQLite file that several processes share and that outlives them;",
        "flask-silo keeps them in the memory of one process. p50 and p99 stand as `p50 / p99`. Its",
        "README names no server, so it is served both by `flask run` and by gunicorn, as ours is.",
    ),
    "streams": (
        "Live streams",
        "Each watcher holds an event stream of one web process, and is told something every 2 s by",
        "another process. The server looks for news every 10 to 100 ms, by how many listen.",
    ),
    "upload": (
        "A large upload, each way that it comes",
        "Each way brings one file to one gunicorn worker and has it stored, forced to disk and",
        "hashed; the bare copy writes what a socket brings. Growth is the worker's, at its most.",
    ),
    "scale": (
        "Many machines: Redis, Celery and a bucket",
        "Redis, the S3 server (OpenStack Swift), the web and all workers share the machine, so",
        "more workers than cores bring nothing here. A worker is one process that does one job at",
        "a time; the sample is the app's own step on a workbook of 20 kB.",
    ),
}
"""Each benchmark's name, by which its figures are stored, its title, and what is to be known."""
INTRODUCTION = (
    "An app of this template beside what people would use instead: the same job for all, each in "
    "an environment of its own, served as its documentation says: ours and Flask + Celery by two "
    "web processes, the others by one. The job: a workbook of 20,000 rows and 8 columns of mixed "
    "types becomes a profile with totals, in a report of two sheets with a chart. The command "
    "`make bench` makes it anew: each row in turn for all, for several rounds, of which the median "
    "counts. In brackets: so many times ours."
)
ABOUT = ("machine", "versions", "when", "made by", "words", "rounds", "place")
"""What is said of a benchmark's figures; all else in its file are figures."""
PAGE = HERE / "README.md"
TRIED = HERE / "tried.md"


def percentiles(taken: list[float], unit: float) -> dict[str, float]:
    """Of sorted seconds, in a unit of so many seconds."""
    return {
        f"p{share}": round(taken[min(len(taken) - 1, len(taken) * share // 100)] / unit, 2)
        for share in (50, 99)
    }


def measured(call: Callable[[], Any], times: int) -> list[float]:
    """Seconds of so many calls, sorted."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return sorted(taken)


def about(*packages: str) -> dict[str, Any]:
    """The machine, the versions and the day."""
    return {
        "machine": f"{os.cpu_count()} cores {platform.machine()}, Python {sys.version.split()[0]}",
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "when": time.strftime("%Y-%m-%d"),
    }


def keep(output: Path, found: dict[str, Any]) -> None:
    """Store a benchmark's figures, show them, and write the page of all figures beside them."""
    output.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    print("\n".join(tables(found)))
    if output.parent == HERE:
        write_page()


def write_page() -> None:
    """Write the page of all figures that are stored, and what other pages quote of them."""
    PAGE.write_text(page(), "utf-8")
    quotes.write()


def page() -> str:
    """`tried.md` is written by hand and goes into it."""
    compared = [(path, json.loads(path.read_text("utf-8"))) for path in RESULTS.glob("*.json")]
    compared.sort(key=lambda each: each[1]["place"])
    lines = ["# Measured", *summary({path.stem: found for path, found in compared})]
    if TRIED.exists():
        lines += ["", "## What was tried, and what it gave", "", TRIED.read_text("utf-8").strip()]
    if compared:
        lines += ["", "## Each row of the comparison"]
    for path, found in compared:
        lines += [*tables(found, wrap(found["words"], 100)), "", *made_by(found, path)]
    for name, (title, *words) in PAGES.items():
        path = HERE / f"{name}.json"
        if path.exists():
            found = {"made by": f"make bench-{name}", **json.loads(path.read_text("utf-8"))}
            lines += ["", f"## {title}", "", *made_by(found, path), "", *words, *tables(found)]
    return "\n".join(lines) + "\n"


def summary(compared: dict[str, dict[str, Any]]) -> list[str]:
    """What matters of the comparison, where and when it was made; nothing before there is one."""
    if not compared:
        return []
    results = {name: rows_of(found) for name, found in compared.items()}
    lines = [
        "",
        *wrap(INTRODUCTION, 100),
        "",
        *wrap(where_and_when(list(compared.values())), 100),
        "",
        *glance(results),
    ]
    if left := distances(results):
        lines += [
            "",
            "## The physical limit, and what is left to it",
            "",
            "Measured in the same run; the parts are [below](#the-physical-limit).",
            "",
            *left,
        ]
    if grown := growth(results):
        lines += [
            "",
            "## Growth: what one costs, of many",
            "",
            "It must not rise with their number; the percentiles are below.",
            "",
            *grown,
        ]
    return lines


def where_and_when(several: list[dict[str, Any]]) -> str:
    """The machines, the versions and the days of several files."""
    machines = " and ".join(dict.fromkeys(found["machine"] for found in several))
    versions = {name: each for found in several for name, each in found["versions"].items()}
    days = sorted({found["when"][:10] for found in several})
    told = ", ".join(f"{name} {each}" for name, each in versions.items())
    return f"Measured on {' to '.join(days[:: max(len(days) - 1, 1)])}. {machines}. {told}."


def made_by(found: dict[str, Any], path: Path) -> list[str]:
    """Where figures come from: the command, the file, the machine, the versions and the day."""
    versions = ", ".join(f"{package} {version}" for package, version in found["versions"].items())
    rounds = f" Median of {found['rounds']} rounds." if "rounds" in found else ""
    file = path.relative_to(HERE)
    return [
        f"Made by `{found['made by']}`; the figures are in [{path.name}]({file}).{rounds}",
        f"{found['machine']}, {versions}; {found['when']}.",
    ]


def tables(found: dict[str, Any], words: Iterable[str] = ()) -> list[str]:
    """The figures as Markdown: a table for each group, a row for each subject."""
    lines: list[str] = []
    for group, rows in found.items():
        if group in ABOUT:
            continue
        subjects = rows if all(isinstance(row, dict) for row in rows.values()) else {"ours": rows}
        heads = list(dict.fromkeys(key for row in subjects.values() for key in row))
        lines += ["", f"### {group}", "", *([*words, ""] if words else [])]
        lines += [f"| | {' | '.join(heads)} |"]
        lines += ["|---" * (len(heads) + 1) + "|"]
        for subject, row in subjects.items():
            lines.append(f"| {subject} | {' | '.join(cell(row.get(head, '')) for head in heads)} |")
    return lines


if __name__ == "__main__":
    write_page()
