"""Rows of ours alone: how cost grows, how far the limit is, how long the template takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .. import environments as env
from .. import inputs
from ..processes import CannotRunError
from ..sizes import Sizes
from .jobs import FOLDER

OURS = env.BENCHMARKS / "compare" / "ours"
MEGABYTES = 2048
"""Of memory for the job that grows: in 1024 a workbook may have 5 million cells."""


def script(name: str, *arguments: object) -> dict[str, Any]:
    """What a script says that runs in the environment of ours."""
    command = [str(env.python("ours")), str(OURS / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=env.CACHE,
        env={**os.environ, "PYTHONPATH": str(env.BENCHMARKS)},
    )
    if done.returncode:
        raise CannotRunError(done.stderr[-300:].strip())
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def growth(sizes: Sizes) -> dict[str, Any]:
    found = {}
    for count in sizes.growth:
        for make in (inputs.text, inputs.workbook):
            file = make(FOLDER, count)
            found[f"{count:,} rows, {file.suffix[1:]}"] = script("grow", file, count, MEGABYTES)
    return found


def sessions(sizes: Sizes) -> dict[str, Any]:
    return script("stored", *sizes.sessions)


def queue(sizes: Sizes) -> dict[str, Any]:
    return script("queued", *sizes.queued)


def limits(sizes: Sizes) -> dict[str, Any]:
    workbook = inputs.workbook(FOLDER, sizes.rows)
    bulk = inputs.bulk(FOLDER, sizes.upload_megabytes)
    return script("limits", workbook, bulk, sizes.post_seconds)


def bake(_: Sizes) -> dict[str, Any]:
    """Seconds of the command from its start to its end, the best and the worst of ten."""
    taken = []
    for _turn in range(10):
        with tempfile.TemporaryDirectory() as folder:
            taken.append(command_seconds(cookiecutter(Path(folder)), env.TEMPLATE))
    taken.sort()
    return {"ours": {"p50 (s)": round(taken[5], 2), "slowest (s)": round(taken[-1], 2)}}


def cookiecutter(folder: Path) -> list[str]:
    command = [sys.executable, "-m", "cookiecutter", str(env.TEMPLATE), "--no-input"]
    return [*command, "--default-config", "--output-dir", str(folder)]


def make_test(_: Sizes) -> dict[str, Any]:
    """In a copy of the template without its environments, so that all set-up counts, too."""
    if not shutil.which("git"):
        raise CannotRunError("git is needed")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "template"
        subprocess.run(["git", "clone", "--quiet", env.TEMPLATE, copy], check=True)
        install = command_seconds(["make", ".venv/.dev"], copy)
        tests = command_seconds(["make", "test"], copy)
    return {"ours": {"set-up (s)": round(install), "make test (s)": round(tests)}}


def command_seconds(command: list[str], folder: Path) -> float:
    """Raises CannotRunError if it fails, with the names of tests that did."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stdout + done.stderr
        env.keep(said)
        failed = [line.strip() for line in said.splitlines() if "FAILED " in line]
        raise CannotRunError("\n".join([command[0], *failed]))
    return time.perf_counter() - began
