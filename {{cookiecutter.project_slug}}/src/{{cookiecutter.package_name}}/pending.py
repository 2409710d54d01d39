"""Pending uploads: files of a session that are on their way, or wait to be taken.

The session's state knows each one's name, length and, once it is whole, hash. Its bytes are a part
in the session's files, and where the part ends is the offset, so that neither a crash nor a full
disk can make it lie. Both go with the session, and no other session knows of them.

The lock of the session is held for moments only, never while bytes arrive. Whoever adds to an
upload has its turn, and looks at each beat whether that still is so: a client that comes again has
given up the connection before, which may not know it yet. So who takes the turn away and waits for
a beat knows an offset that holds. A reset or the session's end takes it away likewise.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from . import body
from .body import Arriving
from .problems import Problem
from .silo import FileStore, SessionExpired, SiloError
from .silo.errors import PartMoved, UnreadableFile
from .silo.sessions.base import SessionStore
from .uploads import Stored, taken_away, too_much

NAMESPACE = "uploads"
MOST_PENDING = 200

Entry = dict[str, Any]
"""`name`, `length` in bytes, `at` (about when bytes came last), `turn` (who adds to it, if anybody
does), and `sha256` once it is whole."""


class Pending:
    """The pending uploads of a session; they may hold `quota` bytes in all.

    One into which nothing came for a TTL of the session is removed when the next one is created.
    """

    def __init__(self, store: SessionStore, files: FileStore, sid: str, quota: int) -> None:
        self._store = store
        self._files = files
        self._sid = sid
        self._quota = quota

    def create(self, name: str, length: int) -> tuple[str, Entry]:
        """A new upload's id, and what is known of it. Raises Problem if it is one too many, or too
        large."""
        upload, now = secrets.token_hex(16), self._store.clock()
        try:
            with self._change() as uploads:
                abandoned = [u for u, each in uploads.items() if each["at"] + self._store.ttl < now]
                for each in abandoned:
                    del uploads[each]
                self._admit(uploads, length)
                entry = {"name": name, "length": length, "at": now, "turn": None}
                uploads[upload] = entry
                self._files.begin(self._sid, upload)
        except BaseException:
            self._files.remove(self._sid, upload)
            raise
        self._files.remove(self._sid, *abandoned)
        return upload, entry

    def find(self, upload: str) -> tuple[Entry, int]:
        """What is known of an upload, and its offset; the session's TTL begins anew.

        Raises SessionExpired, and Problem if the session has no such upload.
        """
        entry = self._entry(upload)
        size = self._files.part_size(self._sid, upload)
        if size is None:
            raise unknown()
        return entry, size

    def settle(self, upload: str, at: int | None = None) -> tuple[Entry, int]:
        """The same, once nobody adds to it any more: the offset holds until somebody does again.

        If it is beyond `at` already, nobody is disturbed.
        """
        entry, size = self.find(upload)
        if entry["turn"] is None or (at is not None and at < size):
            return entry, size
        with self._changing(upload) as changed:
            changed["turn"] = None
        time.sleep(1.5 * body.BEAT_SECONDS)
        return self.find(upload)

    def append(self, upload: str, offset: int, data: Arriving, last: bool) -> tuple[Entry, int]:
        """Add to an upload that is at `offset`; if that was the `last` of it, it is whole.

        What is known of it then, and its offset. Raises PartMoved and OSError, after which it can
        go on, SessionExpired, and Problem and UnreadableFile, after which it is gone.
        """
        turn = secrets.token_hex(8)
        with self._changing(upload) as entry:
            entry |= {"turn": turn, "at": self._store.clock()}
        data.beat = lambda: self._stay(upload, turn)
        try:
            size = self._files.append(self._sid, upload, offset, cast(BinaryIO, data))
            whole = last and not data.cut and size == entry["length"]
            found = {"sha256": self._hash(upload, offset, data)} if whole else {}
        except FileNotFoundError as error:
            raise taken_away() from error
        except (Problem, UnreadableFile):
            self.remove(upload)
            raise
        except BaseException:
            with contextlib.suppress(Problem, SiloError):
                self._end_turn(upload, turn)
            raise
        return self._end_turn(upload, turn, **found), size

    def head(self, upload: str, size: int) -> bytes:
        """The first bytes of what has come, `size` at most."""
        with self._files.open_part(self._sid, upload) as part:
            return part.read(size)

    def remove(self, upload: str) -> None:
        """Remove an upload; nothing happens if it is not there, or has become a file by now."""
        entry: Entry | None = None
        with contextlib.suppress(SessionExpired), self._change() as uploads:
            entry = uploads.pop(upload, None)
        if entry:
            self._files.remove(self._sid, upload)

    def take(self, session: dict[str, Any], ids: list[str]) -> list[Stored]:
        """Turn uploads into files, for a transaction to keep; until it does, they stay what they
        are.

        Raises Problem if one is unknown or not whole, or if they are too large together, and
        UnreadableFile if one is not any more what it was.
        """
        entries: dict[str, Entry] = session[NAMESPACE]
        if not all(each in entries for each in ids):
            raise unknown()
        if not all("sha256" in entries[each] for each in ids):
            raise Problem("upload_incomplete", "A file has not arrived in full.")
        if sum(entries[each]["length"] for each in ids) > self._quota:
            raise too_much(self._quota)
        try:
            return [self._taken(each, entries.pop(each)) for each in ids]
        except FileNotFoundError as error:
            raise taken_away() from error

    def _taken(self, upload: str, entry: Entry) -> Stored:
        name, size, sha256 = entry["name"], entry["length"], entry["sha256"]
        if self._files.part_size(self._sid, upload) not in (size, None):
            raise UnreadableFile
        self._files.finish(self._sid, upload)
        return {"id": upload, "name": name, "size": size, "sha256": sha256}

    def _admit(self, uploads: dict[str, Entry], length: int) -> None:
        """What others will need is theirs already, so nobody has to be cut off half way."""
        if len(uploads) >= MOST_PENDING:
            said = f"At most {MOST_PENDING} files can be sent at a time."
            raise Problem("too_many_uploads", said)
        if sum(each["length"] for each in uploads.values()) + length > self._quota:
            raise too_much(self._quota)

    def _end_turn(self, upload: str, turn: str, **found: str) -> Entry:
        """A turn is over; what was found meanwhile is known from now on."""
        with self._changing(upload) as entry:
            entry |= {"turn": None if entry["turn"] == turn else entry["turn"], **found}
        return entry

    def _stay(self, upload: str, turn: str) -> None:
        """Keep the session, and the upload, while its bytes arrive.

        Raises PartMoved if somebody else has taken the turn, SessionExpired, and Problem if the
        upload was removed.
        """
        try:
            entry = self._entry(upload)
            if entry["turn"] != turn:
                raise PartMoved(self.find(upload)[1])
        except Problem as error:
            raise taken_away() from error
        now = self._store.clock()
        if now - entry["at"] > self._store.ttl / 4:
            with self._changing(upload) as changed:
                changed["at"] = now

    def _entry(self, upload: str) -> Entry:
        """What is known of an upload but for its offset, which a look at its files tells."""
        session = self._store.touch(self._sid)
        if session is None:
            raise SessionExpired
        entry: Entry | None = self._store.state_of(session)[NAMESPACE].get(upload)
        if entry is None:
            raise unknown()
        return entry

    @contextlib.contextmanager
    def _change(self) -> Iterator[dict[str, Entry]]:
        with self._store.transaction(self._sid, create=False) as session:
            yield session[NAMESPACE]

    @contextlib.contextmanager
    def _changing(self, upload: str) -> Iterator[Entry]:
        with self._change() as uploads:
            if upload not in uploads:
                raise taken_away()
            yield uploads[upload]

    def _hash(self, upload: str, offset: int, data: Arriving) -> str:
        """Of a whole upload, to which `data` was added last."""
        if not offset:
            return data.hash.hexdigest()
        with self._files.open_part(self._sid, upload) as part:
            return hashlib.file_digest(cast(Any, part), "sha256").hexdigest()


def unknown() -> Problem:
    """What another session's upload is, too."""
    return Problem("unknown_upload", "There is no such upload. Begin it again.")
