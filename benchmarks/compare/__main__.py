"""Ours beside what people would use instead; `make bench` runs it.

    make bench                                       every row, every subject
    make bench PEERS="gradio ours" ONLY="jobs"       some of them
    make bench ARGS=--quick                          to see that all runs; keeps no figures

Each row takes all subjects in turn, for several rounds, one way round and then the other; the
median of the rounds counts. A row that cannot run for somebody says so, and the command fails.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from report import tables, write_page

from . import results
from .catalogue import ALONE, ROWS, Alone, Row
from .environments import CACHE, FAILED
from .processes import CannotRunError, NotApplicableError
from .sizes import QUICK, Sizes
from .subjects import SUBJECTS, Subject

NAMES = {subject.environment.replace("_", "-"): subject for subject in SUBJECTS}
Failures = list[str]


def main() -> int:
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and no server is left behind
    (CACHE / "inputs").mkdir(parents=True, exist_ok=True)
    FAILED.unlink(missing_ok=True)
    sizes = QUICK if given.quick else Sizes()
    sizes = replace(sizes, rounds=given.rounds or sizes.rounds, rows=given.rows or sizes.rows)
    subjects = [NAMES[name] for name in given.peers or NAMES]
    for subject in subjects:
        subject.install()
    failures: Failures = []
    for name in given.only or [*ROWS, *(name for name in ALONE if not ALONE[name].asked)]:
        print(f"{name}", file=sys.stderr, flush=True)
        found = measured(name, subjects, sizes, failures)
        print("\n".join(tables(found)), flush=True)
        if not (given.quick or given.peers or given.rows):
            results.store(name, found)
            write_page()
    for failure in failures:
        print(failure, file=sys.stderr)
    if FAILED.exists():
        print(f"What was said then is in {CACHE.name}/{FAILED.name}", file=sys.stderr)
    return bool(failures)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", nargs="*", choices=NAMES, metavar="NAME", help=" ".join(NAMES))
    rows = [*ROWS, *ALONE]
    parser.add_argument("--only", nargs="*", choices=rows, metavar="ROW", help=" ".join(rows))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--rows", type=int, help="of the workbook")
    parser.add_argument("--quick", action="store_true", help="all at small sizes; keeps no figures")
    return parser.parse_args()


def measured(
    name: str, subjects: Sequence[Subject], sizes: Sizes, failures: Failures
) -> dict[str, Any]:
    """A row with what is to be known of it."""
    row = ROWS.get(name) or ALONE[name]
    head: dict[str, Any] = {"made by": f"make bench ONLY={name}", "words": row.words}
    head["place"] = [*ROWS, *ALONE].index(name)
    if isinstance(row, Alone):
        found = tried(partial(row.measure, sizes), name, failures)
        return {**head, **results.about(["ours"]), row.title: found}
    found = compared(name, row, subjects, sizes, failures)
    about = results.about([subject.environment for subject in subjects])
    head["rounds"] = sizes.rounds
    return {**head, **about, row.title: found}


def compared(
    name: str, row: Row, subjects: Sequence[Subject], sizes: Sizes, failures: Failures
) -> dict[str, Any]:
    """The subjects in turn, one way round and then the other."""
    rounds: dict[str, list[dict[str, Any]]] = {}
    for turn in range(sizes.rounds):
        for subject in subjects if turn % 2 == 0 else reversed(subjects):
            print(f"  {turn + 1}: {subject.name}", file=sys.stderr, flush=True)
            label = f"{name}, {subject.name}"
            figures = tried(partial(row.measure, subject, sizes), label, failures)
            several = all(isinstance(each, dict) for each in figures.values())
            for way, found in (figures if several else {"": figures}).items():
                rounds.setdefault(f"{subject.name}, {way}".strip(", "), []).append(found)
    return {subject: results.combined(each) for subject, each in rounds.items()}


def tried(measure: Callable[[], dict[str, Any]], label: str, failures: Failures) -> dict[str, Any]:
    """Figures, or why there are none."""
    try:
        return measure()
    except NotApplicableError as reason:
        return {"": str(reason)}
    except Exception as error:  # whatever it is, the other subjects go on
        said = (
            str(error) if isinstance(error, CannotRunError) else f"{type(error).__name__}: {error}"
        )
        failures.append(f"{label} could not run: {said}")
        return {"": "could not run"}


if __name__ == "__main__":
    sys.exit(main())
