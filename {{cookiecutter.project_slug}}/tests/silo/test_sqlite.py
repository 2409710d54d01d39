"""What only SQLite has: a file that outlives processes, is shared by them, and can fail."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import eventually

from {{ cookiecutter.package_name }}.silo.errors import StoreFull, StoreUnavailable
from {{ cookiecutter.package_name }}.silo.records import NEW, Put, Records, open_records
from {{ cookiecutter.package_name }}.silo.sessions import sqlite
from {{ cookiecutter.package_name }}.silo.sessions.turn import Turn


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/data/silo.db"


def count_up(url: str, times: int) -> None:
    records = open_records(url)
    for _ in range(times):
        while not _step(records):
            pass


def _step(records: Records) -> int:
    found = records.read("n", "n")
    value = int(found.value) + 1 if found else 1
    return records.apply(Put("n", "n", str(value).encode(), 0, found.version if found else NEW))


def test_what_is_written_is_there_after_a_restart(url: str) -> None:
    first = open_records(url)
    version = first.apply(Put("kind", "key", b"value", 7.5))
    first.close()
    found = open_records(url).read("kind", "key")
    assert found
    assert (found.value, found.version, found.due) == (b"value", version, 7.5)


def test_files_are_for_this_user_alone(url: str, tmp_path: Path) -> None:
    open_records(url).apply(Put("kind", "key", b"value", 0))
    folder = tmp_path / "data"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_processes_lose_no_step_of_each_other(url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=count_up, args=(url, 100)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    found = open_records(url).read("n", "n")
    assert found
    assert found.value == b"300"


def test_a_killed_writer_leaves_the_store_whole_and_free(url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    writer = spawn.Process(target=count_up, args=(url, 1_000_000))
    writer.start()
    records = open_records(url)
    while not records.read("n", "n"):
        pass
    assert writer.pid
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(60)
    before = records.read("n", "n")
    assert _step(records)
    after = records.read("n", "n")
    assert before
    assert after
    assert int(after.value) == int(before.value) + 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings(
    "ignore:.*fork:DeprecationWarning"
)  # forking beside threads is the test
def test_connections_do_not_cross_a_fork(url: str) -> None:
    records = open_records(url)
    assert _step(records)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _step(records)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert _step(records)
    found = records.read("n", "n")
    assert found
    assert found.value == b"3"


def test_a_new_file_is_prepared_by_one_process_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "silo.db"
    with ThreadPoolExecutor(1) as pool:
        with Turn(tmp_path / "silo.turn"):
            opening = pool.submit(open_records, f"sqlite:///{file}")
            with pytest.raises(TimeoutError):
                opening.result(timeout=0.1)
            eventually(file.exists)
            assert file.stat().st_size == 0
        opening.result(timeout=60).close()
    assert file.stat().st_size > 0


def test_a_single_step_waits_for_nobody_s_turn_and_several_wait(url: str, tmp_path: Path) -> None:
    records = open_records(url)
    one, other = Put("kind", "one", b"", 0), Put("kind", "other", b"", 0)
    with ThreadPoolExecutor(1) as pool:
        with Turn(tmp_path / "data" / "silo.turn"):
            assert records.apply(one)
            both = pool.submit(records.apply, one, other)
            with pytest.raises(TimeoutError):
                both.result(timeout=0.1)
        assert both.result(timeout=60)


def test_a_step_that_comes_while_another_program_writes_is_taken_afterwards(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "ASK_SECONDS", 0.01)
    records = open_records(url)
    other = sqlite3.connect(tmp_path / "data" / "silo.db", isolation_level=None)
    with ThreadPoolExecutor(2) as pool:
        other.execute("BEGIN IMMEDIATE")
        waiting = [pool.submit(records.apply, Put("kind", key, b"", 0)) for key in ("a", "b")]
        for each in waiting:
            with pytest.raises(TimeoutError):
                each.result(timeout=0.1)
        other.execute("COMMIT")
        assert all(each.result(timeout=60) for each in waiting)
    other.close()
    assert records.count("kind") == 2


def test_the_log_is_begun_anew_now_and_then(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WRITES", 20)
    records = open_records(url)
    for number in range(300):
        assert records.apply(Put("kind", str(number % 7), b"x", number))
    assert (tmp_path / "data" / "silo.db-wal").stat().st_size < 100 * 4096


def test_a_log_that_cannot_be_begun_anew_fails_no_write(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite, "WRITES", 1)
    monkeypatch.setattr(sqlite, "_checkpoint", broken)
    records = open_records(url)
    assert records.apply(Put("kind", "key", b"value", 0))
    assert records.read("kind", "key")


def test_threads_that_end_leave_no_connection_behind(url: str) -> None:
    records = open_records(url)
    for _ in range(20):
        thread = threading.Thread(target=_step, args=(records,))
        thread.start()
        thread.join()
    assert isinstance(records, sqlite.SqliteRecords)
    assert len(records._idle) == 1


def test_a_locked_database_is_unavailable_and_then_works_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    records = open_records(url)
    other = sqlite3.connect(tmp_path / "data" / "silo.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable):
        _step(records)
    other.execute("ROLLBACK")
    other.close()
    assert _step(records)


def test_a_full_disk_is_said_and_then_works_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own limit on pages stands in for a disk that is full."""
    opened = sqlite3.connect

    def small(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = opened(*args, **kwargs)  # type: ignore[call-overload]  # as given
        connection.execute("PRAGMA max_page_count = 16")
        return connection

    records = open_records(url)
    records.close()
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", small)
        with pytest.raises(StoreFull):
            records.apply(Put("kind", "key", b"x" * 1_000_000, 0))
    records.close()
    assert records.apply(Put("kind", "key", b"x" * 1_000_000, 0))


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "silo.db").write_bytes(b"not a database at all, " * 100)
    with pytest.raises(StoreUnavailable):
        open_records(f"sqlite:///{tmp_path}/silo.db")


def test_an_older_file_is_brought_up_to_date(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_records(url).apply(Put("kind", "key", b"kept", 0))
    newer = [*sqlite.MIGRATIONS, "CREATE TABLE extra (value INTEGER)"]
    monkeypatch.setattr(sqlite, "MIGRATIONS", newer)
    again = open_records(url)
    found = again.read("kind", "key")
    assert found
    assert found.value == b"kept"
    connection = sqlite3.connect(tmp_path / "data" / "silo.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (len(newer),)
    assert connection.execute("SELECT * FROM extra").fetchall() == []
    connection.close()
