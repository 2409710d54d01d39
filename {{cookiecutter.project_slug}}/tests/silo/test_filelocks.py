"""Locks that the operating system frees: across openings, processes, deaths and forks."""

from __future__ import annotations

import errno
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from {{ cookiecutter.package_name }}.silo.sessions import filelocks
from {{ cookiecutter.package_name }}.silo.sessions.filelocks import FileLocks

KEY, OTHER = (sha256(name).hexdigest() for name in (b"one", b"other"))

HOLD = """
import sys
from pathlib import Path
from {{ cookiecutter.package_name }}.silo.sessions.filelocks import FileLocks
locks = FileLocks(Path(sys.argv[1]))
print(locks.take(sys.argv[2]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "silo.lock"


@pytest.fixture
def locks(path: Path) -> Iterator[FileLocks]:
    locks = FileLocks(path)
    yield locks
    locks.close()


def test_a_lock_is_had_once_and_others_beside_it(locks: FileLocks) -> None:
    assert locks.take(KEY)
    assert not locks.take(KEY)
    assert locks.take(OTHER)
    locks.free(KEY)
    assert locks.take(KEY)


def test_freeing_what_is_not_held_frees_nobody(locks: FileLocks, path: Path) -> None:
    another = FileLocks(path)
    assert another.take(KEY)
    locks.free(KEY)
    assert not locks.take(KEY)
    another.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere locks belong to the process")
def test_two_openings_keep_each_other_out_and_closing_one_frees_only_its_own(
    locks: FileLocks, path: Path
) -> None:
    another, third = FileLocks(path), FileLocks(path)
    assert locks.take(KEY)
    assert not another.take(KEY)
    assert another.take(OTHER)
    another.close()
    third.close()
    assert not third.take(KEY)
    assert third.take(OTHER)
    third.close()


@pytest.mark.parametrize("end", ["kill", "wait"])
def test_a_lock_ends_with_its_process(locks: FileLocks, path: Path, end: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == "True\n"
        assert not locks.take(KEY)
        assert locks.take(OTHER)
        if end == "kill":
            holder.kill()
        else:
            assert holder.stdin
            holder.stdin.close()
        holder.wait(60)
    assert locks.take(KEY)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings(
    "ignore:.*fork:DeprecationWarning"
)  # forking beside threads is the test
def test_what_a_parent_holds_is_not_its_forked_child_s(locks: FileLocks) -> None:
    assert locks.take(KEY)
    child = os.fork()
    if child == 0:
        os._exit(locks.take(KEY) * 1 + (not locks.take(OTHER)) * 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_file_is_ours_alone_and_stays_empty(locks: FileLocks, path: Path) -> None:
    locks.take(KEY)
    assert path.stat().st_size == 0
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600


class Windows(ModuleType):
    """The `msvcrt` of that system: a lock is had on the bytes where the file stands."""

    LK_NBLCK, LK_UNLCK = 1, 0

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self.locked: set[int] = set()

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        time.sleep(0)  # a call to the system lets other threads in
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        if count != 1 or (place in self.locked) != (mode == self.LK_UNLCK):
            raise PermissionError(errno.EACCES, "locked, or not locked")
        self.locked ^= {place}


def test_threads_do_not_take_each_others_locks_on_windows(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Windows()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "win32")
        elsewhere.setitem(sys.modules, "msvcrt", windows)
        module = runpy.run_path(str(filelocks.__file__), run_name=filelocks.__name__)
    locks: Any = module["FileLocks"](path)

    def work(number: int) -> bool:
        key = f"{number:015x}"
        for _ in range(200):
            if not locks.take(key):
                return False
            locks.free(key)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert not windows.locked
    locks.close()
