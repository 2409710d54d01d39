"""From the upload to the report: one person, eight at once, and how much faster that is."""

from __future__ import annotations

import io
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .. import inputs
from ..environments import CACHE
from ..processes import CannotRunError
from ..sizes import Sizes
from ..subjects import Served, Subject, served

FOLDER = CACHE / "inputs"


def check(report: bytes) -> None:
    """Raises CannotRunError unless it is a workbook with two sheets at least and a chart."""
    names = zipfile.ZipFile(io.BytesIO(report)).namelist()
    sheets = sum(name.startswith("xl/worksheets/sheet") for name in names)
    if sheets < 2 or not any("charts/chart" in name for name in names):
        raise CannotRunError(f"this is not the report: {names}")


def job(running: Served, file: Path) -> float:
    """Seconds that somebody needs who has just come to the page."""
    taken, report = fetched(running, file)
    check(report)
    return taken


def fetched(running: Served, file: Path) -> tuple[float, bytes]:
    """The same, and the report."""
    client = running.client()
    try:
        began = time.perf_counter()
        report = client.report(file)
        return time.perf_counter() - began, report
    finally:
        client.close()


def jobs(subject: Subject, sizes: Sizes) -> dict[str, Any]:
    """One after the other, then all at once, on the same server; one more before warms up."""
    file = inputs.workbook(FOLDER, sizes.rows)
    with served(subject) as running:
        job(running, file)
        alone = sorted(job(running, file) for _ in range(sizes.jobs))
        whole, taken = at_once(running, file, sizes.jobs)
    return {
        "one user (s)": round(alone[len(alone) // 2], 3),
        "slowest (s)": round(alone[-1], 3),
        "all at once (s)": round(whole, 3),
        "first of them (s)": round(taken[0], 3),
        "speed-up": round(sum(alone) / whole, 2),
    }


def at_once(running: Served, file: Path, count: int) -> tuple[float, list[float]]:
    """Seconds until all of them have their report, and of each, sorted."""
    with ThreadPoolExecutor(count) as pool:
        began = time.perf_counter()
        found = list(pool.map(lambda _: fetched(running, file), range(count)))
        whole = time.perf_counter() - began
    for _, report in found:
        check(report)
    return whole, sorted(taken for taken, _ in found)
