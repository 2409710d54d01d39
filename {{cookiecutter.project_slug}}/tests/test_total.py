"""The total of all files: exact for those who add at once, found anew after a while."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from backends import RECORDS
from support import Clock

from {{ cookiecutter.package_name }}.problems import Problem
from {{ cookiecutter.package_name }}.silo import FileStore
from {{ cookiecutter.package_name }}.total import AGAIN_SECONDS, OLD_SECONDS, Total

SID = "a-session-of-somebody"
Make = Callable[[], Total]


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


@pytest.fixture(params=RECORDS)
def make(request: pytest.FixtureRequest, tmp_path: Path, files: FileStore, clock: Clock) -> Make:
    """Another process's view of one total of 1,000 bytes."""
    RECORDS[request.param](tmp_path)
    return lambda: Total(RECORDS[request.param](tmp_path), files, clock, 1000)


@pytest.fixture(autouse=True)
def _own_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory's records are one for all tests."""
    monkeypatch.setattr("{{ cookiecutter.package_name }}.total.KEY", SID + str(id(monkeypatch)))


def keep(total: Total, files: FileStore, name: str, size: int) -> bool:
    files.save(SID, name, b"x" * size)
    try:
        total.add(size)
    except Problem:
        files.remove(SID, name)
        return False
    return True


def test_s17_what_was_there_before_counts(make: Make, files: FileStore) -> None:
    files.save(SID, "old", b"x" * 600)
    assert make().stored() == 600
    assert not keep(make(), files, "a", 500)
    assert keep(make(), files, "b", 400)
    assert make().stored() == 1000


def test_s17_many_at_once_stay_below_the_limit_together(make: Make, files: FileStore) -> None:
    make().stored()
    with ThreadPoolExecutor(16) as pool:
        kept = list(pool.map(lambda n: keep(make(), files, f"f{n}", 100), range(40)))
    assert kept.count(True) == 10
    assert files.total_size_bytes == make().stored() == 1000


def test_s17_what_is_removed_makes_room_at_the_next_look(
    make: Make, files: FileStore, clock: Clock
) -> None:
    make().stored()
    assert keep(make(), files, "a", 900)
    files.remove(SID, "a")
    assert make().stored() == 900
    assert not keep(make(), files, "b", 200)
    clock.advance(AGAIN_SECONDS + 1)
    assert keep(make(), files, "b", 200)
    files.remove(SID, "b")
    clock.advance(OLD_SECONDS + 1)
    assert make().stored() == 0


def test_s17_what_is_added_during_a_look_is_not_forgotten(
    make: Make, files: FileStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may count twice, until the next look."""
    assert keep(make(), files, "a", 300)
    clock.advance(OLD_SECONDS + 1)
    found = files.total_size_bytes

    def size(_: FileStore) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(FileStore, "total_size_bytes", found)
            assert keep(make(), files, "b", 300)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "total_size_bytes", property(size))
        make().stored()
    assert make().stored() == 600


def test_without_a_limit_everything_fits(files: FileStore, tmp_path: Path, clock: Clock) -> None:
    total = Total(RECORDS["sqlite"](tmp_path), files, clock)
    total.check(10**15)
    total.add(10**15)
    assert total.stored() == 10**15
