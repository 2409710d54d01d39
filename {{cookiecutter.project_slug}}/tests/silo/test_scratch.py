"""Scratch: a child's temporary files go with it, in whatever way either of its sides ends."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import targets
from backends import RECORDS
from support import eventually

from {{ cookiecutter.package_name }}.silo.tasks.base import Call
from {{ cookiecutter.package_name }}.silo.tasks.crew import Crew
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs
from {{ cookiecutter.package_name }}.silo.tasks.process import ProcessRunner
from {{ cookiecutter.package_name }}.silo.tasks.scratch import Scratch, sweep
from {{ cookiecutter.package_name }}.silo.tasks.slots import Slots
from {{ cookiecutter.package_name }}.silo.tasks.worker import Worker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")


def test_s41_a_folder_is_this_users_alone_and_goes_with_what_is_in_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        scratch = Scratch(tmp_path / "scratch")
    finally:
        os.umask(before)
    assert stat.S_IMODE(scratch.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(scratch.path.parent.stat().st_mode) == 0o700
    (scratch.path / "copy").write_text("plain")
    scratch.remove()
    scratch.remove()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_sweep_takes_what_a_killed_process_left_and_nothing_else(tmp_path: Path) -> None:
    mine = Scratch(tmp_path)
    code = (
        f"from {Scratch.__module__} import Scratch; from pathlib import Path; import os, signal;"
        f"(Scratch(Path({str(tmp_path)!r})).path / 'copy').write_text('plain');"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode < 0
    assert len(list(tmp_path.iterdir())) == 2
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [mine.path]
    mine.remove()
    sweep(tmp_path / "never made")


def test_a_child_that_is_killed_leaves_none_of_its_temporary_files(tmp_path: Path) -> None:
    jobs = Jobs(RECORDS["memory"](tmp_path))
    scratch = tmp_path / "scratch"
    runner = ProcessRunner(jobs, Slots(1), Crew(preload=["targets"], scratch=scratch))
    try:
        job = runner.start("litter", Call(targets.litter))
        eventually(lambda: list(scratch.glob("*/*")))
        [left] = scratch.glob("*/*")
        runner.cancel(job.id)
        eventually(lambda: not left.parent.exists())
    finally:
        runner.stop()
    eventually(lambda: not list(scratch.iterdir()))


def test_secrets_reach_a_target_and_neither_its_record_nor_its_command(tmp_path: Path) -> None:
    jobs = Jobs(RECORDS["sqlite"](tmp_path))
    runner = ProcessRunner(jobs, Slots(1), Crew(preload=["targets"], secrets={"word": "sw0rdfish"}))
    try:
        job = runner.start("tell", Call(targets.tell_secret))
        found = eventually(lambda: (read := jobs.read(job.id)) and read.result)
    finally:
        runner.stop()
    assert found == "hsifdr0ws"
    assert not any(b"sw0rdfish" in path.read_bytes() for path in tmp_path.rglob("*.db*"))


def test_secrets_are_in_no_command_line_and_no_environment() -> None:
    worker = Worker([], {"word": "sw0rdfish"})
    try:
        for about in ("cmdline", "environ"):
            process = Path(f"/proc/{worker._process.pid}/{about}")
            if process.exists():
                assert b"sw0rdfish" not in process.read_bytes()
    finally:
        worker.kill()
