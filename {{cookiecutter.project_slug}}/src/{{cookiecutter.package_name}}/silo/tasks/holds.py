"""Which workers live: each holds a lock for its job, which the system frees when it dies."""

from __future__ import annotations

from hashlib import sha256

from ..records import Record
from ..sessions.filelocks import FileLocks


class Holds:
    """A lock for each attempt at a job, so that nobody lets go of another's.

    `locks` are those of the machine that keeps the records. Without them, workers may be on other
    machines, and of a silent one nobody knows whether it is dead: its lease has to decide.
    """

    def __init__(self, locks: FileLocks | None) -> None:
        self._locks = locks

    @property
    def tell(self) -> bool:
        """Whether they tell who is dead."""
        return self._locks is not None

    def take(self, job_id: str, attempt: int) -> bool:
        """Hold an attempt for as long as this process lives; False if somebody else has it."""
        return self._locks is None or self._locks.take(_key(job_id, attempt))

    def free(self, job_id: str, attempt: int) -> None:
        """Let go of an attempt, if this process holds it."""
        if self._locks:
            self._locks.free(_key(job_id, attempt))

    def mark(self, attempt: int) -> bytes:
        """What a lease says of its attempt: nothing, if no lock tells of its worker."""
        return str(attempt).encode() if self._locks else b""

    def is_dead(self, job_id: str, lease: Record) -> bool:
        """Whether the worker that has this lease is known to be dead."""
        if not (self._locks and lease.value):
            return False
        attempt = int(lease.value)
        if dead := self.take(job_id, attempt):
            self.free(job_id, attempt)
        return dead


def _key(job_id: str, attempt: int) -> str:
    return sha256(f"{job_id} {attempt}".encode()).hexdigest()
