"""Every setting: its name, its default, what it does.

Settings come from the environment, or from a mapping given to `create_app`, which wins. An empty
value means the default. A wrong value stops the start with a sentence.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .silo.files.base import PLACES
from .silo.once import made_once
from .silo.records import STORES

SECRET_CHARS = 16
SAMPLE_WORDS = re.compile(
    "change|default|example|insecure|key|me|password|please|sample|secret|test|this|your", re.I
)
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.I)


class ConfigError(Exception):
    """A setting with a wrong value; its text names the setting and says what is wrong."""


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
    silo_require_key: bool = Field(False, description="Whether every call must show an API key.")
    silo_trusted_proxies: int = Field(0, ge=0, description="Proxies in front, whose word counts.")

    @field_validator("secret_key")
    @classmethod
    def _is_secret(cls, key: str) -> str:
        """What a person copied from an example, anybody can copy."""
        if key and len(key) < SECRET_CHARS:
            raise ValueError(
                f"it is shorter than {SECRET_CHARS} characters; leave it empty to have one made"
            )
        if key and len(SAMPLE_WORDS.sub("", key)) < 8:
            raise ValueError("it is a sample and no secret; leave it empty to have one made")
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
            raise ValueError("it must be a directory or a file:// URL")
        return url

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

    @property
    def store_url(self) -> str:
        file = quote(str(self.silo_data_dir / "silo.db"))
        return self.silo_store_url or f"sqlite:///{file}"

    @property
    def files_url(self) -> str:
        return self.silo_files_url or str(self.silo_data_dir / "files")

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
        if len(key) < SECRET_CHARS:
            raise ConfigError(f"{path} holds no secret. Remove it to have one made.")
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
    shown = "" if name == "SECRET_KEY" else f" is {error['input']!r}"
    return f"{name}{shown}: {error['msg'].removeprefix('Value error, ')}."


def _new_secret() -> str:
    return secrets.token_urlsafe(48)
