"""Figures of several rounds made into one, stored as JSON, and shown as the tables of the page."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from . import environments as env

RESULTS = env.BENCHMARKS / "results"
Figures = dict[str, Any]


def combined(rounds: list[Figures]) -> Figures:
    """The median of each number; of words, how often each was said."""
    heads = dict.fromkeys(head for each in rounds for head in each)
    return {head: one([each[head] for each in rounds if head in each]) for head in heads}


def one(values: list[Any]) -> Any:
    if all(isinstance(value, int | float) for value in values):
        found = median(values)
        return int(found) if found == int(found) and isinstance(values[0], int) else round(found, 3)
    counts = {value: values.count(value) for value in dict.fromkeys(map(str, values))}
    return ", ".join(
        f"{value} ({n} times)" if len(counts) > 1 else value for value, n in counts.items()
    )


def about(environments: list[str]) -> Figures:
    """The machine, the versions of what is compared, and the day."""
    named = {"ours": ("Flask", "gunicorn"), "celery": ("celery", "Flask", "gunicorn")}
    names = {"flask_silo": ("flask-silo",), "fastapi": ("fastapi", "uvicorn"), **named}
    versions: dict[str, str] = {}
    for environment in environments:
        found = env.packages(environment)
        versions |= {name: found[name] for name in names.get(environment, (environment,))}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{os.cpu_count()} cores {platform.machine()}, {memory:.0f} GB, "
        f"{platform.system()} {platform.release()}, Python {sys.version.split()[0]}",
        "versions": versions,
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def store(name: str, found: Figures) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return path
