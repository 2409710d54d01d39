"""An object, or a row of them, as one stream to read and to seek in."""

from __future__ import annotations

import errno
import io
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

LEAST_BYTES, MOST_BYTES = 2**20, 2**22
"""What is asked for at a time: more, the longer the reader goes straight on."""

Fetch = Callable[[str, int, int], bytes]
"""`fetch(key, begin, end)`: these bytes of an object, at least one. Raises OSError."""


@dataclass(frozen=True)
class Piece:
    """An object of `size` bytes, and where they begin in the whole."""

    key: str
    begin: int
    size: int

    @property
    def end(self) -> int:
        return self.begin + self.size


class Objects(io.RawIOBase):
    """The bytes of objects that stand in a row, of which `first` have come already."""

    def __init__(self, pieces: Sequence[Piece], fetch: Fetch, first: bytes = b"") -> None:
        self._pieces = [piece for piece in pieces if piece.size]
        self._begins = [piece.begin for piece in self._pieces]
        self._fetch = fetch
        self._size = pieces[-1].end if pieces else 0
        self._at = 0
        self._window, self._window_at = first, 0
        self._span = LEAST_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise OSError(errno.EINVAL, "Before the beginning")
        self._at = origin + offset
        return self._at

    def readinto(self, buffer: object) -> int:
        """Raises OSError."""
        view = memoryview(cast(bytearray, buffer))
        if self._at >= self._size:
            self._window = b""  # of many streams, those that were read hold nothing
            return 0
        if not self._window_at <= self._at < self._window_at + len(self._window):
            self._look()
        begin = self._at - self._window_at
        piece = memoryview(self._window)[begin : begin + len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _look(self) -> None:
        """Have the bytes that are wanted next, and some more."""
        ahead = self._at - self._window_at - len(self._window)
        goes_on = 0 <= ahead < LEAST_BYTES and self._window
        self._span = min(self._span * 2, MOST_BYTES) if goes_on else LEAST_BYTES
        piece = self._pieces[bisect_right(self._begins, self._at) - 1]
        begin = self._at - piece.begin
        self._window = b""  # never two of them at a time
        end = min(begin + self._span, piece.size)
        self._window, self._window_at = self._fetch(piece.key, begin, end), self._at
