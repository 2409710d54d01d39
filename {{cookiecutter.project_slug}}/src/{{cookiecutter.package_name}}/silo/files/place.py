"""A place: where files are kept, whatever the back end."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

KEY = re.compile(r"[0-9a-f]{64}")
"""The folder of a session."""


@dataclass(frozen=True)
class Served:
    """What a browser is told of a file that it gets straight from its place."""

    name: str
    media: str


class Place(ABC):
    """Where bytes are kept: files in folders, whose names are safe texts of ours.

    `shared`: whether other machines reach the same files.
    """

    shared = False

    def check(self) -> None:  # noqa: B027 - a place may have nothing that can be wrong
        """Raises SiloError if the place cannot be used, and says why. May take seconds."""

    @abstractmethod
    def put(
        self, folder: str, name: str, data: BinaryIO, label: str, served: Served | None = None
    ) -> str:
        """Keep all of `data`, or nothing if that fails; `label` is kept beside it.

        Replaces what stood under the name. Returns its address. `served` is for `link`. Raises
        OSError.
        """

    @abstractmethod
    def begin(self, folder: str, name: str) -> None:
        """Begin a part: bytes that arrive bit by bit, and are no file before `finish`."""

    @abstractmethod
    def append(self, folder: str, name: str, offset: int, data: BinaryIO) -> int:
        """Add `data` to a part that ends at `offset`; returns where it ends then.

        What came before `data` broke off stays, forced to disk like the rest. Of two that add at
        one place one is told, by PartMoved, where the part ends by then; so what is there came in
        order from those who were not. Raises FileNotFoundError if the part is or goes away, and
        OSError.
        """

    @abstractmethod
    def part_size(self, folder: str, name: str) -> int | None:
        """Where a part ends, in bytes, or the file that it became; None if there is neither."""

    @abstractmethod
    def open_part(self, folder: str, name: str) -> BinaryIO:
        """What has come of a part, or the file that it became. Raises FileNotFoundError."""

    @abstractmethod
    def finish(self, folder: str, name: str, label: str) -> None:
        """Make a part a file, in one step; nothing happens if it is one already.

        Raises FileNotFoundError if there is no such part.
        """

    @abstractmethod
    def open(self, folder: str, name: str) -> BinaryIO:
        """The bytes, to read and to seek in. Raises FileNotFoundError."""

    @contextlib.contextmanager
    def local(self, folder: str, name: str) -> Iterator[Path]:
        """The bytes as a file of this machine while the block lasts. Raises FileNotFoundError.

        A place that has no such file lends a copy, which only this user may read.
        """
        descriptor, path = tempfile.mkstemp()
        try:
            with os.fdopen(descriptor, "wb") as copy, self.open(folder, name) as stream:
                shutil.copyfileobj(stream, copy)
            yield Path(path)
        finally:
            Path(path).unlink(missing_ok=True)

    @abstractmethod
    def address(self, folder: str, name: str) -> str | None:
        """The file's own path, or its URL in a bucket; None if it is not there."""

    def link(self, folder: str, name: str, seconds: int) -> str | None:
        """A URL that anybody may get a file from, as it was `served` to `put`, for so many seconds.

        None from a place that serves nobody, and for a file that is not there or was not served.
        """
        return None

    @abstractmethod
    def labels(self, folder: str) -> list[str]:
        """The labels of a folder's files."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """The names in a folder, those of files that were never completed among them."""

    @abstractmethod
    def remove(self, folder: str, name: str) -> None:
        """Remove a file and its part; nothing happens if they are not there."""

    @abstractmethod
    def remove_folder(self, folder: str) -> None:
        """Remove a folder and all in it; nothing happens if it is not there."""

    @abstractmethod
    def folders(self) -> Iterator[str]:
        """Every folder. Grows with their number, so not for every day."""

    @abstractmethod
    def folder_address(self, folder: str) -> str:
        """The folder's own path, made if need be, or its URL in a bucket."""

    @abstractmethod
    def size(self) -> int:
        """Bytes kept in all. Grows with the number of files."""

    @abstractmethod
    def free(self) -> int | None:
        """Bytes that there is room for, None where nobody knows."""


@dataclass(frozen=True)
class Entry:
    """A file with its label, or a part, which has none yet."""

    name: str
    label: str = ""
    is_part: bool = False


class PlainPlace(Place):
    """A place that keeps bytes as they are, and that encryption may stand in front of."""

    @abstractmethod
    def entries(self, folder: str) -> Iterator[Entry]:
        """All that is kept in a folder, for moving it; nothing if there is no such folder."""

    @abstractmethod
    def cut(self, folder: str, name: str, end: int, to: int) -> None:
        """Let a part that ends at `end` end earlier. Raises PartMoved and FileNotFoundError."""
