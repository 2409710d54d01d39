"""The clock that all processes of a machine share."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from {{ cookiecutter.package_name }}.silo import clock as clocks
from {{ cookiecutter.package_name }}.silo.clock import steady_clock

DAY = 86_400


@pytest.fixture(autouse=True)
def known_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if on Linux wherever the test runs: this start of the machine has a name."""
    boot = tmp_path / "boot_id"
    boot.write_text("first-start\n")
    monkeypatch.setattr(clocks, "BOOT_ID", boot)


def test_it_says_the_time(tmp_path: Path) -> None:
    assert abs(steady_clock(tmp_path)() - time.time()) < 5


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_s33_setting_the_machines_clock_moves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    """Neither in a process that runs nor in one that is started afterwards."""
    running = steady_clock(tmp_path)
    before, real = running(), time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    started_later = steady_clock(tmp_path)
    assert abs(running() - before) < 5
    assert abs(started_later() - before) < 5


def test_s33_after_a_new_start_of_the_machine_it_is_set_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real = steady_clock(tmp_path)(), time.time
    clocks.BOOT_ID.write_text("second-start\n")
    monkeypatch.setattr(time, "time", lambda: real() + DAY)
    assert abs(steady_clock(tmp_path)() - before - DAY) < 5


def test_without_a_name_for_this_start_it_is_the_ordinary_clock(tmp_path: Path) -> None:
    clocks.BOOT_ID.unlink()
    assert steady_clock(tmp_path) is time.time
