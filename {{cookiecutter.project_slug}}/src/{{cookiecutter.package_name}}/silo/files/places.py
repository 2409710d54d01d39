"""Places: which one a URL means."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from urllib.parse import urlsplit

from ..errors import SiloError
from .keyring import Keyring
from .place import Place, PlainPlace

PLACES = {
    "": "files.local:LocalPlace",
    "file": "files.local:LocalPlace",
    "s3": "files.objects:ObjectPlace",
    "gs": "files.objects:ObjectPlace",
    "az": "files.objects:ObjectPlace",
}
EXTRAS = {"s3": "obstore", "gs": "obstore", "az": "obstore"}
"""What must be installed besides, and is the extra `objects`."""


def open_place(location: str, keys: str = "") -> Place:
    """The place behind a path or URL, encrypted if there are `keys`, which commas separate.

    Raises SiloError for a scheme nobody serves, and if what it needs is not installed. A bucket is
    not asked yet whether it is there: `check` does that.
    """
    return encrypted(plain_place(location), keys) if keys else plain_place(location)


def encrypted(place: PlainPlace, keys: str) -> Place:
    try:
        from .encrypted import EncryptedPlace
    except ModuleNotFoundError as error:
        raise SiloError(
            "Encryption needs a package that is not installed: pip install cryptography"
        ) from error
    return EncryptedPlace(place, Keyring(keys))


def plain_place(location: str) -> PlainPlace:
    scheme = scheme_of(location)
    if scheme not in PLACES:
        known = ", ".join(f"{name}://" for name in PLACES if name)
        raise SiloError(f"{location!r} is no place for files: give a path, or one of {known}.")
    module, _, name = PLACES[scheme].partition(":")
    if package := missing_extra(location):
        raise SiloError(f"{scheme}:// needs a package that is not installed: pip install {package}")
    place: Callable[[str], PlainPlace] = getattr(import_module(f"..{module}", __package__), name)
    return place(location)


def scheme_of(location: str) -> str:
    """What a URL begins with; empty for a path, with or without a drive of Windows."""
    scheme = urlsplit(location).scheme
    return scheme if len(scheme) > 1 else ""


def missing_extra(location: str) -> str:
    """The package that a place needs and that is not installed, if any."""
    package = EXTRAS.get(scheme_of(location), "")
    return package if package and find_spec(package) is None else ""
