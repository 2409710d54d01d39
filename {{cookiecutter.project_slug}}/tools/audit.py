"""Look for known flaws in locked versions, without the network.

    python tools/audit.py requirements.lock requirements-dev.lock

The flaws are those that `advisories.csv` lists beside this file, each with the first version that
has it no more. The list is short and only as new as its last change, so it catches a pin that has
gone back or was never moved on; what is new, the advisory service tells that `make audit` asks.
Exits with 1 if there are any flaws, and with 2 if a file does not hold locked versions.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ADVISORIES = Path(__file__).with_name("advisories.csv")
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)[^#]*")


class NotLocked(Exception):
    """A file that is no lock: whoever finds nothing in it has looked at nothing."""


@dataclass(frozen=True)
class Pin:
    """A package at one version."""

    name: str
    version: Version


@dataclass(frozen=True)
class Advisory:
    """A flaw that a package has below the version `fixed`."""

    package: str
    fixed: Version
    number: str


def advisories() -> list[Advisory]:
    """What is known."""
    with ADVISORIES.open(encoding="utf-8", newline="") as file:
        return [
            Advisory(row["package"], Version(row["fixed"]), row["advisory"])
            for row in csv.DictReader(file)
        ]


def pins(lock: Path) -> list[Pin]:
    """The versions that a requirements file locks. Raises NotLocked."""
    try:
        lines = lock.read_text("utf-8").splitlines()
        found = [pin(line) for line in lines if line.strip() and not line.startswith((" ", "#"))]
    except (OSError, UnicodeError, InvalidVersion) as error:
        raise NotLocked(f"{lock}: {error}") from error
    if not found:
        raise NotLocked(f"{lock} locks nothing.")
    return found


def pin(line: str) -> Pin:
    """A line's package and version. Raises NotLocked."""
    match = PIN.fullmatch(line)
    if match is None:
        raise NotLocked(f"{line!r} does not name one version.")
    return Pin(canonicalize_name(match[1]), Version(match[2]))


def flaws(found: Iterable[Pin], known: Iterable[Advisory]) -> Iterator[str]:
    """A sentence for each advisory that a version falls under."""
    known = list(known)
    for each in found:
        for advisory in known:
            if advisory.package == each.name and each.version < advisory.fixed:
                yield (
                    f"{each.name} {each.version} has {advisory.number}; "
                    f"version {advisory.fixed} has it no more."
                )


def main(locks: list[str]) -> int:
    try:
        found = {pin for lock in locks for pin in pins(Path(lock))}
        if not found:
            raise NotLocked("Name the files to look at.")
    except NotLocked as error:
        print(error, file=sys.stderr)
        return 2
    said = sorted(flaws(found, advisories()))
    print("\n".join(said or [f"{len(found)} locked versions: no flaw that advisories.csv knows."]))
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
