"""The one list of stacks: which store, runner and place for files go together.

Tests of the whole app, from the upload to the download, run on each; some, on those named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex

from servers import swift, valkey

SECRET = "the same for all hosts of these tests"


@dataclass(frozen=True)
class Stack:
    """`store` is memory, sqlite or redis, `runner` as SILO_RUNNER has it, `files` local or s3."""

    store: str
    runner: str
    files: str

    def __str__(self) -> str:
        return f"{self.store}-{self.runner}-{self.files}"

    @property
    def has_workers(self) -> bool:
        """Whether jobs are worked on by processes of their own, which must be started."""
        return self.runner == "celery"

    def settings(self) -> dict[str, str]:
        """Settings for the servers of one test, which share nothing with another's."""
        name = f"test-{token_hex(6)}"
        settings = {"SECRET_KEY": SECRET, "SILO_RUNNER": self.runner}
        if self.store == "memory":
            settings["SILO_STORE_URL"] = "memory://"
        if self.store == "redis":
            settings["SILO_STORE_URL"] = f"{valkey.shared().url}?prefix={name}"
        if self.has_workers:
            settings["SILO_BROKER_URL"] = f"{valkey.shared().url}?prefix={name}"
        if self.files == "s3":
            settings |= bucket(swift.shared(), name)
        return settings


def bucket(server: swift.Swift, name: str) -> dict[str, str]:
    """Settings for files below a prefix in a server's bucket."""
    files = {"SILO_FILES_URL": f"s3://{server.bucket}/{name}"}
    return {**files, "SILO_FILES_ENDPOINT": server.endpoint, **server.environment}


PLAIN = Stack("sqlite", "process", "local")
MIDDLE = Stack("redis", "process", "s3")
LARGE = Stack("redis", "celery", "s3")

STACKS = (
    Stack("memory", "thread", "local"),
    Stack("memory", "process", "s3"),
    PLAIN,
    Stack("sqlite", "thread", "s3"),
    Stack("sqlite", "celery", "local"),
    Stack("redis", "thread", "local"),
    MIDDLE,
    LARGE,
)
"""Each store with each runner, but memory, which one process has, with workers; and each of both
with either place."""
