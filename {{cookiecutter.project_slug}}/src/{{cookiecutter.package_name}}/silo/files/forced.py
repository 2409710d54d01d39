"""A large file forced to disk while it arrives, so that little is left to wait for at its end."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Self

BATCH_BYTES = 2**23
"""Written before it is worth a turn of the disk."""


class Forced:
    """A block that writes to an unbuffered file, and at whose end all of that is on the disk.

    The block says what it `wrote`. By itself the system would begin to write only seconds later,
    and who has sent everything would wait for all of it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._helper = ThreadPoolExecutor(1)  # which has no thread before it has work
        self._batch: Future[None] | None = None
        self._waiting = 0

    def __enter__(self) -> Self:
        return self

    def wrote(self, size: int) -> None:
        """So many bytes more are written. Raises OSError if the disk has not taken earlier ones."""
        self._waiting += size
        if self._waiting >= BATCH_BYTES and (self._batch is None or self._batch.done()):
            self._end_batch()
            self._batch = self._helper.submit(os.fsync, self._file.fileno())
            self._waiting = 0

    def __exit__(self, *_: object) -> None:
        """Raises OSError."""
        self._helper.shutdown()
        self._end_batch()
        os.fsync(self._file.fileno())

    def _end_batch(self) -> None:
        """An error is told only once, so whoever heard it has to hand it on."""
        if self._batch is not None:
            self._batch.result()
