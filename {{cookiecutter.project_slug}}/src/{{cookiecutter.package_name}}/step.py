"""What a processing step is given and what it may raise.

`pipeline.py` imports from here and from `report.py`; it needs neither Flask nor `silo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Protocol

from pydantic import Field

from .silo.errors import Cancelled, UserError

__all__ = [
    "Accepts",
    "Cancelled",
    "ColumnName",
    "InputFile",
    "Progress",
    "SilentProgress",
    "UserError",
]

TABLES = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".csv", ".tsv")
"""The suffixes of what `tables.read` reads."""

NAME_CHARS = 200
ColumnName = Annotated[str, Field(max_length=NAME_CHARS, json_schema_extra={"format": "column"})]
"""An option that is the name of a column; the form offers those of the uploaded tables."""


@dataclass(frozen=True)
class Accepts:
    """Which files a step takes: their suffixes in lower case, and how many at a time.

    Tables are looked into before they are stored; files of other types are taken as they are.
    Raises `ValueError`.
    """

    suffixes: tuple[str, ...] = TABLES
    least: int = 1
    most: int = 100

    def __post_init__(self) -> None:
        if not self.suffixes or any(s[:1] != "." or s != s.lower() for s in self.suffixes):
            raise ValueError('suffixes are written as in (".csv",) or (".csv", ".xlsx").')
        if not 1 <= self.least <= self.most:
            raise ValueError(f"{self.least} to {self.most} files cannot be sent.")

    def refusal(self, names: Sequence[str]) -> str | None:
        """Why files of these names are not taken, for a person; None if they are."""
        wrong = next((name for name in names if suffix(name) not in self.suffixes), None)
        if wrong is not None:
            said = " or ".join(filter(None, [", ".join(self.suffixes[:-1]), self.suffixes[-1]]))
            return f"{wrong} is not a type that can be read. Choose a file that ends in {said}."
        return None if self.least <= len(names) <= self.most else self.count

    @property
    def count(self) -> str:
        """How many files to choose, for a person."""
        if self.least == self.most:
            return f"Choose {'one file' if self.most == 1 else f'exactly {self.most} files'}."
        return f"Choose {self.least} to {self.most} files."


def suffix(name: str) -> str:
    """The name's last suffix in lower case, with its dot."""
    return PurePath(name.replace("\\", "/").strip()).suffix.lower()


class InputFile(Protocol):
    """An uploaded file: a path to its bytes, and the name it had on the person's machine.

    A `pathlib.Path` is one, which is what tests and the command line pass. In the app the path
    holds a generated name without a suffix, so take the file's type from `name`, never from the
    path.
    """

    @property
    def name(self) -> str: ...

    def __fspath__(self) -> str: ...


class Progress(Protocol):
    """How a step says where it is. Both calls raise `Cancelled` once the person has cancelled."""

    def __call__(self, done: float, total: float, message: str | None = None) -> None:
        """Say that `done` of `total` units are done; the unit is the step's own."""

    def log(self, line: str) -> None:
        """Add a line to the log that the page shows."""


class SilentProgress:
    """A `Progress` that nobody watches, for tests and scripts."""

    def __call__(self, done: float, total: float, message: str | None = None) -> None:
        pass

    def log(self, line: str) -> None:
        pass
