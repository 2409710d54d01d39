"""Files in a directory of this machine."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from .base import Place

CHUNK_BYTES = 2**20
LABEL = ".label"
KEY = re.compile(r"[0-9a-f]{64}")


class LocalPlace(Place):
    """A directory a session, readable for this user alone; a file and its label side by side.

    Files are written under a temporary name, forced to disk and renamed, so that a crash leaves the
    whole file or none. The label is written first: a file never stands there without its label.
    """

    def __init__(self, location: str) -> None:
        url = urlsplit(location)
        self._root = Path(unquote(url.path) if url.scheme == "file" else location).absolute()
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, folder: str, name: str, data: BinaryIO, label: str) -> None:
        directory = self.folder_path(folder)
        with tempfile.NamedTemporaryFile(dir=directory, prefix="part-", delete=False) as part:
            try:
                shutil.copyfileobj(data, part, CHUNK_BYTES)
                part.flush()
                os.fsync(part.fileno())
                self._write_label(directory / f"{name}{LABEL}", label)
                Path(part.name).replace(directory / name)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise

    def open(self, folder: str, name: str) -> BinaryIO:
        return (self._root / folder / name).open("rb")

    def path(self, folder: str, name: str) -> Path | None:
        path = self._root / folder / name
        return path if path.is_file() else None

    def labels(self, folder: str) -> list[str]:
        return [
            path.read_bytes().decode("utf-8", "surrogatepass")
            for path in (self._root / folder).glob(f"*{LABEL}")
            if path.with_suffix("").is_file()
        ]

    def names(self, folder: str) -> list[str]:
        return sorted({path.name.removesuffix(LABEL) for path in (self._root / folder).glob("*")})

    def remove(self, folder: str, name: str) -> None:
        (self._root / folder / name).unlink(missing_ok=True)
        (self._root / folder / f"{name}{LABEL}").unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        shutil.rmtree(self._root / folder, ignore_errors=True)

    def folders(self) -> Iterator[str]:
        for entry in os.scandir(self._root):
            if entry.is_dir(follow_symlinks=False) and KEY.fullmatch(entry.name):
                yield entry.name

    def folder_path(self, folder: str) -> Path:
        path = self._root / folder
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def size(self) -> int:
        return sum(
            p.stat().st_size for p in self._root.rglob("*") if p.is_file() and p.suffix != LABEL
        )

    def _write_label(self, path: Path, label: str) -> None:
        """Written with the mode that files here have; renamed into place with the next file."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(label.encode("utf-8", "surrogatepass"))
