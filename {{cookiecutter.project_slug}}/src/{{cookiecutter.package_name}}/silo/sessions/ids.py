"""Session ids: 256 random bits, signed, so that the server knows its own without a look-up."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import lru_cache

from itsdangerous import BadSignature, Signer


class SessionKey(str):
    """The SHA-256 of a session id, in hex: what stores and files know a session by.

    An id never becomes part of a path, and what is stored cannot be sent back as an id.
    """

    __slots__ = ()


def session_key(sid: str) -> SessionKey:
    """The key of an id; a key is its own key, so code that holds only the key can pass it on."""
    if isinstance(sid, SessionKey):
        return sid
    return SessionKey(hashlib.sha256(sid.encode("utf-8", "surrogatepass")).hexdigest())


REMEMBERED_IDS = 4096


class SessionIds:
    """Makes ids and recognises them: `<random>.<HMAC-SHA256 of it>`."""

    def __init__(self, secret: str | bytes, generate: Callable[[], str] | None = None) -> None:
        self._signer = Signer(secret, salt="silo.session", digest_method=hashlib.sha256)
        self._generate = generate or (lambda: secrets.token_urlsafe(32))
        self.bare = lru_cache(REMEMBERED_IDS)(self._bare)
        """The unsigned part of an id, or None if this server did not sign it."""

    def issue(self) -> str:
        """A new signed id."""
        return self.sign(self._generate())

    def sign(self, bare: str) -> str:
        """The id whose unsigned part is `bare`."""
        return self._signer.sign(bare).decode()

    def _bare(self, sid: str) -> str | None:
        try:
            bare = self._signer.unsign(sid).decode()
        except (BadSignature, UnicodeError):
            return None
        # Base64 may be written in more ways than one; an id may not.
        return bare if self.sign(bare) == sid else None
