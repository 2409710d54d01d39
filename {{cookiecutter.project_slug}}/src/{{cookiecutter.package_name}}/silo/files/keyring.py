"""Keys that files are encrypted with, as a setting holds them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass, field

KEY_BYTES = 32
ID_BYTES = 8


def new_key() -> str:
    """A key: 32 random bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


@dataclass(frozen=True)
class Key:
    """A key; `id` tells which one it is, and nothing about it."""

    id: bytes
    secret: bytes = field(repr=False)


class Keyring:
    """The keys of `text`, where commas stand between them: the first encrypts, each decrypts.

    Raises ValueError, whose text does not tell the key.
    """

    def __init__(self, text: str) -> None:
        keys = [_key(part.strip()) for part in text.split(",")]
        self.first = keys[0]
        self._by_id = {key.id: key for key in keys}

    def find(self, key_id: bytes) -> Key | None:
        """The key that something was encrypted with, if it is still known."""
        return self._by_id.get(key_id)


def _key(text: str) -> Key:
    try:
        secret = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise ValueError(f"a key is {KEY_BYTES} bytes in URL-safe base64")
    return Key(hashlib.sha256(b"silo key id\0" + secret).digest()[:ID_BYTES], secret)
