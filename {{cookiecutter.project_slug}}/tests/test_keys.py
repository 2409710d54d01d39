"""API keys: made, shown, checked and revoked; and what the store knows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from backends import RECORDS
from click.testing import CliRunner, Result
from flask import Flask
from support import Clock

from {{ cookiecutter.package_name }} import create_app
from {{ cookiecutter.package_name }}.cli import main
from {{ cookiecutter.package_name }}.keys import SCOPES, Keys, Scope
from {{ cookiecutter.package_name }}.silo.records import Records

Run = Callable[..., Result]

CALLS: list[tuple[str, str, Scope]] = [
    ("POST", "/api/upload", "upload"),
    ("POST", "/api/process", "process"),
    ("POST", "/api/cancel", "process"),
    ("POST", "/api/reset", "process"),
    ("GET", "/api/options", "read"),
    ("GET", "/api/status", "read"),
    ("GET", "/api/progress", "read"),
    ("GET", "/api/events", "read"),
    ("GET", "/api/report", "read"),
    ("GET", "/api/report.xlsx", "read"),
    ("POST", "/api/report/link", "read"),
]


@pytest.fixture(params=RECORDS)
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    records = RECORDS[request.param](tmp_path)
    yield records
    records.close()


def test_a_key_is_found_by_its_token_until_it_is_revoked(records: Records, clock: Clock) -> None:
    keys, others = Keys(records, clock), Keys(records, clock)
    token = keys.create("nightly", ["upload", "read"])
    found = others.find(token)
    assert found
    assert (found.name, found.scopes, found.created) == ("nightly", ("upload", "read"), clock())
    assert others.revoke(found.id)
    assert keys.find(token) is None
    assert not keys.revoke(found.id)


def test_keys_are_listed_in_the_order_in_which_they_were_made(
    records: Records, clock: Clock
) -> None:
    keys = Keys(records, clock)
    for name in ("first", "second", "third"):
        keys.create(name, ["read"])
        clock.advance(1)
    assert [key.name for key in keys.all()] == ["first", "second", "third"]


def test_the_store_holds_nothing_that_could_be_shown(records: Records, clock: Clock) -> None:
    keys = Keys(records, clock)
    token = keys.create("nightly", ["read"])
    secret = token.split("_", 2)[2]  # which may hold the same character
    assert len(secret) == 43
    for key, record in records.each_due("key", float("inf")):
        assert secret not in key
        assert secret.encode() not in record.value


@pytest.mark.parametrize("damage", ["", "x", "silo_", "{}x", "x{}", "{}\n", "silo_0_1"])
def test_what_is_no_key_is_none(records: Records, clock: Clock, damage: str) -> None:
    keys = Keys(records, clock)
    token = keys.create("nightly", ["read"])
    assert keys.find(damage.format(token)) is None
    assert keys.find(token[:-1] + ("A" if token[-1] != "A" else "B")) is None


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Flask]:
    """The app, which asks for keys."""
    app = create_app({"SILO_DATA_DIR": tmp_path, "SILO_REQUIRE_KEY": "1", "SILO_RUNNER": "thread"})
    yield app
    app.extensions["silo"].stop()


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
def test_each_call_asks_for_its_scope(guarded: Flask, method: str, path: str, scope: Scope) -> None:
    keys = Keys(guarded.extensions["silo"].store.records)

    def call(token: str | None) -> tuple[int, str | None]:
        headers = {"X-Requested-With": "test"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        answer = guarded.test_client().open(path, method=method, headers=headers)
        return answer.status_code, (answer.json or {}).get("error")

    others = [each for each in SCOPES if each != scope]
    assert call(None) == (401, "no_key")
    assert call("silo_no_key") == (401, "no_key")
    assert call(keys.create("others", others)) == (403, "no_scope")
    assert call(keys.create("fitting", [scope]))[0] not in (401, 403)


def test_who_is_refused_learns_how_to_ask(guarded: Flask) -> None:
    answer = guarded.test_client().get("/api/status")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "X-Session-ID" not in answer.headers


def test_the_page_and_the_health_ask_for_none(guarded: Flask) -> None:
    for path in ("/", "/healthz", "/readyz", "/static/app.js"):
        with guarded.test_client().get(path) as answer:
            assert answer.status_code == 200


def test_without_the_setting_nobody_is_asked(app: Flask) -> None:
    assert app.test_client().get("/api/status").status_code == 200


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SILO_DATA_DIR", str(tmp_path))
    return lambda *arguments: CliRunner().invoke(main, ["keys", *arguments])


def test_keys_are_made_listed_and_revoked_beside_a_running_app(
    guarded: Flask, run: Run, tmp_path: Path
) -> None:
    made = run("create", "nightly run", "--scope", "read", "--scope", "upload")
    token = made.stdout.strip()
    assert f"sqlite:///{tmp_path}/silo.db" in made.stderr
    headers = {"Authorization": f"Bearer {token}"}
    assert guarded.test_client().get("/api/status", headers=headers).status_code == 200
    number, _, scopes, name = run("list").output.strip().split("  ")
    assert (scopes, name) == ("read,upload", "nightly run")
    assert number in token
    assert token not in run("list").output
    assert run("revoke", number).exit_code == 0
    assert guarded.test_client().get("/api/status", headers=headers).status_code == 401
    assert run("list").output == ""
    gone = run("revoke", number)
    assert gone.exit_code == 1
    assert "There is no key" in gone.output


def test_a_store_in_memory_keeps_no_keys(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILO_STORE_URL", "memory://")
    result = run("create", "nightly", "--scope", "read")
    assert result.exit_code == 1
    assert "memory" in result.output
