"""How an encrypted file is laid out: a header and records, the last of which has no text.

    file   = magic, key's id, salt (32 bytes), record...
    record = length of its text (4 bytes), nonce (12), ciphertext, tag (16)

Each file has a key of its own, by HKDF (RFC 5869) from the key of the setting, a random salt, and
the file's folder and name, so a file that is put in the place of another one does not decrypt. A
record is AES-256-GCM (NIST SP 800-38D) under a random nonce, of which one key may see 2**32. It
vouches for where in the file its text begins and for its length, and so for whether it is the last.
That is what the STREAM construction puts into the nonce (Hoang, Reyhanitabar, Rogaway and Vizár,
"Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015): no record can be
left out, repeated, moved, or be the last one falsely. Here it stands beside the nonce, because a
part that lost its end in a crash goes on with other bytes from the same place, where a counted
nonce would be used twice.
"""

from __future__ import annotations

import os
import struct
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .keyring import ID_BYTES, KEY_BYTES, Key, Keyring

MAGIC = b"silo\x01"
SALT_BYTES = 32
HEAD_BYTES = len(MAGIC) + ID_BYTES + SALT_BYTES

WORD = struct.Struct(">I")
BOUND = struct.Struct(">QI")
NONCE_BYTES, TAG_BYTES = 12, 16
OVERHEAD = WORD.size + NONCE_BYTES + TAG_BYTES
RECORD_BYTES = 2**16
TEXT_BYTES = RECORD_BYTES - OVERHEAD
"""The most text of a record: with what belongs to it, a piece that places take at a time."""


class Unauthentic(Exception):
    """What does not decrypt: damaged, cut, of another file, or of a key that is not known."""


class Seal:
    """Encrypts and decrypts the records of one file."""

    def __init__(self, key: Key, salt: bytes, file: str) -> None:
        self.head = MAGIC + key.id + salt
        info = b"silo file\0" + file.encode()
        self._cipher = AESGCM(HKDF(SHA256(), KEY_BYTES, salt, info).derive(key.secret))

    @classmethod
    def new(cls, keys: Keyring, file: str) -> Seal:
        """The seal of a file to be written."""
        return cls(keys.first, os.urandom(SALT_BYTES), file)

    @classmethod
    def of(cls, keys: Keyring, head: bytes, file: str) -> Seal:
        """The seal of a file that begins with `head`. Raises Unauthentic."""
        if len(head) < HEAD_BYTES or not head.startswith(MAGIC):
            raise Unauthentic("it does not begin as an encrypted file")
        key = keys.find(head[len(MAGIC) : -SALT_BYTES])
        if key is None:
            raise Unauthentic("it was encrypted with a key that is not known")
        return cls(key, head[-SALT_BYTES:], file)

    def close(self, start: int, text: bytes = b"") -> bytes:
        """A record of the text that begins at byte `start` of the file; without text, the last."""
        nonce, bound = os.urandom(NONCE_BYTES), BOUND.pack(start, len(text))
        return WORD.pack(len(text)) + nonce + self._cipher.encrypt(nonce, text, bound)

    def open(self, start: int, record: bytes) -> bytes:
        """The text of a record. Raises Unauthentic."""
        if record[: WORD.size] != WORD.pack(len(record) - OVERHEAD):
            raise Unauthentic(f"what begins at byte {start} does not say its length")
        nonce, body = record[WORD.size : OVERHEAD - TAG_BYTES], record[OVERHEAD - TAG_BYTES :]
        bound = BOUND.pack(start, len(record) - OVERHEAD)
        try:
            return self._cipher.decrypt(nonce, body, bound)
        except InvalidTag as error:
            raise Unauthentic(f"what begins at byte {start} is damaged") from error


@dataclass
class Index:
    """Where the records of a file are: where their texts begin, and where they do themselves.

    Each list ends with where the last record ends. `closed`: that is the last record of the file.
    """

    texts: array[int] = field(default_factory=lambda: array("Q", [0]))
    records: array[int] = field(default_factory=lambda: array("Q", [HEAD_BYTES]))
    closed: bool = False

    @property
    def size(self) -> int:
        """Bytes of text."""
        return self.texts[-1]

    @property
    def end(self) -> int:
        """Where the last record ends."""
        return self.records[-1]

    def __len__(self) -> int:
        return len(self.texts) - 1

    def at(self, place: int) -> int:
        """The number of the record that holds this byte of the text."""
        return bisect_right(self.texts, place) - 1

    def add(self, length: int) -> None:
        self.texts.append(self.size + length)
        self.records.append(self.end + OVERHEAD + length)
        self.closed = not length

    def drop(self) -> None:
        """Forget the last record."""
        self.texts.pop()
        self.records.pop()
        self.closed = False


def regular_index(stream: BinaryIO, size: int, seal: Seal) -> Index | None:
    """The index of a file whose records are full but for the last ones, as one is that came at
    once; None if it is another.

    It is found without a look at each record, which in a bucket would be to read all. The last one
    with text vouches for where its text begins, so those before it, none of which can hold more
    than a full one, are all full.
    """
    for ending in (OVERHEAD, 0):
        index = index_of_full(size - HEAD_BYTES - ending)
        if index is None:
            continue
        first = max(len(index) - 1, 0)
        if ending:
            index.add(0)
        try:
            for number in range(first, len(index)):
                record_of(stream, seal, index, number)
        except Unauthentic:
            continue
        return index
    return None


def index_of_full(size: int) -> Index | None:
    """Records of `size` bytes in all, each full but the last; None if that cannot be."""
    full, rest = divmod(size, RECORD_BYTES)
    if size < 0 or 0 < rest <= OVERHEAD:
        return None
    end = full * RECORD_BYTES
    index = Index(
        array("Q", range(0, full * TEXT_BYTES + 1, TEXT_BYTES)),
        array("Q", range(HEAD_BYTES, HEAD_BYTES + end + 1, RECORD_BYTES)),
    )
    if rest:
        index.add(rest - OVERHEAD)
    return index


def index_of(stream: BinaryIO, size: int) -> Index:
    """Where the complete records of a file of `size` bytes are, as their lengths tell.

    Nobody vouches for that but each record for itself.
    """
    index = Index()
    while not index.closed and index.end + OVERHEAD <= size:
        stream.seek(index.end)
        length = int.from_bytes(stream.read(WORD.size), "big")
        if length > TEXT_BYTES or index.end + OVERHEAD + length > size:
            break
        index.add(length)
    return index


def record_of(stream: BinaryIO, seal: Seal, index: Index, number: int) -> bytes:
    """The text of a record. Raises Unauthentic."""
    begin, end = index.records[number], index.records[number + 1]
    stream.seek(begin)
    record = stream.read(end - begin)
    if len(record) < end - begin:
        raise Unauthentic("it was cut")
    return seal.open(index.texts[number], record)
