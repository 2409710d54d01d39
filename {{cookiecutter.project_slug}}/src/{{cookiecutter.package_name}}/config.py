"""Every setting: its name, its default, what it does.

Settings come from the environment, or from a mapping given to `create_app`, which wins. An empty
value means the default. A wrong value stops the start with a sentence. `make docs` writes
`.env.example` and `docs/configuration.md` from what stands here.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from . import choices
from .silo.files.keyring import Keyring
from .silo.files.places import PLACES, missing_extra, scheme_of
from .silo.once import made_once
from .silo.records import STORES
from .silo.urls import masked

SECRET_CHARS = 16
SAMPLE_WORDS = re.compile(
    "change|default|example|insecure|key|me|password|please|sample|secret|test|this|your", re.I
)
MOST_SECONDS = 30 * 24 * 3600
"""Of a job; the system's own limits and alarms know no number of any size."""
OFF = "off"
LIMIT = re.compile(r"([1-9][0-9]{0,8})/(?:([1-9][0-9]{0,3}) )?(second|minute|hour|day)s?")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.I)
SECRETS = ("SECRET_KEY", "SILO_ENCRYPTION_KEY", "SILO_BROKER_URL")
"""Settings that no message shows."""


class ConfigError(Exception):
    """A setting with a wrong value; its text names the setting and says what is wrong."""


def _is_limit(value: str) -> str:
    """Limits as they are kept: in lower case, separated by semicolons alone."""
    limits = [each.strip() for each in value.lower().split(";")]
    if limits != [OFF] and not all(map(LIMIT.fullmatch, limits)):
        raise ValueError("it must be like 100/hour, or 10/minute; 100/hour, or off for no limit")
    return ";".join(limits)


Limit = Annotated[str, AfterValidator(_is_limit)]


class Settings(BaseModel):
    """The settings, by their names in lower case. Sizes are in megabytes, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    secret_key: str = Field(
        "",
        description="Signs session ids and download links, with at least 16 characters. "
        "Empty: made on first run and kept in SILO_DATA_DIR.",
    )
    silo_data_dir: Path = Field(
        Path("instance"), description="The folder of uploads, reports, the database and the secret."
    )
    silo_store_url: str = Field(
        "",
        description="Where sessions and jobs are kept, as sqlite:////var/lib/app/silo.db (with "
        "three slashes the path begins where the server runs). Empty: a SQLite file in "
        "SILO_DATA_DIR. redis://host:6379/0, or rediss:// with TLS, is a Redis or Valkey, "
        "for several machines; ?prefix=name sets apps apart that share one. memory:// is the one "
        "server process, which loses them when it ends.",
    )
    silo_files_url: str = Field(
        "",
        description="Where uploads and reports are kept: a folder, or a bucket as "
        "s3://bucket/prefix, gs://bucket/prefix or az://container/prefix. Empty: a folder in "
        "SILO_DATA_DIR.",
    )
    silo_files_endpoint: str = Field(
        "",
        pattern="^(https?://[^/?# ]+)?$",
        description="The URL of a server that speaks S3, such as https://s3.example.com. Empty: "
        "the provider's.",
    )
    silo_files_links: bool = Field(
        False,
        description="Whether browsers get reports straight from the bucket, by signed links, or "
        "through the app.",
    )
    silo_encryption_key: SecretStr = Field(
        SecretStr(""),
        description="Encrypts uploads and reports; the command encryption-key makes one. Of "
        "several, separated by commas, the first encrypts and each decrypts. Empty: nothing is "
        "encrypted.",
    )

    silo_ttl: float = Field(
        3600,
        gt=0,
        description="A session ends so many seconds after its last call or job; then its files go.",
    )
    silo_cleanup_interval: float = Field(
        60, gt=0, description="Seconds between two looks for sessions that have ended."
    )
    silo_expired_retain: float = Field(
        7200, ge=0, description="Seconds for which an ended session is remembered."
    )

    silo_runner: Literal["process", "thread", "celery"] = Field(
        "process",
        description="process: jobs wait in a queue that outlives the server. thread: all run at "
        "once, and end with the server. celery: they wait in the queue for workers, which the "
        "command worker starts, on any machines. Each is a child process with the limits below "
        "in any case.",
    )
    silo_broker_url: str = Field(
        "",
        description="Which Redis server wakes the workers of SILO_RUNNER=celery, as "
        "redis://host:6379/1 or rediss://. Empty: that of SILO_STORE_URL.",
    )
    silo_workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="Jobs at a time on this machine, or in each worker. Empty: as many as there "
        "are cores.",
    )
    silo_lease: float = Field(
        15,
        gt=0,
        description="Seconds of silence after which a worker counts as dead, and its job is done "
        "by another. With SQLite, one that has died is noticed at once.",
    )
    silo_task_timeout: float = Field(
        900, gt=0, le=MOST_SECONDS, description="Seconds that one job may take."
    )
    silo_task_memory_mb: int = Field(
        1024,
        ge=256,
        description="Megabytes of memory that one job may use. A spreadsheet may have 5 million "
        "cells, and above 1024 MB more in proportion.",
    )

    silo_max_upload_mb: int = Field(
        200, ge=1, description="Megabytes that one upload may hold: a file, or a form of several."
    )
    silo_session_quota_mb: int = Field(
        500, ge=1, description="Megabytes that all files of one session may hold."
    )
    silo_total_quota_mb: int = Field(
        0,
        ge=0,
        description="Megabytes that the files of all sessions may hold together; 0: no limit. "
        "What is removed makes room within a minute.",
    )
    silo_min_free_mb: int = Field(
        200,
        ge=0,
        description="Megabytes that must stay free on the disk: nothing is added where there is "
        "less.",
    )
    silo_upload_idle: float = Field(
        60,
        gt=0,
        description="Seconds within which the next 64 kB of what somebody sends, or its rest, must "
        "arrive, and within which whoever is sent something must take some of it.",
    )

    silo_cache_ttl: float = Field(
        0,
        ge=0,
        description="Seconds for which a report is given again, not made again, to whoever sends "
        "the same files under the same names with the same options; 0: never.",
    )
    silo_cache_prefix: str = Field(
        "cache",
        pattern="^[a-z][a-z0-9-]{0,30}$",
        description="The folder beside the sessions' files in which such reports lie.",
    )
    silo_cache_purge: bool = Field(
        True,
        description="Whether one that has expired is removed when it is found (true), or by a "
        "later look (false).",
    )

    silo_log_format: Literal["text", "json"] = Field(
        "text", description="text: for people. json: for programs, an object a line."
    )
    silo_development: bool = Field(
        False,
        description="Whether the page shows the tracebacks of a step that fails; for one's "
        "own machine alone.",
    )

    silo_require_key: bool = Field(
        False,
        description="Whether every call of the API must show a key; the command keys makes them. "
        "The page then cannot be used.",
    )
    silo_cors_origins: tuple[str, ...] = Field(
        (),
        description="Other origins whose pages may call the app, such as https://example.com, "
        "separated by commas.",
    )
    silo_trusted_proxies: int = Field(
        0,
        ge=0,
        description="How many proxies stand in front of the app and say who called. At 0 nobody "
        "is believed, and behind a proxy everybody has its address.",
    )
    silo_limit_sessions: Limit = Field(
        "1000/hour", description="How many sessions one address may begin."
    )
    silo_limit_uploads: Limit = Field(
        "1000/hour",
        description="How many files one session may upload; one in many pieces counts once.",
    )
    silo_limit_address_uploads: Limit = Field(
        "5000/hour",
        description="How many files all sessions of one address may upload together.",
    )
    silo_limit_jobs: Limit = Field("60/minute", description="How many jobs one session may start.")
    silo_limit_downloads: Limit = Field(
        "120/minute",
        description="How often one session may fetch a report, or a link to one.",
    )

    @field_validator("secret_key")
    @classmethod
    def _is_secret(cls, key: str) -> str:
        if key and (wrong := _wrong_secret(key)):
            raise ValueError(f"{wrong}; leave it empty to have one made")
        return key

    @field_validator("silo_store_url")
    @classmethod
    def _is_store(cls, url: str) -> str:
        if url and urlsplit(url).scheme not in STORES:
            raise ValueError(f"it must begin with {' or '.join(f'{name}://' for name in STORES)}")
        return url

    @field_validator("silo_runner")
    @classmethod
    def _has_extra(cls, runner: str) -> str:
        if runner == "celery" and (find_spec("celery") is None or find_spec("redis") is None):
            raise ValueError("it needs the extra `celery`: pip install '.[celery]'")
        return runner

    @field_validator("silo_broker_url")
    @classmethod
    def _is_broker(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in choices.REDIS or not parts.hostname:
            raise ValueError("it must be like redis://host:6379/1, or rediss:// for TLS")
        _ = parts.port  # a ValueError if it is no number
        return url

    @field_validator("silo_files_url")
    @classmethod
    def _is_place(cls, url: str) -> str:
        if scheme_of(url) not in PLACES:
            schemes = [f"{name}://" for name in PLACES if name]
            raise ValueError(f"it must be a directory, or begin with {' or '.join(schemes)}")
        if missing_extra(url):
            raise ValueError("it needs the extra `objects`: pip install '.[objects]'")
        return url

    @field_validator("silo_encryption_key")
    @classmethod
    def _are_keys(cls, keys: SecretStr) -> SecretStr:
        if text := keys.get_secret_value():
            try:
                Keyring(text)
            except ValueError as error:
                raise ValueError(f"{error}; the command `encryption-key` makes one") from error
            if find_spec("cryptography") is None:
                raise ValueError("it needs the extra `encryption`: pip install '.[encryption]'")
        return keys

    @field_validator("silo_cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    @field_validator("silo_cors_origins")
    @classmethod
    def _exact(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """As browsers write them: a star, a path or a last slash would never match, or too much."""
        for origin in origins:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin such as https://example.com")
        return tuple(origin.lower() for origin in origins)

    def limit(self, name: str) -> str:
        """How often something may be done: `OFF`, or what `LIMIT` finds in it."""
        return str(getattr(self, f"silo_limit_{name}"))

    @property
    def store_url(self) -> str:
        file = quote(str(self.silo_data_dir / "silo.db"))
        return self.silo_store_url or f"sqlite:///{file}"

    @property
    def broker_url(self) -> str:
        """Raises ConfigError if none is named."""
        url = self.silo_broker_url or self.store_url
        if urlsplit(url).scheme not in choices.REDIS:
            raise ConfigError(
                "SILO_BROKER_URL is empty, and SILO_RUNNER=celery needs a broker: name a Redis "
                "server, such as redis://localhost:6379/1."
            )
        return url

    @property
    def files_url(self) -> str:
        """As `open_place` takes it: a job is told this, and nothing else, of where files are."""
        url = urlsplit(self.silo_files_url)
        if self.silo_files_endpoint and url.scheme == "s3" and not url.query:
            return f"{self.silo_files_url}?{urlencode({'endpoint': self.silo_files_endpoint})}"
        return self.silo_files_url or str(self.silo_data_dir / "files")

    @property
    def scratch(self) -> Path:
        """Where jobs have their temporary files."""
        return self.silo_data_dir.absolute() / "scratch"

    @property
    def encryption_key(self) -> str:
        return self.silo_encryption_key.get_secret_value()

    @property
    def min_free(self) -> int:
        """In bytes."""
        return self.silo_min_free_mb * 2**20

    @property
    def cache(self) -> dict[str, Any]:
        """What `ResultCache` is told, beside the place."""
        return {
            "ttl": self.silo_cache_ttl,
            "prefix": self.silo_cache_prefix,
            "purge": self.silo_cache_purge,
        }

    def settled(self) -> Settings:
        """These settings with their data directory and their secret, made if need be.

        Raises ConfigError, also if they do not go together.
        """
        if refused := choices.refusals(self):
            raise ConfigError("\n".join(refused))
        path = self.silo_data_dir / "secret_key"
        try:
            self.silo_data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            key = self.secret_key or made_once(path, _new_secret)
        except OSError as error:
            raise ConfigError(f"SILO_DATA_DIR is {str(self.silo_data_dir)!r}: {error}.") from error
        if wrong := _wrong_secret(key):
            raise ConfigError(f"{path} holds no secret: {wrong}. Remove it to have one made.")
        return self.model_copy(update={"secret_key": key})


def load_settings(given: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force; nothing is made on disk. Raises ConfigError naming every wrong one."""
    names = {field: field.upper() for field in Settings.model_fields}
    found = {**os.environ, **(given or {})}
    values = {f: found[name] for f, name in names.items() if found.get(name) not in (None, "")}
    unknown = set(given or {}) - set(names.values())
    if unknown:
        raise ConfigError(f"There is no setting {', '.join(sorted(unknown))}.")
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(map(_sentence, error.errors()))) from error


def _sentence(error: Any) -> str:
    name = str(error["loc"][0]).upper()
    given = error["input"]
    readable = masked(given) if isinstance(given, str) else given
    shown = "" if name in SECRETS else f" is {readable!r}"
    return f"{name}{shown}: {error['msg'].removeprefix('Value error, ')}."


def _wrong_secret(key: str) -> str:
    """Why a text is no secret, or nothing. What a person copied from an example, anybody can."""
    if len(key) < SECRET_CHARS:
        return f"it is shorter than {SECRET_CHARS} characters"
    return "it is a sample" if len(SAMPLE_WORDS.sub("", key)) < 8 else ""


def _new_secret() -> str:
    return secrets.token_urlsafe(48)
