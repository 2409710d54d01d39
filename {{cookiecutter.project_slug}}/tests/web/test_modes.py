"""Who may read what the app keeps: this user, and nobody else, whatever the umask."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from backends import KEY

from .conftest import MakeApp
from .person import Person
from .test_resumable import DATA, Sender


@pytest.fixture(params=[0o000, 0o022], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("key", ["", KEY], ids=["plain", "encrypted"])
@pytest.mark.parametrize("runner", ["thread", "process"])
def test_s41_after_a_whole_journey_only_this_user_may_read_what_lies_there(
    make_app: MakeApp, tmp_path: Path, key: str, runner: str
) -> None:
    app = make_app(SILO_RUNNER=runner, SILO_ENCRYPTION_KEY=key, SILO_CACHE_TTL=60)
    Person(app).has_report()
    sender = Sender(app)
    sender.append(sender.created(), 0, DATA[:1000])
    app.extensions["silo"].stop()  # what its job had for itself is gone
    data = tmp_path / "instance"
    found = [data, *data.rglob("*")]
    seen = {path.name for path in found}
    assert {"files", "cache", "secret_key", "silo.db", "silo.db-wal", "silo.db-shm"} <= seen
    assert any(name.endswith(".part") for name in seen)
    assert runner == "thread" or {"slots", "scratch"} <= seen
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in found}
    wrong = {p: oct(m) for p, m in modes.items() if m != (0o700 if p.is_dir() else 0o600)}
    assert wrong == {}
