"""A mark of the secret in its store, so that a server with another one is noticed.

A session id that another secret has signed counts as none, without a word: people would begin anew
at every second call. The mark tells one secret from another, and nothing about it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math

from .silo.records import NEW, Put, Records

log = logging.getLogger(__name__)

KIND, KEY = "secret", "mark"
ANOTHER = (
    "SECRET_KEY is not what servers of this store have had before, so session ids and links from "
    "then are worth nothing. Unless you have changed it on purpose, set it to the same everywhere."
)


def differs(records: Records, secret: str) -> bool:
    """Whether the store has the mark of another secret."""
    found = records.read(KIND, KEY)
    return found is not None and found.value != mark_of(secret)


def keep(records: Records, secret: str) -> None:
    """Leave the mark of this secret in the store; if it has another one's, say so in the log."""
    found = records.read(KIND, KEY)
    if found is not None and found.value == mark_of(secret):
        return
    if found is not None:
        log.warning(ANOTHER)
    expect = found.version if found else NEW
    records.apply(Put(KIND, KEY, mark_of(secret), math.inf, expect))


def mark_of(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"which secret this is", hashlib.sha256).hex().encode()
