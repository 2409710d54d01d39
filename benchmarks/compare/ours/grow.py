"""One job in a process of its own: its stages, the memory it took at most, and that per row.

It may use so much memory as with `SILO_TASK_MEMORY_MB` at that number.

python grow.py FILE ROWS MEGABYTES
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from acme_reports.pipeline import Options, process
from acme_reports.step import SilentProgress, UserError
from acme_reports.tables import read
from acme_reports.workbook import write_workbook


def peak() -> float:
    """Megabytes that this process has held at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 10**6


def main(name: str, rows: str, megabytes: str) -> None:
    file, count, before = Path(name), int(rows), peak()
    resource.setrlimit(resource.RLIMIT_AS, (int(megabytes) * 2**20,) * 2)
    times = [time.perf_counter()]
    try:
        report = process([file], Options(), SilentProgress())
    except UserError as sentence:
        print(json.dumps({"refused": str(sentence)}))
        return
    times.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as folder:
        write_workbook(report, Path(folder) / "report.xlsx")
    times.append(time.perf_counter())
    grown = peak() - before
    read(file)
    times.append(time.perf_counter())
    step, writing, reading = (b - a for a, b in pairwise(times))
    figures = {
        "all (s)": round(step + writing, 2),
        "of it reading (s)": round(reading, 2),
        "of it writing (s)": round(writing, 2),
        "µs a row": round((step + writing) / count * 1e6, 1),
        "memory (MB)": round(grown, 1),
        "bytes a row": round(grown * 10**6 / count),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
