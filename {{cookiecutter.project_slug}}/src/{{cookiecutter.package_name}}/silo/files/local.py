"""Files in a directory of this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO
from urllib.parse import unquote, urlsplit

from ..errors import PartMoved
from .place import KEY, Entry, PlainPlace, Served

if sys.platform != "win32":
    import fcntl

CHUNK_BYTES = 2**20
PIECE_BYTES = 2**16
"""Added to a part at a time: what a broken connection may lose, and what is held in memory."""

LABEL = ".label"
PART = ".part"


class LocalPlace(PlainPlace):
    """A directory a session, readable for this user alone; a file and its label side by side.

    Files are written under a temporary name, forced to disk and renamed, so that a crash leaves the
    whole file or none. The label is written first: a file never stands there without its label.
    """

    def __init__(self, location: str) -> None:
        url = urlsplit(location)
        self._root = Path(unquote(url.path) if url.scheme == "file" else location).absolute()
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(
        self, folder: str, name: str, data: BinaryIO, label: str, served: Served | None = None
    ) -> str:
        directory = self._directory(folder)
        descriptor, part = tempfile.mkstemp(dir=directory, prefix="part-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(data, file, CHUNK_BYTES)
                file.flush()
                os.fsync(descriptor)
            # Closed by now: Windows neither renames nor removes what is open.
            self._write_label(directory / f"{name}{LABEL}", label)
            Path(part).replace(directory / name)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        return str(directory / name)

    def begin(self, folder: str, name: str) -> None:
        self._directory(folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.close(os.open(self._part(folder, name), flags, 0o600))

    def append(self, folder: str, name: str, offset: int, data: BinaryIO) -> int:
        from .forced import Forced  # a job's child appends nothing, and is spared the import

        with self._part(folder, name).open("r+b", buffering=0) as part:
            _add(part, offset, b"")
            with Forced(part) as forced:
                while piece := data.read(PIECE_BYTES):
                    _add(part, offset, piece)
                    offset += len(piece)
                    forced.wrote(len(piece))
        return offset

    def cut(self, folder: str, name: str, end: int, to: int) -> None:
        with self._part(folder, name).open("r+b", buffering=0) as part, _alone(part):
            _check_end(part, end)
            part.truncate(to)

    def part_size(self, folder: str, name: str) -> int | None:
        for path in (self._part(folder, name), self._root / folder / name):
            with contextlib.suppress(FileNotFoundError):
                return path.stat().st_size
        return None

    def open_part(self, folder: str, name: str) -> BinaryIO:
        part = self._part(folder, name)
        return part.open("rb") if part.exists() else self.open(folder, name)

    def finish(self, folder: str, name: str, label: str) -> None:
        directory, part = self._root / folder, self._part(folder, name)
        if part.exists() or not (directory / name).is_file():
            self._write_label(directory / f"{name}{LABEL}", label)
            part.replace(directory / name)

    def open(self, folder: str, name: str) -> BinaryIO:
        return (self._root / folder / name).open("rb")

    @contextlib.contextmanager
    def local(self, folder: str, name: str) -> Iterator[Path]:
        path = self._root / folder / name
        if not path.is_file():
            raise FileNotFoundError(name)
        yield path

    def address(self, folder: str, name: str) -> str | None:
        path = self._root / folder / name
        return str(path) if path.is_file() else None

    def labels(self, folder: str) -> list[str]:
        return [entry.label for entry in self.entries(folder) if not entry.is_part]

    def names(self, folder: str) -> list[str]:
        return sorted({path.name.removesuffix(LABEL) for path in self._paths(folder)})

    def entries(self, folder: str) -> Iterator[Entry]:
        """Files may come and go meanwhile."""
        for path in self._paths(folder):
            with contextlib.suppress(FileNotFoundError):
                if path.suffix == PART:
                    yield Entry(path.stem, is_part=True)
                elif path.suffix != LABEL:
                    yield Entry(path.name, _read_label(path.with_name(f"{path.name}{LABEL}")))

    def remove(self, folder: str, name: str) -> None:
        for suffix in (PART, "", LABEL):
            (self._root / folder / f"{name}{suffix}").unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        shutil.rmtree(self._root / folder, ignore_errors=True)

    def folders(self) -> Iterator[str]:
        for entry in os.scandir(self._root):
            if entry.is_dir(follow_symlinks=False) and KEY.fullmatch(entry.name):
                yield entry.name

    def _paths(self, folder: str) -> list[Path]:
        """What lies in a folder; nothing if that is not there, or goes away."""
        try:
            return sorted((self._root / folder).iterdir())
        except FileNotFoundError:
            return []

    def folder_address(self, folder: str) -> str:
        return str(self._directory(folder))

    def size(self) -> int:
        """Files may come and go meanwhile."""
        total = 0
        for folder, _, names in os.walk(self._root):
            for name in names:
                if not name.endswith(LABEL):
                    with contextlib.suppress(FileNotFoundError):
                        total += Path(folder, name).stat().st_size
        return total

    def free(self) -> int:
        return shutil.disk_usage(self._root).free

    def _directory(self, folder: str) -> Path:
        """A folder's own, made if need be."""
        path = self._root / folder
        while True:
            try:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            except FileExistsError:
                if path.exists() and not path.is_dir():
                    raise
                # It was there and is no longer: somebody has removed it between two looks.
            else:
                return path

    def _part(self, folder: str, name: str) -> Path:
        return self._root / folder / f"{name}{PART}"

    def _write_label(self, path: Path, label: str) -> None:
        """Written with the mode that files here have; renamed into place with the next file."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(label.encode("utf-8", "surrogatepass"))


def _read_label(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogatepass")


def _add(part: IO[bytes], offset: int, piece: bytes) -> None:
    """Write at the end of a part, if that is `offset`, and nobody else does meanwhile.

    Raises PartMoved, and FileNotFoundError if the part has been removed.
    """
    with _alone(part):
        _check_end(part, offset)
        part.seek(offset)
        rest = memoryview(piece)
        while rest:
            rest = rest[part.write(rest) :]


def _check_end(part: IO[bytes], end: int) -> None:
    found = os.fstat(part.fileno())
    if not found.st_nlink:
        raise FileNotFoundError(part.name)
    if found.st_size != end:
        raise PartMoved(found.st_size)


_turn = threading.Lock()


@contextlib.contextmanager
def _alone(part: IO[bytes]) -> Iterator[None]:
    """Keep others from the part, in whatever process; the lock goes with its holder."""
    if sys.platform == "win32":
        with _turn:  # one process serves there
            yield
    else:
        fcntl.flock(part, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(part, fcntl.LOCK_UN)
