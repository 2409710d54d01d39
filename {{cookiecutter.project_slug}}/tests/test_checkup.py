"""The command `check`: what it says of servers that are up, down, silent or locked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import known_step
import pytest
from backends import KEY
from click.testing import CliRunner, Result
from servers import swift, valkey

from {{ cookiecutter.package_name }} import checkup, cli, contract, create_app, secretmark
from {{ cookiecutter.package_name }}.silo.records import open_records
from {{ cookiecutter.package_name }}.silo.tasks.presence import Presence

SECRET = "b1946ac92492d2347c6235b4d2611184"
PASSWORD = "geheim-und-lang"
PARTS = ["step", "store", "files", "runner", "broker", "secret", "encryption"]

EVICTS: Any = {"maxmemory-policy": "allkeys-lru"}

PATIENCE_SECONDS = checkup.PATIENCE_SECONDS

Check = Callable[..., Result]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """`check(NAME=value)` is the command with these settings, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(contract, "load", lambda: known_step)
    monkeypatch.setattr(checkup, "PATIENCE_SECONDS", 120.0)  # a busy machine may take long
    return lambda **settings: CliRunner(env=settings).invoke(cli.main, ["check"])


def rows(result: Result) -> list[tuple[str, str, str]]:
    """Part, state and the rest of each line."""
    lines = [line.split(None, 2) for line in result.output.splitlines()]
    return [(part, state, rest) for part, state, rest in lines]


def states(result: Result) -> dict[str, str]:
    return {part: state for part, state, _ in rows(result)}


def said(result: Result, part: str) -> str:
    return " ".join(rest for name, _, rest in rows(result) if name == part)


def distributed(tmp_path: Path, **more: Any) -> dict[str, Any]:
    bucket = swift.shared()
    return {
        "SECRET_KEY": SECRET,
        "SILO_STORE_URL": f"{valkey.shared().url}?prefix={tmp_path.name}",
        "SILO_FILES_URL": f"s3://{bucket.bucket}/{tmp_path.name}",
        "SILO_FILES_ENDPOINT": bucket.endpoint,
        **more,
    }


def test_a_fresh_folder_is_well_and_stays_empty(check: Check, tmp_path: Path) -> None:
    result = check()
    assert result.exit_code == 0, result.output
    assert states(result) == dict.fromkeys(PARTS, "ok")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_tried_and_left_as_it_was(check: Check, tmp_path: Path) -> None:
    open_records(f"sqlite:///{tmp_path}/instance/silo.db").close()
    (tmp_path / "instance" / "files").mkdir()
    result = check(SILO_ENCRYPTION_KEY=f"{KEY},{KEY}")
    assert result.exit_code == 0, result.output
    assert "A record was written, read and removed." in said(result, "store")
    assert f"sqlite:///{tmp_path}/instance/silo.db" in said(result, "store")
    assert "A file was put there, read and removed." in said(result, "files")
    assert "the first of 2 keys" in said(result, "encryption")
    assert KEY not in result.output
    records = open_records(f"sqlite:///{tmp_path}/instance/silo.db")
    assert records.count(checkup.KIND) == 0
    records.close()
    assert list((tmp_path / "instance" / "files").iterdir()) == []


def test_a_folder_that_cannot_be_made(check: Check) -> None:
    result = check(SILO_DATA_DIR="/dev/null/data")
    assert result.exit_code == 1
    assert states(result) == {
        **dict.fromkeys(PARTS, "ok"),
        **dict.fromkeys(["store", "files", "secret"], "error"),
    }
    assert "cannot be made in /dev/null." in said(result, "store")


def test_a_file_that_is_named_wrongly_is_not_made(check: Check, tmp_path: Path) -> None:
    result = check(SILO_STORE_URL="sqlite://data/silo.db")
    assert states(result)["store"] == "error"
    assert "with three slashes" in said(result, "store")
    assert list(tmp_path.iterdir()) == []


def test_too_little_room_is_an_error(check: Check, tmp_path: Path) -> None:
    (tmp_path / "instance" / "files").mkdir(parents=True)
    result = check(SILO_MIN_FREE_MB=str(10**9))
    assert states(result)["files"] == "error"
    assert "SILO_MIN_FREE_MB" in said(result, "files")


def test_servers_that_are_there(check: Check, tmp_path: Path) -> None:
    given = distributed(tmp_path, SILO_RUNNER="celery")
    result = check(**given)
    assert states(result) == {**dict.fromkeys(PARTS, "ok"), "store": "warning", "runner": "warning"}
    assert result.exit_code == 0, "nothing is wrong, although no worker is there"
    assert "No worker is at work" in said(result, "runner")
    records = open_records(given["SILO_STORE_URL"])
    worker = Presence(records, records.clock or time.time)
    worker.renew()
    assert "1 worker is at work" in said(check(**given), "runner")
    worker.end()
    assert records.count(checkup.KIND) == 0
    records.close()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[valkey.Valkey]:
    """A server with a password, that evicts and keeps nothing."""
    server = valkey.Valkey(
        tmp_path / "valkey",
        requirepass=PASSWORD,
        maxmemory="100mb",
        **EVICTS,
    )
    yield server
    server.stop()


def test_what_a_server_may_lose_is_warned_of(check: Check, locked: valkey.Valkey) -> None:
    result = check(SECRET_KEY=SECRET, SILO_STORE_URL=locked.url)
    warnings = [rest for part, state, rest in rows(result) if (part, state) == ("store", "warning")]
    assert "maxmemory-policy is allkeys-lru" in warnings[0]
    assert "keeps nothing on disk" in warnings[1]
    assert result.exit_code == 0
    assert PASSWORD not in result.output
    assert f"redis://***@127.0.0.1:{locked.port}/0" in result.output


def test_a_durable_server_raises_no_doubts(check: Check, tmp_path: Path) -> None:
    server = valkey.Valkey(tmp_path / "valkey", durable=True)
    try:
        assert states(check(SECRET_KEY=SECRET, SILO_STORE_URL=server.url))["store"] == "ok"
    finally:
        server.stop()


def test_a_wrong_password_is_said_and_not_shown(check: Check, locked: valkey.Valkey) -> None:
    url = locked.url.replace(PASSWORD, "another-password")
    result = check(SECRET_KEY=SECRET, SILO_STORE_URL=url, SILO_RUNNER="celery")
    assert result.exit_code == 1
    assert states(result)["store"] == states(result)["broker"] == "error"
    assert "password" in said(result, "store").replace("another-password", "shown").lower()
    assert "another-password" not in result.output


def test_servers_that_are_away_or_silent_are_said_to_be_within_seconds(
    check: Check, locked: valkey.Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "PATIENCE_SECONDS", PATIENCE_SECONDS)
    given = distributed(
        tmp_path,
        SILO_RUNNER="celery",
        SILO_STORE_URL=locked.url,
        SILO_BROKER_URL=f"redis://:{PASSWORD}@127.0.0.1:1/0",
        SILO_FILES_ENDPOINT="http://127.0.0.1:1",
    )
    began = time.monotonic()
    with locked.paused():
        result = check(**given)
    assert time.monotonic() - began < PATIENCE_SECONDS + 20
    assert result.exit_code == 1
    wrong = {"store": "error", "files": "error", "broker": "error", "runner": "warning"}
    assert states(result) == {**dict.fromkeys(PARTS, "ok"), **wrong}
    assert PASSWORD not in result.output
    assert "127.0.0.1:1" in said(result, "broker")


def test_wrong_credentials_of_a_bucket(check: Check, tmp_path: Path) -> None:
    result = check(**distributed(tmp_path, AWS_SECRET_ACCESS_KEY="wrong"))
    assert states(result)["files"] == "error"
    assert "refuses these credentials" in said(result, "files")


def test_a_bucket_that_is_not_there(check: Check, tmp_path: Path) -> None:
    result = check(**distributed(tmp_path, SILO_FILES_URL="s3://no-such-bucket/x"))
    assert states(result)["files"] == "error"
    assert "there is no such bucket" in said(result, "files")


def test_settings_that_do_not_go_together_are_in_the_table(check: Check, tmp_path: Path) -> None:
    result = check(**distributed(tmp_path, SECRET_KEY="", SILO_BROKER_URL="redis://broker/1"))
    assert result.exit_code == 1
    assert states(result)["secret"] == "error"
    assert "Set it to the same long text" in said(result, "secret")
    assert states(result)["broker"] == "warning"


def test_another_secret_than_that_of_the_other_servers_is_noticed(
    check: Check, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = distributed(tmp_path, SILO_RUNNER="process", SILO_DATA_DIR=str(tmp_path / "data"))
    create_app(given).extensions["silo"].stop()
    create_app(given).extensions["silo"].stop()
    assert states(check(**given))["secret"] == "ok"
    assert "SECRET_KEY" not in caplog.text
    other = {**given, "SECRET_KEY": SECRET[::-1]}
    result = check(**other)
    assert result.exit_code == 0
    assert states(result)["secret"] == "warning"
    assert "set it to the same everywhere" in said(result, "secret")
    create_app(other).extensions["silo"].stop()
    assert "SECRET_KEY is not what servers of this store have had" in caplog.text
    records = open_records(given["SILO_STORE_URL"])
    for _, record in records.each(secretmark.KIND):
        assert SECRET.encode() not in record.value
    records.close()


def test_a_wrong_setting_is_said_without_its_password(check: Check) -> None:
    result = check(SILO_STORE_URL=f"mysql://me:{PASSWORD}@host/0")
    assert result.exit_code == 1
    assert "SILO_STORE_URL is 'mysql://***@host/0'" in result.output
    assert PASSWORD not in result.output


def test_a_failure_that_nobody_foresaw_is_a_line_of_the_table(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(settings: object) -> object:
        raise RuntimeError(f"redis://:{PASSWORD}@host is odd")

    monkeypatch.setattr(checkup, "records_of", fail)
    monkeypatch.setattr(checkup, "sqlite_file", lambda settings: None)
    result = check()
    assert result.exit_code == 1
    assert said(result, "store").endswith("redis://***@host is odd")


def test_the_table_is_plain_aligned_text(check: Check) -> None:
    lines = check().output.splitlines()
    assert [line.split()[0] for line in lines] == PARTS
    assert len({line.index(" ok ") for line in lines}) == 1
    assert all(line.isascii() and line.endswith(".") for line in lines)
