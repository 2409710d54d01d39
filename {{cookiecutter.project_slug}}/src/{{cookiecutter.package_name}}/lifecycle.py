"""The rule by which a bucket itself removes files that outlive their session.

The app removes them when a session ends. What is left are files that nobody is there to remove:
the app was taken down, or its store was lost. As a rule knows no sessions, it goes by age, and also
takes the files of a session that somebody keeps alive for longer than that.
"""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import unquote, urlsplit

from .config import ConfigError, Settings

DAY = 86400
NAME = "silo-files"
ABORT_DAYS = 1
"""After which the pieces of a large file go that never became one."""


def days_of(settings: Settings) -> int:
    """The days after which no file is needed whose session is not kept alive: one to spare."""
    longest = max(settings.silo_ttl, settings.silo_cache_ttl) + settings.silo_expired_retain
    return math.ceil(longest / DAY) + 1


def rule(settings: Settings, days: int) -> dict[str, Any]:
    """What the provider's own tool takes. Raises ConfigError if files are in no bucket."""
    url = urlsplit(settings.files_url)
    path = unquote(url.path).strip("/")
    prefix = f"{path}/" if path else ""
    if url.scheme == "s3":
        return for_s3(prefix, days)
    if url.scheme == "gs":
        return for_google(prefix, days)
    if url.scheme == "az":
        return for_azure(f"{url.netloc}/{prefix}", days)
    raise ConfigError("SILO_FILES_URL is no bucket; the app itself removes files from a folder.")


def for_s3(prefix: str, days: int) -> dict[str, Any]:
    """For `aws s3api put-bucket-lifecycle-configuration`."""
    found = {
        "ID": NAME,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_DAYS},
    }
    return {"Rules": [found]}


def for_google(prefix: str, days: int) -> dict[str, Any]:
    """For `gcloud storage buckets update --lifecycle-file`."""
    where = {"matchesPrefix": [prefix]} if prefix else {}
    return {
        "rule": [
            {"action": {"type": "Delete"}, "condition": {"age": days, **where}},
            {
                "action": {"type": "AbortIncompleteMultipartUpload"},
                "condition": {"age": ABORT_DAYS, **where},
            },
        ]
    }


def for_azure(prefix: str, days: int) -> dict[str, Any]:
    """For `az storage account management-policy create`. Unfinished pieces go by themselves."""
    delete = {"baseBlob": {"delete": {"daysAfterCreationGreaterThan": days}}}
    filters = {"blobTypes": ["blockBlob"], "prefixMatch": [prefix]}
    definition = {"filters": filters, "actions": delete}
    found = {"enabled": True, "name": NAME, "type": "Lifecycle", "definition": definition}
    return {"rules": [found]}
