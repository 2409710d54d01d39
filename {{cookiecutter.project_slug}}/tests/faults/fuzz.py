"""Fuzz the app from its own OpenAPI document, and its readers with mutated files.

`python -m faults.fuzz --examples 5000 --files 2000 --seed 1` ends with a line of result; the exit
code is 1 if anything was found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutants import End, ends, mutants

from .server import Caller, Server

CONFIG = Path(__file__).with_name("schemathesis.toml")
ROUND = 300
"""Calls of an operation at most, before the next seed; many operations need far fewer."""
REFUSED = (413, 415, 422)
COUNTED = ("SESSIONS", "UPLOADS", "ADDRESS_UPLOADS", "JOBS", "DOWNLOADS")
UNCOUNTED: dict[str, Any] = {f"SILO_LIMIT_{each}": "off" for each in COUNTED}
"""A fuzzer calls more often than anybody may, and 429 is not what it looks for."""


@dataclass(frozen=True)
class Result:
    """What came of a round of calls: schemathesis's own report, and what it said to people."""

    report: dict[str, Any]
    said: str

    @property
    def calls(self) -> int:
        return int(self.report["test_cases"]["generated"])

    @property
    def sound(self) -> bool:
        return self.report["exit_code"] == 0 and bool(self.report["complete"])

    def accepted(self) -> set[str]:
        """The operations that have had something to do."""
        return {
            operation
            for operation, phases in self.report["valid_rates"].items()
            if any(phase["accepted"] for phase in phases.values())
        }


def call_at_random(port: int, most: int, seed: int, folder: Path) -> Result:
    """Call a live server, each operation up to `most` times, and check all that can be checked."""
    report = folder / f"calls-{seed}.json"
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
            *("--config-file", CONFIG, "--no-color", "run"),
            *(f"http://127.0.0.1:{port}/api/openapi.json", "--checks", "all"),
            *("--max-examples", str(most), "--seed", str(seed), "--continue-on-failure"),
            *("--generation-database", "none", "--request-timeout", "120"),
            *("--report", "json", "--report-json-path", report),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "SCHEMATHESIS_HOOKS": f"{__package__}.fuzz_hooks",
        },
        cwd=folder,
        capture_output=True,
        check=False,
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert report.exists(), said
    return Result(json.loads(report.read_bytes()), said)


def end_of(caller: Caller, path: Path) -> str:
    """How the app itself ends a file: refused, complete, or failed, with its sentence."""
    sent = caller.upload(path.name, path.read_bytes())
    if sent.status in REFUSED:
        return f"refused: {sent.json['detail']}"
    assert sent.status == 201, sent
    started = caller.post("/api/process")
    assert started.status == 202, started
    *_, end = caller.listen("/api/events")
    message = json.loads(end.data)
    return f"{end.event}: {message['error'] or message['message']}"


def wrong(end: End, caller: Caller) -> str:
    """What is wrong with how a mutated file ended, if anything is.

    One that kills its process is given to the app, which must survive it and say so.
    """
    if end.kind == "bug":
        return end.said
    if end.kind == "death":
        told = end_of(caller, end.path)
        return "" if told.startswith("failed: ") and told.endswith(".") else told
    return "" if end.kind == "report" or end.said.endswith((".", "”")) else end.said


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--examples", type=int, default=5000)
    options.add_argument("--files", type=int, default=2000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder / "data", **UNCOUNTED)
        server.start()
        calls, found, seed = 0, 0, given.seed
        while calls < given.examples:
            result = call_at_random(server.port, ROUND, seed, folder)
            calls, seed = calls + result.calls, seed + 1
            if not result.sound:
                found += max(1, result.report["test_cases"]["unique_failures"])
                print(result.said)
        kinds: Counter[str] = Counter()
        for end in ends(list(mutants(folder / "files", given.files, given.seed))):
            kinds[end.kind] += 1
            if said := wrong(end, Caller(server.port)):
                found += 1
                print(f"{end.path.name} (seed {given.seed}): {end.kind}: {said}")
        found += server.stop() != 0
    told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    print(f"fuzz: {calls:,} calls; {sum(kinds.values()):,} files ({told}); {found} found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
