"""What a bucket's client is told, and what its errors mean."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import from_url

from ..errors import FilesUnavailable, SiloError

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

    Bucket = S3Store | GCSStore | AzureStore

log = logging.getLogger(__name__)

CLIENT = {"connect_timeout": timedelta(seconds=2), "timeout": timedelta(seconds=20)}
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

NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
REFUSED = ("401 Unauthorized", "403 Forbidden")


def open_bucket(location: str) -> tuple[Bucket, str]:
    """The store below the prefix of a URL, and that URL.

    In its query an `endpoint` may stand, of a server that speaks as the provider's does.
    Credentials are where the provider's own tools look for them. Raises SiloError.
    """
    url = urlsplit(location)
    address = urlunsplit((url.scheme, url.netloc, url.path.rstrip("/"), "", ""))
    endpoint = parse_qs(url.query).get("endpoint", [""])[0]
    client: dict[str, Any] = {**CLIENT, "allow_http": endpoint.startswith("http:")}
    more: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    try:
        store: Any = from_url(address, client_options=client, retry_config=RETRY, **more)  # type: ignore[call-overload] # it has one for each provider
    except (BaseError, ValueError) as error:
        raise SiloError(f"{first_line(error)}") from None
    return store, address


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
