"""What is put into an object: as much of a stream as goes there, and what browsers are told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from .place import Served

if TYPE_CHECKING:
    from obstore import Attributes

READ_BYTES = 2**16
DISPOSITION = "Content-Disposition"


@dataclass(frozen=True)
class Gathered:
    """What was read of a stream, and what it broke off with, if it did."""

    data: bytes
    error: OSError | None = None

    def unbroken(self) -> None:
        """Raises OSError."""
        if self.error:
            raise self.error


def gathered(data: BinaryIO, least: int) -> Gathered:
    """At least so many bytes of a stream, all of what its last `read` gave; fewer at its end.

    So a piece ends where a record of encryption does.
    """
    pieces, size = [], 0
    try:
        while size < least and (piece := data.read(READ_BYTES)):
            pieces.append(piece)
            size += len(piece)
    except OSError as error:
        return Gathered(b"".join(pieces), error)
    return Gathered(b"".join(pieces))


def all_of(first: Gathered, data: BinaryIO) -> Iterator[bytes]:
    yield first.data
    while piece := data.read(READ_BYTES):
        yield piece


def heads(served: Served | None) -> Attributes:
    """What a browser is told that gets a file from the bucket."""
    if served is None:
        return {}
    return {"Content-Type": served.media, DISPOSITION: attachment(served.name)}


def attachment(name: str) -> str:
    """A Content-Disposition (RFC 6266) in ASCII, which is all that metadata may hold."""
    plain = re.sub(r"[^ !#-.0-\[\]-~]", "_", name)
    said = f'attachment; filename="{plain}"'
    return said if plain == name else f"{said}; filename*=UTF-8''{quote(name, safe='')}"
