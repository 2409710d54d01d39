"""A bucket: what its client is told, the calls that are needed here, what its errors mean."""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import from_url

from ..errors import FilesUnavailable, SiloError

if TYPE_CHECKING:
    from obstore import Attributes, GetResult, PutMode
    from obstore.store import AzureStore, GCSStore, S3Store

    Store = S3Store | GCSStore | AzureStore

log = logging.getLogger(__name__)

CLIENT = {"connect_timeout": timedelta(seconds=2), "timeout": timedelta(seconds=15)}
RETRY = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=5),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=1),
        "base": 2,
    },
}
"""Somebody waits for the answer: what takes longer they are told to try again."""

WHOLE_BYTES = 5 * 2**20
"""Put in one call; what is larger goes up in pieces of this size, the least that S3 takes."""
AT_A_TIME = 2

PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[^/]+)*/?")
"""Of folders' names, none of which leads up: clients would follow, to where another app is."""
ENDPOINT = re.compile(r"https?://([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?", re.A | re.I)

NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
REFUSED = ("401 Unauthorized", "403 Forbidden")
REPLACED = "ETag Header missing"
"""What the client makes of Swift's 202, without a tag: the object was put, and somebody who began
later had put theirs by then, which stays."""


class Bucket:
    """Objects of a bucket, by their keys below the prefix of a URL; `address` is that URL.

    Calls raise FilesUnavailable where the bucket cannot be reached, and FileNotFoundError for an
    object that is not there.
    """

    def __init__(self, location: str) -> None:
        url = urlsplit(location)
        self.address = urlunsplit((url.scheme, url.netloc, url.path.rstrip("/"), "", ""))
        self.store = open_store(location, self.address)

    def check(self) -> None:
        """Try what is needed. Raises SiloError, which says what is wrong."""
        probe = f"check-{secrets.token_hex(8)}"
        try:
            next(iter(obstore.list(self.store, chunk_size=1)), None)
            obstore.put(self.store, probe, b"")
            obstore.delete(self.store, probe)
        except (BaseError, FileNotFoundError) as error:
            raise SiloError(meaning(error)) from None

    def put(
        self,
        key: str,
        data: bytes,
        attributes: Attributes | None = None,
        mode: PutMode = "overwrite",
    ) -> None:
        """Raises AlreadyExistsError, if the mode is `create`."""
        with reached():
            try:
                obstore.put(
                    self.store, key, data, attributes=attributes, mode=mode, use_multipart=False
                )
            except GenericError as error:
                if mode != "overwrite" or REPLACED not in str(error):
                    raise

    def put_pieces(self, key: str, pieces: Iterator[bytes], attributes: Attributes) -> None:
        """Put what may be too large for memory; what `pieces` raises comes through."""
        with reached():
            obstore.put(
                self.store,
                key,
                pieces,
                attributes=attributes,
                use_multipart=True,
                chunk_size=WHOLE_BYTES,
                max_concurrency=AT_A_TIME,
            )

    def get(self, key: str) -> GetResult:
        with reached():
            return obstore.get(self.store, key)

    def read(self, key: str) -> bytes:
        with reached():
            return bytes(obstore.get(self.store, key).bytes())

    def read_part(self, key: str, begin: int, end: int, tag: str | None = None) -> bytes:
        """Bytes of an object. Raises OSError (ESTALE) if it is not the one of this tag any more."""
        options: Any = {"range": (begin, end), **({"if_match": tag} if tag else {})}
        try:
            with reached():
                return bytes(obstore.get(self.store, key, options=options).bytes())
        except PreconditionError:
            raise OSError(errno.ESTALE, "It was replaced while it was read", key) from None

    def head(self, key: str) -> GetResult | None:
        """What is known of an object, None if it is not there."""
        try:
            with reached():
                return obstore.get(self.store, key, options={"head": True})
        except FileNotFoundError:
            return None

    def list(self, folder: str | None = None) -> Iterator[tuple[str, int]]:
        """The keys in a folder and in those below it, and the sizes of their objects."""
        with reached():
            for batch in obstore.list(self.store, folder):
                yield from ((each["path"], each["size"]) for each in batch)

    def folders(self) -> Sequence[str]:
        """The names of the folders that are in no other one."""
        with reached():
            return obstore.list_with_delimiter(self.store)["common_prefixes"]

    def delete(self, keys: Sequence[str]) -> None:
        """Those that are not there do not matter, but some stores say so, and stop."""
        if not keys:
            return
        try:
            with reached():
                obstore.delete(self.store, keys)
        except FileNotFoundError:
            for key in keys:
                with contextlib.suppress(FileNotFoundError), reached():
                    obstore.delete(self.store, key)

    def sign(self, key: str, seconds: int) -> str:
        """A URL from which anybody gets the object for so many seconds."""
        with reached():
            return str(obstore.sign(self.store, "GET", key, timedelta(seconds=seconds)))


def open_store(location: str, address: str) -> Store:
    """The client of a bucket.

    In the query of its location an `endpoint` may stand, of a server that speaks as the provider's
    does. Credentials are where the provider's own tools look for them. Raises SiloError.
    """
    url = urlsplit(location)
    if not PREFIX.fullmatch(unquote(url.path)) or not url.netloc:
        raise SiloError("name a bucket and a prefix, as in s3://bucket/prefix")
    endpoint = parse_qs(url.query).get("endpoint", [""])[0]
    if endpoint and not ENDPOINT.fullmatch(endpoint):
        raise SiloError("the endpoint must be like https://s3.example.com")
    client: dict[str, Any] = {**CLIENT, "allow_http": endpoint.startswith("http:")}
    more: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    try:
        store: Store = from_url(address, client_options=client, retry_config=RETRY, **more)  # type: ignore[call-overload] # it has one for each provider
    except (BaseError, ValueError) as error:
        raise SiloError(f"{first_line(error)}") from None
    return store


@contextlib.contextmanager
def reached() -> Iterator[None]:
    """Raises FilesUnavailable for a bucket that is away, however it shows.

    What concerns one object alone comes through: FileNotFoundError, PreconditionError,
    AlreadyExistsError.
    """
    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        raise
    except FileNotFoundError as error:
        if meaning(error) != ABSENT:
            raise
        raise unavailable(error) from None
    except BaseError as error:
        raise unavailable(error) from None


ABSENT = "there is no such bucket"
NOT_OURS = "the bucket refuses these credentials"
SILENT = "the bucket does not answer"


def meaning(error: Exception) -> str:
    """What is wrong with a bucket, in words of ours: those of the server quote what it was sent."""
    text = str(error)
    if any(each in text for each in NO_BUCKET):
        return ABSENT
    refused = isinstance(error, (PermissionDeniedError, UnauthenticatedError))
    return NOT_OURS if refused or any(each in text for each in REFUSED) else SILENT


def unavailable(error: Exception) -> FilesUnavailable:
    log.error("files cannot be reached: %s: %s", meaning(error), first_line(error))
    return FilesUnavailable()


def first_line(error: Exception) -> str:
    """What the client says of an error, without what the server has said."""
    return str(error).partition("\n")[0].partition(": <")[0].partition("?")[0][:300]
