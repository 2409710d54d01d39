"""Files in a bucket: S3 and whatever speaks as it does, Google Cloud Storage, Azure.

    FOLDER/NAME                    a file, its label in its metadata
    FOLDER/NAME.label              a label that is too long for that
    FOLDER/NAME.part               a part: the name of its row
    FOLDER/NAME.row/ROW/OFFSET     a piece of a row, named by where it begins

An object cannot be added to, so a part is a row of objects, and the file that it becomes is one
small object that says which row it is: nothing is copied, and it is there in one step. A piece is
only put where there is none, so of two who add at one place one comes too late.

Reading, writing and listing agree with each other at once, in all of these stores.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, unquote_to_bytes

from obstore.exceptions import AlreadyExistsError

from ..errors import FilesUnavailable, PartMoved
from .buckets import WHOLE_BYTES, Bucket, reached
from .gathering import DISPOSITION, READ_BYTES, all_of, gathered, heads
from .place import KEY, Entry, PlainPlace, Served
from .reading import LEAST_BYTES, Objects, Piece

if TYPE_CHECKING:
    from obstore import Attributes, GetResult

PIECE_BYTES = 2**22
"""Of a part, held in memory: what is lost of it if this process is killed."""
LABEL_CHARS = 200
"""Of a label that goes with its object: S3 takes 2 KB of metadata in all, others 256 bytes each."""
LOOKS = 8

LABEL, PART, ROW = ".label", ".part", ".row"
ELSEWHERE = "/"
"""In the place of a label: it is an object of its own."""


class ObjectPlace(PlainPlace):
    """A bucket below a prefix. All raise FilesUnavailable where the bucket cannot be reached."""

    shared = True

    def __init__(self, location: str) -> None:
        self.bucket = Bucket(location)

    def check(self) -> None:
        self.bucket.check()

    def put(
        self, folder: str, name: str, data: BinaryIO, label: str, served: Served | None = None
    ) -> str:
        key = f"{folder}/{name}"
        attributes = self._labelled(key, label) | heads(served)
        first = gathered(data, WHOLE_BYTES)
        first.unbroken()
        if len(first.data) < WHOLE_BYTES:
            self.bucket.put(key, first.data, attributes)
            return self._url(key)
        self.bucket.put_pieces(key, all_of(first, data), attributes)
        return self._url(key)

    def begin(self, folder: str, name: str) -> None:
        self.bucket.put(f"{folder}/{name}{PART}", secrets.token_hex(8).encode())

    def append(self, folder: str, name: str, offset: int, data: BinaryIO) -> int:
        row = self._row(folder, name)
        self._check_end(row, offset)
        while True:
            found = gathered(data, PIECE_BYTES)
            if found.data:
                piece = Piece(key_of(row, offset), offset, len(found.data))
                self._add(folder, name, piece, found.data)
            offset += len(found.data)
            found.unbroken()
            if len(found.data) < PIECE_BYTES:
                return offset

    def cut(self, folder: str, name: str, end: int, to: int) -> None:
        """From the end on, so that what is left is a row at each moment."""
        row = self._row(folder, name)
        pieces = self._check_end(row, end)
        for piece in reversed(pieces):
            if piece.begin >= to:
                self.bucket.delete([piece.key])
            elif piece.end > to:
                self.bucket.put(piece.key, self.bucket.read_part(piece.key, 0, to - piece.begin))

    def part_size(self, folder: str, name: str) -> int | None:
        try:
            return end_of(self._pieces(self._row(folder, name)))
        except FileNotFoundError:
            found = self.bucket.head(f"{folder}/{name}")
        return size_of(found) if found else None

    def open_part(self, folder: str, name: str) -> BinaryIO:
        try:
            row = self._row(folder, name)
        except FileNotFoundError:
            return self.open(folder, name)
        return self._reading(self._pieces(row))

    def finish(self, folder: str, name: str, label: str) -> None:
        key = f"{folder}/{name}"
        try:
            row = self._row(folder, name)
        except FileNotFoundError:
            if self.bucket.head(key):
                return
            raise
        size = end_of(self._pieces(row))
        told = {"row": row.rpartition("/")[2], "size": str(size)}
        self.bucket.put(key, b"", self._labelled(key, label) | told)
        self.bucket.delete([f"{key}{PART}"])
        self.bucket.delete(
            [each for each, _ in self.bucket.list(f"{key}{ROW}") if not each.startswith(row)]
        )

    def open(self, folder: str, name: str) -> BinaryIO:
        key = f"{folder}/{name}"
        found = self.bucket.get(key)
        if row := found.attributes.get("row"):
            return self._reading(self._pieces(f"{key}{ROW}/{row}", size_of(found)))
        size, tag = found.meta["size"], found.meta["e_tag"]
        with reached():
            first = next(iter(found.stream(LEAST_BYTES)), b"")
        return self._reading([Piece(key, 0, size)], bytes(first), tag)

    def address(self, folder: str, name: str) -> str | None:
        key = f"{folder}/{name}"
        return self._url(key) if self.bucket.head(key) else None

    def folder_address(self, folder: str) -> str:
        return self._url(folder)

    def link(self, folder: str, name: str, seconds: int) -> str | None:
        key = f"{folder}/{name}"
        found = self.bucket.head(key)
        if found is None or DISPOSITION not in found.attributes:
            return None
        try:
            return self.bucket.sign(key, seconds)
        except FilesUnavailable:  # these credentials may do all but sign, and that was logged
            return None

    def labels(self, folder: str) -> list[str]:
        keys = [key for key, _ in self.bucket.list(folder) if is_file(key)]
        with ThreadPoolExecutor(LOOKS) as pool:
            found = list(pool.map(self._label, keys))
        return [label for label in found if label is not None]

    def entries(self, folder: str) -> Iterator[Entry]:
        keys = [key for key, _ in self.bucket.list(folder)]
        parts = {key for key in keys if key.endswith(PART)}
        for key in sorted(keys):
            if key in parts:
                yield Entry(name_of(key), is_part=True)
            elif is_file(key) and (label := self._label(key)) is not None:
                yield Entry(name_of(key), label)

    def names(self, folder: str) -> list[str]:
        return sorted({name_of(key) for key, _ in self.bucket.list(folder)})

    def remove(self, folder: str, name: str) -> None:
        """The part first, so that nothing is added to its row any more."""
        key = f"{folder}/{name}"
        self.bucket.delete([f"{key}{PART}", key, f"{key}{LABEL}"])
        self.bucket.delete([each for each, _ in self.bucket.list(f"{key}{ROW}")])

    def remove_folder(self, folder: str) -> None:
        """Looks until nothing is there: who adds to a part may not know yet that it is gone."""
        while keys := [key for key, _ in self.bucket.list(folder)]:
            self.bucket.delete(keys)

    def folders(self) -> Iterator[str]:
        yield from filter(KEY.fullmatch, self.bucket.folders())

    def size(self) -> int:
        return sum(size for _, size in self.bucket.list())

    def free(self) -> None:
        return None

    def _url(self, key: str) -> str:
        return f"{self.bucket.address}/{key}"

    # Rows

    def _row(self, folder: str, name: str) -> str:
        """What the keys of a part's pieces begin with. Raises FileNotFoundError."""
        key = f"{folder}/{name}"
        return f"{key}{ROW}/{self.bucket.read(f'{key}{PART}').decode()}"

    def _pieces(self, row: str, size: int | None = None) -> list[Piece]:
        """The pieces of a row up to the first gap. Raises FileNotFoundError if it is too short."""
        pieces: list[Piece] = []
        for key, length in sorted(self.bucket.list(row)):
            piece = Piece(key, int(key.rpartition("/")[2], 16), length)
            if piece.begin != end_of(pieces) or piece.begin == size:
                break
            pieces.append(piece)
        if size is not None and end_of(pieces) != size:
            raise FileNotFoundError(row)
        return pieces

    def _check_end(self, row: str, end: int) -> list[Piece]:
        """The pieces of a row. Raises PartMoved if it ends elsewhere."""
        pieces = self._pieces(row)
        if end_of(pieces) != end:
            raise PartMoved(end_of(pieces))
        return pieces

    def _add(self, folder: str, name: str, piece: Piece, data: bytes) -> None:
        """Put a piece, unless there is one. Raises PartMoved, and FileNotFoundError.

        Who finds one there may have put it: the answer to a first try was lost on the way.
        """
        row, mark = piece.key.rpartition("/")[0], secrets.token_hex(8)
        try:
            self.bucket.put(piece.key, data, {"by": mark}, "create")
        except AlreadyExistsError:
            found = self.bucket.head(piece.key)
            if found is None or found.attributes.get("by") != mark:
                raise PartMoved(end_of(self._pieces(row))) from None
        try:
            if self._row(folder, name) == row:
                return
        except FileNotFoundError:
            pass
        self.bucket.delete([piece.key])
        raise FileNotFoundError(name)

    def _reading(self, pieces: list[Piece], first: bytes = b"", tag: str | None = None) -> BinaryIO:
        def fetch(key: str, begin: int, end: int) -> bytes:
            return self.bucket.read_part(key, begin, end, tag)

        raw = Objects(pieces, fetch, first)
        return io.BufferedReader(raw, READ_BYTES)

    def _labelled(self, key: str, label: str) -> Attributes:
        """The metadata that hold a label, or say that it is an object, which is there by now."""
        data = label.encode("utf-8", "surrogatepass")
        text = quote(data, safe="")
        if len(text) > LABEL_CHARS:
            self.bucket.put(f"{key}{LABEL}", data)
            text = ELSEWHERE
        return {"label": text} if text else {}

    def _label(self, key: str) -> str | None:
        """The label of a file, None if that is not there any more."""
        found = self.bucket.head(key)
        if found is None:
            return None
        text = str(found.attributes.get("label", ""))
        data = self.bucket.read(f"{key}{LABEL}") if text == ELSEWHERE else unquote_to_bytes(text)
        return data.decode("utf-8", "surrogatepass")


def key_of(row: str, begin: int) -> str:
    return f"{row}/{begin:016x}"


def end_of(pieces: Sequence[Piece]) -> int:
    return pieces[-1].end if pieces else 0


def size_of(found: GetResult) -> int:
    """The bytes of a file, whether it is an object or a row."""
    return int(found.attributes.get("size", found.meta["size"]))


def is_file(key: str) -> bool:
    return key.count("/") == 1 and not key.endswith((LABEL, PART))


def name_of(key: str) -> str:
    """The name of the file that an object belongs to."""
    name = key.split("/")[1]
    for suffix in (LABEL, PART, ROW):
        name = name.removesuffix(suffix)
    return name
