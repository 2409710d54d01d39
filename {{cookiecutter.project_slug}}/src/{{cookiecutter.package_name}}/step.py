"""What a processing step is given and what it may raise.

`pipeline.py` imports from here and from `report.py`; it needs neither Flask nor `silo`.
"""

from __future__ import annotations

from typing import Protocol

from .silo.errors import Cancelled, UserError

__all__ = ["Cancelled", "InputFile", "Progress", "SilentProgress", "UserError"]


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
