"""Every setting: its name, its default, what it does.

Settings come from the environment, or from a mapping given to `create_app`, which wins. An empty
value means the default. A wrong value stops the start with a sentence.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from .silo.files.base import PLACES
from .silo.files.keyring import Keyring
from .silo.once import made_once
from .silo.records import STORES

SECRET_CHARS = 16
SAMPLE_WORDS = re.compile(
    "change|default|example|insecure|key|me|password|please|sample|secret|test|this|your", re.I
)
OFF = "off"
LIMIT = re.compile(r"[1-9][0-9]{0,8}/([1-9][0-9]{0,3} )?(second|minute|hour|day)s?")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.I)
SECRETS = ("SECRET_KEY", "SILO_ENCRYPTION_KEY")
"""Settings that no message shows."""


class ConfigError(Exception):
    """A setting with a wrong value; its text names the setting and says what is wrong."""


def _is_limit(value: str) -> str:
    """A part of what Flask-Limiter understands, in which there is no typing error."""
    limits = [each.strip() for each in value.lower().split(";")]
    if limits != [OFF] and not all(map(LIMIT.fullmatch, limits)):
        raise ValueError("it must be like 100/hour, or 10/minute; 100/hour, or off for no limit")
    return ";".join(limits)


Limit = Annotated[str, AfterValidator(_is_limit)]


class Settings(BaseModel):
    """The settings, by their names in lower case. Sizes are in megabytes, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    secret_key: str = Field("", description="Signs session ids and links; made on first run.")
    silo_data_dir: Path = Field(Path("instance"), description="Where files and the secret live.")
    silo_store_url: str = Field(
        "", description="Where sessions and jobs are kept; a SQLite file in the data directory."
    )
    silo_files_url: str = Field("", description="Where files are kept; in the data directory.")
    silo_runner: Literal["process", "thread"] = Field(
        "process", description="Who runs jobs: a queue that outlives us, or a thread each at once."
    )
    silo_encryption_key: SecretStr = Field(
        SecretStr(""), description="Encrypts files; the first of several, while all decrypt."
    )
    silo_ttl: float = Field(3600, gt=0, description="A session's life without a call.")
    silo_cleanup_interval: float = Field(60, gt=0, description="Between two cleanup passes.")
    silo_expired_retain: float = Field(7200, ge=0, description="How long expiry is remembered.")
    silo_workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, description="Jobs at a time."
    )
    silo_lease: float = Field(15, gt=0, description="Silence after which a worker counts as dead.")
    silo_task_timeout: float = Field(900, gt=0, description="The longest that a job may run.")
    silo_task_memory_mb: int = Field(1024, ge=256, description="The most memory of a job.")
    silo_max_upload_mb: int = Field(200, ge=1, description="The largest upload.")
    silo_upload_idle: float = Field(
        60, gt=0, description="The longest that 64 kB of a call's body may take to arrive."
    )
    silo_session_quota_mb: int = Field(500, ge=1, description="The most files of a session.")
    silo_total_quota_mb: int = Field(
        0, ge=0, description="The most files of all sessions; 0: as many as the disk takes."
    )
    silo_min_free_mb: int = Field(
        200, ge=0, description="What must stay free on the disk when files are added."
    )
    silo_cache_ttl: float = Field(
        0, ge=0, description="How long a report serves for the same files and options; 0: never."
    )
    silo_cache_prefix: str = Field(
        "cache", pattern="^[a-z][a-z0-9-]{0,30}$", description="The folder of such reports."
    )
    silo_cache_purge: bool = Field(
        True, description="Whether an expired one is removed when it is found, or later."
    )
    silo_cors_origins: tuple[str, ...] = Field(
        (), description="Other origins whose pages may call, separated by commas."
    )
    silo_log_format: Literal["text", "json"] = Field(
        "text", description="A line an event for people, or a JSON object an event for programs."
    )
    silo_require_key: bool = Field(False, description="Whether every call must show an API key.")
    silo_limit_sessions: Limit = Field("1000/hour", description="Sessions begun by an address.")
    silo_limit_uploads: Limit = Field("1000/hour", description="Uploads of a session.")
    silo_limit_address_uploads: Limit = Field("5000/hour", description="Uploads by an address.")
    silo_limit_jobs: Limit = Field("60/minute", description="Jobs started by a session.")
    silo_limit_downloads: Limit = Field("120/minute", description="Downloads of a session.")
    silo_trusted_proxies: int = Field(0, ge=0, description="Proxies in front, whose word counts.")

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

    @field_validator("silo_files_url")
    @classmethod
    def _is_place(cls, url: str) -> str:
        if urlsplit(url).scheme not in PLACES:
            schemes = [f"{name}://" for name in PLACES if name]
            raise ValueError(f"it must be a directory, or begin with {' or '.join(schemes)}")
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
        """How often something may be done: `OFF`, or as Flask-Limiter takes it."""
        return str(getattr(self, f"silo_limit_{name}"))

    @property
    def store_url(self) -> str:
        file = quote(str(self.silo_data_dir / "silo.db"))
        return self.silo_store_url or f"sqlite:///{file}"

    @property
    def files_url(self) -> str:
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

        Raises ConfigError.
        """
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
    shown = "" if name in SECRETS else f" is {error['input']!r}"
    return f"{name}{shown}: {error['msg'].removeprefix('Value error, ')}."


def _wrong_secret(key: str) -> str:
    """Why a text is no secret, or nothing. What a person copied from an example, anybody can."""
    if len(key) < SECRET_CHARS:
        return f"it is shorter than {SECRET_CHARS} characters"
    return "it is a sample" if len(SAMPLE_WORDS.sub("", key)) < 8 else ""


def _new_secret() -> str:
    return secrets.token_urlsafe(48)
