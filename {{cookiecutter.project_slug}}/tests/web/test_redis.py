"""The whole app over a store that other machines share."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis as client
from flask import Flask
from servers.valkey import Valkey
from support import without_children

from {{ cookiecutter.package_name }} import create_app
from {{ cookiecutter.package_name }}.config import ConfigError
from {{ cookiecutter.package_name }}.keys import Keys

from .person import Person, csv_text

FILE = ("sales.csv", csv_text([["Region", "Amount"], ["North", 1]]))
MINUTES = 300.0
SECRET = "0123456789abcdef-of-both"

MakeHost = Callable[..., Flask]


@pytest.fixture
def prefix() -> str:
    return f"web-{secrets.token_hex(4)}"


@pytest.fixture
def host(valkey: Valkey, prefix: str, tmp_path: Path) -> Iterator[MakeHost]:
    """`host("a", SILO_TTL=60)` is the app on a machine of that name, by the store's clock."""
    apps: list[Flask] = []

    def make(name: str, **settings: object) -> Flask:
        given = {
            "SECRET_KEY": SECRET,
            "SILO_DATA_DIR": tmp_path / name,
            "SILO_FILES_URL": str(tmp_path / "files"),
            "SILO_STORE_URL": f"{valkey.url}?prefix={prefix}",
            "SILO_RUNNER": "thread",
            **settings,
        }
        app = create_app(given)
        without_children(app)
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.extensions["silo"].stop()


def test_after_all_that_an_app_does_nothing_stays_but_what_may(
    host: MakeHost, valkey: Valkey, prefix: str
) -> None:
    """Whoever cleans up may be lost for ever: every key ends by itself, but for the API keys, the
    counts, the total of all files, the secret's mark, and the number of the last version."""
    app = host("a", SILO_CACHE_TTL=600, SILO_EXPIRED_RETAIN=60)
    silo = app.extensions["silo"]
    kept = Keys(silo.store.records).create("robot", ["read"])
    person, other, gone = Person(app), Person(app), Person(app)
    for each in (person, other, gone):
        each.has_report(FILE)
        assert each.get("/api/report.xlsx").status_code == 200
    assert person.post("/api/reset").status_code == 204
    assert other.upload(FILE).status_code == 201
    key = {"Idempotency-Key": '"0123456789abcdef0123"'}
    keyed = other.post("/api/process", json={}, headers=key)
    assert keyed.status_code == 202
    assert other.end().name == "complete"
    assert other.get("/metrics").status_code == 200
    silo.events.publish("news", {"a": 1})
    silo.events.broadcast({"b": 2})
    silo.store.runner.every(3600, csv_text, name="now and then")
    silo.store.destroy(gone.sid)
    silo.store.cleanup()
    with client.Redis.from_url(valkey.url) as raw:
        names = {name.decode(): raw.pttl(name) for name in raw.scan_iter("{" + prefix + "}*")}
    staying = {name.partition("}")[2] for name, left in names.items() if left == -1}
    assert staying <= {
        ":version",
        *("/key", f"/key/{kept.split('_')[1]}"),
        *("/counts", "/counts/all", "/total", "/total/files", "/secret", "/secret/mark"),
    }
    kinds = {name.split("/")[1] for name in names if "/" in name}
    assert kinds >= {"session", "job", "answer", "stream", "garbage", "periodic", "limit", "key"}
    assert len(names) > 20


def test_s33_hosts_whose_clocks_are_minutes_apart_agree(
    host: MakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Person(host("a"))
    here.has_report(FILE)
    real = time.time
    for name, ahead in (("b", MINUTES), ("c", -MINUTES)):
        link = here.post("/api/report/link").json["url"]
        monkeypatch.setattr(time, "time", lambda ahead=ahead: real() + ahead)
        there = Person(host(name), here.sid)
        left = there.status()["expires_in"]
        assert 3590 < left <= 3600.5
        assert Person(there.app).get(link).status_code == 200
        there.app.extensions["silo"].store.cleanup()
        assert there.status()["session"] == "live"
        there.process()
        assert there.end().name == "complete"
        monkeypatch.setattr(time, "time", real)
    assert here.status()["session"] == "live"


def test_a_store_that_cannot_be_used_stops_the_start_and_shows_no_password(
    tmp_path: Path, valkey: Valkey
) -> None:
    url = f"redis://robot:correct-horse@127.0.0.1:{valkey.port}/0"
    with pytest.raises(ConfigError, match=r"SILO_STORE_URL is 'redis://\*\*\*@") as caught:
        create_app({"SILO_DATA_DIR": tmp_path, "SILO_STORE_URL": url, "SECRET_KEY": "x1" * 16})
    assert "horse" not in str(caught.value)


def test_a_wrong_scheme_shows_no_password_either(tmp_path: Path) -> None:
    url = "postgres://robot:correct@horse@127.0.0.1/0"
    with pytest.raises(ConfigError, match=r"SILO_STORE_URL is 'postgres://\*\*\*@") as caught:
        create_app({"SILO_DATA_DIR": tmp_path, "SILO_STORE_URL": url})
    assert "horse" not in str(caught.value)
    assert "correct" not in str(caught.value)
