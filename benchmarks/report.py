"""What the benchmarks share: percentiles, figures in files, and the page that shows them all."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGES = {
    "store": (
        "Ours keeps sessions in a SQLite file that several processes share and that outlives them;",
        "flask-silo keeps them in the memory of one process. p50 and p99 stand as `p50 / p99`. Its",
        "README names no server, so it is served both by `flask run` and by gunicorn, as ours is.",
    ),
    "streams": (
        "Each watcher holds an event stream of one web process, and is told something every 2 s by",
        "another process. The server looks for news every 100 ms, a lag of 50 ms by itself.",
    ),
    "upload": (
        "Each way brings one file to one gunicorn worker and has it stored, forced to disk and",
        "hashed; the bare copy writes what a socket brings. Growth is the worker's, at its most.",
    ),
}
"""Each benchmark's name, by which its figures are stored, and what is said above them."""


def percentiles(taken: list[float], unit: float) -> dict[str, float]:
    """Of sorted seconds, in a unit of so many seconds."""
    return {
        f"p{share}": round(taken[min(len(taken) - 1, len(taken) * share // 100)] / unit, 2)
        for share in (50, 99)
    }


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
    """All figures that are stored, as one page."""
    lines = ["# Measured"]
    for path in sorted((HERE / "results").glob("*.json")):
        found = json.loads(path.read_text())
        lines += ["", *said(found, found["made by"], f"results/{path.name}", [found["words"]])]
    for name, words in PAGES.items():
        path = HERE / f"{name}.json"
        if path.exists():
            found = json.loads(path.read_text())
            lines += ["", *said(found, f"make bench-{name}", path.name, words)]
    (HERE / "README.md").write_text("\n".join(lines) + "\n")


def said(found: dict[str, Any], command: str, file: str, words: Iterable[str]) -> list[str]:
    """The tables of one benchmark, below where they come from and what is to be known."""
    versions = ", ".join(f"{package} {version}" for package, version in found["versions"].items())
    return [
        f"Made by `{command}`; the figures are in [{Path(file).name}]({file}).",
        f"{found['machine']}, {versions}; {found['when']}.",
        "",
        *words,
        *tables(found),
    ]


def tables(found: dict[str, Any]) -> list[str]:
    """The figures as Markdown: a table for each group, a row for each subject."""
    lines: list[str] = []
    for group, rows in found.items():
        if group in ("machine", "versions", "when", "made by", "words"):
            continue
        subjects = rows if all(isinstance(row, dict) for row in rows.values()) else {"ours": rows}
        heads = list(dict.fromkeys(key for row in subjects.values() for key in row))
        lines += ["", f"## {group}", "", f"| | {' | '.join(heads)} |"]
        lines += ["|---" * (len(heads) + 1) + "|"]
        for subject, row in subjects.items():
            lines.append(f"| {subject} | {' | '.join(cell(row.get(head, '')) for head in heads)} |")
    return lines


def cell(value: Any) -> str:
    if isinstance(value, dict):
        return " / ".join(f"{each:,}" for each in value.values())
    return f"{value:,}" if isinstance(value, int | float) else str(value)
