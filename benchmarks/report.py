"""What the benchmarks share: percentiles, figures in files, and the page that shows them all."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
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
    "scale": (
        "Redis, the S3 server (OpenStack Swift), the web and all workers share the machine, so",
        "more workers than cores bring nothing here. A worker is one process that does one job at",
        "a time; the sample is the app's own step on a workbook of 20 kB.",
    ),
}
"""Each benchmark's name, by which its figures are stored, and what is said above them."""
ABOUT = ("machine", "versions", "when", "made by", "words", "shown", "rounds", "place")
"""What is said of a benchmark's figures; all else in its file are figures."""
SUBJECTS = ("ours", "flask-silo", "Gradio", "Streamlit", "FastAPI", "Flask + Celery")


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
    """All figures that are stored, as one page; `tried.md` is written by hand and goes into it."""
    compared = [(path, json.loads(path.read_text())) for path in RESULTS.glob("*.json")]
    compared.sort(key=lambda each: each[1]["place"])
    lines = ["# Measured", *glance([found for _, found in compared if "shown" in found])]
    tried = HERE / "tried.md"
    lines += ["", tried.read_text().strip()] if tried.exists() else []
    for path, found in compared:
        lines += [
            "",
            *said(found, found["made by"], f"results/{path.name}", wrap(found["words"], 100)),
        ]
    for name, words in PAGES.items():
        path = HERE / f"{name}.json"
        if path.exists():
            found = json.loads(path.read_text())
            lines += ["", *said(found, f"make bench-{name}", path.name, words)]
    (HERE / "README.md").write_text("\n".join(lines) + "\n")


def glance(compared: list[dict[str, Any]]) -> list[str]:
    """What matters of each comparison, side by side."""
    if not compared:
        return []
    lines = [
        "",
        "`make bench` makes the comparison anew: each row in turn for all, for several rounds, of",
        "which the median counts. In brackets: so many times ours.",
        "",
        f"| | {' | '.join(SUBJECTS)} |",
        "|---" * (len(SUBJECTS) + 1) + "|",
    ]
    for found in compared:
        title, rows = next((key, rows) for key, rows in found.items() if key not in ABOUT)
        heads = "; ".join(found["shown"])
        cells = [beside(rows, subject, found["shown"]) for subject in SUBJECTS]
        lines.append(f"| {title}: {heads} | {' | '.join(cells)} |")
    return lines


def beside(rows: dict[str, dict[str, Any]], subject: str, heads: Sequence[str]) -> str:
    """A subject's figures, for each of the ways in which it was measured."""
    own = next(row for name, row in rows.items() if name.partition(",")[0] == "ours")
    ways = {name: row for name, row in rows.items() if name.partition(",")[0] == subject}
    texts = []
    for name, row in ways.items():
        figures = "; ".join(ratio(row.get(head, "-"), own.get(head)) for head in heads)
        texts.append(f"{name.partition(', ')[2]}: {figures}" if len(ways) > 1 else figures)
    return "<br>".join(texts)


def ratio(value: Any, own: Any) -> str:
    """A figure, and how many times ours it is, unless it is ours."""
    numbers = isinstance(value, int | float) and isinstance(own, int | float)
    if not numbers or not own or value == own:
        return cell(value)
    return f"{cell(value)} ({value / own:.2g})"


def said(found: dict[str, Any], command: str, file: str, words: Iterable[str]) -> list[str]:
    """The tables of one benchmark, below where they come from and what is to be known."""
    versions = ", ".join(f"{package} {version}" for package, version in found["versions"].items())
    rounds = f" Median of {found['rounds']} rounds." if "rounds" in found else ""
    return [
        f"Made by `{command}`; the figures are in [{Path(file).name}]({file}).{rounds}",
        f"{found['machine']}, {versions}; {found['when']}.",
        "",
        *words,
        *tables(found),
    ]


def tables(found: dict[str, Any]) -> list[str]:
    """The figures as Markdown: a table for each group, a row for each subject."""
    lines: list[str] = []
    for group, rows in found.items():
        if group in ABOUT:
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
