"""Bake every answer of every question, and run all tests of each app in an environment of its own.

    python tests/matrix.py [BAKE ...]

Prints a line for each bake: its answers, what its tests said, and how long they took. BAKE numbers
those to do, from 1; without it all are done. Ends with 1 if an app's tests fail, whose output is
kept in the folder that is named then. The first bake has the default answers; the others have the
most awkward names, too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conftest import CHOICES, clean_environment, run_cookiecutter
from pairs import NAMES, Row, each_answer

ROWS = [row | name for row, name in zip(each_answer(CHOICES), [{}, *NAMES], strict=False)]
WIDTH = 60


def test(folder: Path, row: Row) -> tuple[bool, str]:
    """Bake an app, run `make test` in it, and return whether it passed, and its last word."""
    answers = [f"{question}={answer}" for question, answer in row.items()]
    baked = run_cookiecutter(folder, "--no-input", *answers)
    if baked.returncode:
        return False, baked.stdout + baked.stderr
    [project] = [path for path in folder.iterdir() if not path.name.startswith(".")]
    with (folder / "output.txt").open("w+", encoding="utf-8") as output:
        done = subprocess.run(
            ["make", "test"],
            cwd=project,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        output.seek(0)
        said = output.read()
    counts = re.findall(r"=+ (.* in .*) =+$", said, re.MULTILINE)
    passed = done.returncode == 0 and bool(counts)
    return passed, counts[-1] if counts else "none: make test ended before them"


def main(numbers: list[int]) -> int:
    folder = Path(tempfile.mkdtemp(prefix="matrix-"))
    failed = 0
    print(f"{'':2} {'answers':{WIDTH}} seconds  tests")
    for number in numbers or range(1, len(ROWS) + 1):
        row = ROWS[number - 1]
        place = folder / str(number)
        started = time.monotonic()
        passed, said = test(place, row)
        seconds = time.monotonic() - started
        answers = " ".join(row[question] for question in CHOICES)
        print(f"{number:<2} {answers:{WIDTH}} {seconds:7.0f}  {said}", flush=True)
        if passed:
            shutil.rmtree(place)
        else:
            failed += 1
            print(f"   FAILED: see {place}/output.txt", flush=True)
    if not failed:
        shutil.rmtree(folder)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main([int(number) for number in sys.argv[1:]]))
