"""Uploads: from the parts of a request to stored files with a name, a size and a hash."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from typing import Any, BinaryIO, cast

from werkzeug.datastructures import FileStorage

from . import pipeline
from .problems import Problem
from .silo import FileStore
from .step import UserError, suffix
from .tables import SUFFIXES, check_signature
from .values import clean_name

HEAD_BYTES = 4096

Stored = dict[str, Any]
"""`id` (the name it is stored under), `name` (the client's), `size` in bytes, `sha256` in hex."""


class Measured:
    """A stream that counts and hashes what is read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = 0
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.size += len(data)
        self.hash.update(data)
        return data


def checked(parts: list[FileStorage]) -> list[FileStorage]:
    """The parts that are files. Raises Problem if there is none, or one that cannot be read."""
    files = [part for part in parts if part.filename]
    check_count(len(files))
    for part in files:
        check(part)
    return files


def receive(store: FileStore, sid: str, parts: list[FileStorage], quota: int) -> list[Stored]:
    """Store files: all of them, or none if that fails.

    Raises Problem if they exceed `quota`, in bytes, or are taken away meanwhile, and OSError if
    they cannot be stored.
    """
    names = [secrets.token_hex(16) for _ in parts]
    files: list[Stored] = []
    try:
        for part, name in zip(parts, names, strict=True):
            files.append(keep(store, sid, part, name))
            if sum(file["size"] for file in files) > quota:
                raise too_much(quota)
    except BaseException:
        store.remove(sid, *names)
        raise
    return files


def check(part: FileStorage) -> None:
    """Raises Problem if the file is empty or does not begin as a file of its name should."""
    head = part.stream.read(HEAD_BYTES)
    part.stream.seek(0)
    check_head(clean_name(part.filename or ""), head)


def check_count(count: int) -> None:
    """Raises Problem if the step does not take so many files."""
    if not count:
        raise Problem("no_file", "Choose at least one file.")
    accepts = pipeline.ACCEPTS
    if not accepts.least <= count <= accepts.most:
        raise Problem("file_count", accepts.count)


def check_type(name: str) -> None:
    """Raises Problem if the step takes no file of such a name."""
    if refused := replace(pipeline.ACCEPTS, least=1).refusal([name]):
        raise Problem("unsupported_type", refused)


def check_head(name: str, head: bytes) -> None:
    """Raises Problem if a file is empty, or a table that does not begin as its name says."""
    check_type(name)
    if not head:
        raise Problem("empty_file", f"{name} is empty.")
    if suffix(name) in SUFFIXES:
        try:
            check_signature(name, head)
        except UserError as error:
            raise Problem("unsupported_type", str(error)) from error


def keep(store: FileStore, sid: str, part: FileStorage, stored: str) -> Stored:
    """Store one file under a name of our own."""
    stream = Measured(cast(BinaryIO, part.stream))
    try:
        store.save(sid, stored, cast(BinaryIO, stream))
    except FileNotFoundError as error:
        raise taken_away() from error
    name = clean_name(part.filename or "")
    return {"id": stored, "name": name, "size": stream.size, "sha256": stream.hash.hexdigest()}


def taken_away() -> Problem:
    """What to say when the session's files went while others were on their way to it."""
    return Problem(
        "busy",
        "You started over, or your session ended, during the upload. Upload your files again.",
    )


def too_much(quota: int) -> Problem:
    return Problem("too_large", f"Your files may hold {quota // 2**20:,} MB in all.")
