"""Moving all that an app keeps: records to another store, files to another place.

Nobody may change anything meanwhile. What is there already and the same is left alone, so a move
that broke off is simply begun again. Files go as they are kept: encrypted ones are not decrypted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, cast

from .errors import SiloError
from .files.place import Entry, PlainPlace
from .records import BATCH, Delete, Put, Record, Records

BATCH_BYTES = 2**20
"""Of records that are written in one step: when there are so many, it is taken."""
CHUNK_BYTES = 2**20
SAME_SECONDS = 0.001
"""Two due times that differ by less are the same: stores round them each in its own way."""

Told = Callable[[int], object]
"""Hears how many more are done."""


class NotMoved(SiloError):
    """Why something cannot be moved, or did not arrive as it was."""


@dataclass
class Moved:
    """How much there was, and how much of it was not there already. `size` is in bytes."""

    count: int = 0
    fresh: int = 0
    size: int = 0


def others(source: Records, target: Records, kind: str) -> int:
    """How many records of the target the source has not, or not as they are there."""
    return sum(not same(record, source.read(kind, key)) for key, record in target.each(kind))


def move_records(source: Records, target: Records, kind: str, told: Told) -> Moved:
    """Have the target hold what the source does of a kind, and no more of it.

    Values and due times are the same then, versions are the target's own.
    """
    moved = Moved()
    for batch in batches(source.each(kind)):
        fresh = [(key, it) for key, it in batch if not same(it, target.read(kind, key))]
        if fresh:
            target.apply(*(Put(kind, key, it.value, it.due) for key, it in fresh))
        moved.count += len(batch)
        moved.fresh += len(fresh)
        moved.size += sum(len(record.value) for _, record in batch)
        told(len(batch))
    while target.count(kind) > moved.count and _remove_strange(source, target, kind):
        pass
    return moved


def _remove_strange(source: Records, target: Records, kind: str) -> bool:
    """Remove records that the source has not, but not many at a time; whether there were any."""
    strange = (key for key, _ in target.each(kind) if source.read(kind, key) is None)
    steps = [Delete(kind, key) for key in islice(strange, BATCH)]
    return bool(steps and target.apply(*steps))


def check_records(source: Records, target: Records, kind: str, moved: Moved, told: Told) -> None:
    """Look once more at both. Raises NotMoved if they differ, or other numbers were moved."""
    count = 0
    for key, record in source.each(kind):
        if not same(record, target.read(kind, key)):
            raise NotMoved(f"A record of the kind {kind!r} {CHANGED}")
        count += 1
        told(1)
    if not count == moved.count == target.count(kind):
        raise NotMoved(
            f"Of the kind {kind!r} there are {count} records, {moved.count} were moved, and "
            f"{target.count(kind)} are where they went. {AGAIN}"
        )


AGAIN = "Stop every server and worker of the app, then migrate again."
CHANGED = f"did not arrive as it is now: somebody has changed it meanwhile. {AGAIN}"


def move_files(source: PlainPlace, target: PlainPlace, folders: Iterable[str], told: Told) -> Moved:
    """Copy the files and parts of these folders with their labels, and read each where it went.

    Raises NotMoved if one is not the same there, and OSError.
    """
    moved = Moved()
    for folder in folders:
        there = frozenset(target.entries(folder))
        for entry in source.entries(folder):
            with opened(source, folder, entry) as stream:
                data = Hashed(stream)
                if entry not in there or data.whole() != sum_of(target, folder, entry):
                    data = Hashed(rewound(stream))
                    copy(data, target, folder, entry)
                    moved.fresh += 1
                    if data.sum != sum_of(target, folder, entry):
                        raise NotMoved(f"A file {CHANGED}")
            moved.count += 1
            moved.size += data.sum[1]
        told(1)
    return moved


def copy(data: Hashed, target: PlainPlace, folder: str, entry: Entry) -> None:
    stream = cast(BinaryIO, data)
    if entry.is_part:
        target.begin(folder, entry.name)
        target.append(folder, entry.name, 0, stream)
    else:
        target.put(folder, entry.name, stream, entry.label)


class Hashed:
    """A stream that is hashed as it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self._digest.update(piece)
        self._size += len(piece)
        return piece

    def whole(self) -> tuple[str, int]:
        """The sum, once all is read."""
        while self.read(CHUNK_BYTES):
            pass
        return self.sum

    @property
    def sum(self) -> tuple[str, int]:
        """The SHA-256 of what was read, in hex, and how many bytes that were."""
        return self._digest.hexdigest(), self._size


def sum_of(place: PlainPlace, folder: str, entry: Entry) -> tuple[str, int]:
    with opened(place, folder, entry) as stream:
        return Hashed(stream).whole()


def opened(place: PlainPlace, folder: str, entry: Entry) -> BinaryIO:
    open_ = place.open_part if entry.is_part else place.open
    return open_(folder, entry.name)


def rewound(stream: BinaryIO) -> BinaryIO:
    stream.seek(0)
    return stream


def same(one: Record | None, other: Record | None) -> bool:
    """Whether two records are the same but for their versions."""
    if one is None or other is None:
        return one is other
    near = one.due == other.due or abs(one.due - other.due) < SAME_SECONDS
    return near and one.value == other.value


def batches(records: Iterator[tuple[str, Record]]) -> Iterator[list[tuple[str, Record]]]:
    """The same in lists that are neither long nor large."""
    batch: list[tuple[str, Record]] = []
    size = 0
    for each in records:
        batch.append(each)
        size += len(each[1].value)
        if len(batch) == BATCH or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
