"""Which settings go together: what cannot work stops the start, what may not work is warned of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .silo.files.places import EXTRAS as BUCKETS

if TYPE_CHECKING:
    from .config import Settings

log = logging.getLogger(__name__)

REDIS = ("redis", "rediss")


@dataclass(frozen=True)
class Rule:
    """`applies` tells whether settings go against it; `sentence` then says what to do.

    `setting` is the one to be looked at first, in lower case.
    """

    setting: str
    refused: bool
    applies: Callable[[Settings], bool]
    sentence: str


def in_redis(settings: Settings) -> bool:
    return urlsplit(settings.store_url).scheme in REDIS


def in_memory(settings: Settings) -> bool:
    return urlsplit(settings.store_url).scheme == "memory"


def in_sqlite(settings: Settings) -> bool:
    return urlsplit(settings.store_url).scheme == "sqlite"


def in_a_bucket(settings: Settings) -> bool:
    return urlsplit(settings.silo_files_url).scheme in BUCKETS


def by_celery(settings: Settings) -> bool:
    return settings.silo_runner == "celery"


RULES = (
    Rule(
        "silo_store_url",
        True,
        lambda it: by_celery(it) and in_memory(it),
        "SILO_STORE_URL is memory://, which no worker of SILO_RUNNER=celery can see: name a Redis "
        "server, such as redis://localhost:6379/0.",
    ),
    Rule(
        "silo_store_url",
        False,
        lambda it: by_celery(it) and in_sqlite(it),
        "SILO_STORE_URL is a SQLite file, so workers must run on the machine that has it: for "
        "workers on others name a Redis server, such as redis://localhost:6379/0.",
    ),
    Rule(
        "secret_key",
        True,
        lambda it: in_redis(it) and not it.secret_key,
        "SECRET_KEY is empty, and SILO_STORE_URL may serve several machines: each would make a "
        "secret of its own and know no session of the others. Set it to the same long text for "
        "all; one that this machine has made already is in the file secret_key in SILO_DATA_DIR.",
    ),
    Rule(
        "silo_files_url",
        False,
        lambda it: not in_a_bucket(it) and (by_celery(it) or in_redis(it)),
        "SILO_FILES_URL is a folder, and servers and workers on other machines do not see what is "
        "in it: name a bucket, such as s3://bucket/prefix, unless all run on this machine.",
    ),
    Rule(
        "silo_files_url",
        True,
        lambda it: bool(it.silo_files_endpoint) and urlsplit(it.silo_files_url).scheme != "s3",
        "SILO_FILES_ENDPOINT is where a bucket is, and SILO_FILES_URL names none that could be "
        "there: set that to s3://bucket/prefix, or leave the endpoint empty.",
    ),
    Rule(
        "silo_encryption_key",
        True,
        lambda it: it.silo_files_links and bool(it.encryption_key),
        "SILO_FILES_LINKS and SILO_ENCRYPTION_KEY do not go together: straight from the bucket "
        "people would get what is encrypted. Leave one of them out.",
    ),
    Rule(
        "silo_files_url",
        False,
        lambda it: it.silo_files_links and not in_a_bucket(it),
        "SILO_FILES_LINKS changes nothing, because SILO_FILES_URL is a folder: only buckets have "
        "links of their own.",
    ),
    Rule(
        "silo_broker_url",
        False,
        lambda it: bool(it.silo_broker_url) and not by_celery(it),
        "SILO_BROKER_URL changes nothing without SILO_RUNNER=celery: set that, too, or leave the "
        "broker empty.",
    ),
    Rule(
        "silo_runner",
        False,
        lambda it: it.silo_runner == "thread" and in_redis(it),
        "SILO_RUNNER is thread, so jobs end with the server that began them, whatever others run: "
        "process and celery have them done by another one.",
    ),
)


def broken(settings: Settings) -> Iterator[Rule]:
    """The rules that these settings go against."""
    return (rule for rule in RULES if rule.applies(settings))


def refusals(settings: Settings) -> list[str]:
    """Why the app cannot start with these settings, if so."""
    return [rule.sentence for rule in broken(settings) if rule.refused]


def warn(settings: Settings) -> None:
    """Say in the log what may not be as it was meant."""
    for rule in broken(settings):
        if not rule.refused:
            log.warning(rule.sentence)
