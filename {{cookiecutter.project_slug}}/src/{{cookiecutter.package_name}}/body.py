"""A request's body on its way into an upload."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import IO

from .problems import Problem
from .uploads import HEAD_BYTES, check_head

BEAT_SECONDS = 0.2
TYPES = "https://iana.org/assignments/http-problem-types#"
"""What the draft's types of problems begin with."""


class Arriving:
    """A request's body on its way into an upload that has `room` for so many bytes more.

    What is read is hashed, and the beginning of the file, of which `head` is there already, is
    checked as soon as it is known (`None`: it has been). The body ends where its connection does:
    `cut` says so then. `beat` is called before whatever comes `BEAT_SECONDS` after the last beat.
    """

    def __init__(self, body: IO[bytes], name: str, head: bytes | None, room: int) -> None:
        self._body = body
        self._name = name
        self._head = head
        self._room = room
        self._last = time.monotonic()
        self.size = 0
        self.hash = hashlib.sha256()
        self.cut = False
        self.beat: Callable[[], None] = lambda: None

    def read(self, size: int) -> bytes:
        """Raises Problem if the body is too long, or the file not what its name says."""
        piece = self._receive(min(size, self._room + 1))
        if len(piece) > self._room:
            raise inconsistent_length()
        self.size += len(piece)
        self._room -= len(piece)
        self.hash.update(piece)
        if self._head is not None and piece:
            self._check(piece)
        if time.monotonic() - self._last > BEAT_SECONDS:
            self.beat()
            self._last = time.monotonic()
        return piece

    def _receive(self, size: int) -> bytes:
        try:
            return self._body.read(size)
        except Exception:  # each server raises something else when its client is gone
            self.cut = True
            return b""

    def _check(self, piece: bytes) -> None:
        self._head = (self._head or b"") + piece[:HEAD_BYTES]
        if len(self._head) >= HEAD_BYTES or not self._room:
            check_head(self._name, self._head[:HEAD_BYTES])
            self._head = None


def inconsistent_length() -> Problem:
    return Problem(
        "inconsistent_length",
        "What is sent does not have the length that was announced.",
        type=f"{TYPES}inconsistent-upload-length",
    )
