"""The clock that all processes of a machine share."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support import Clock

from {{ cookiecutter.package_name }}.silo import clock as clocks
from {{ cookiecutter.package_name }}.silo.clock import FollowedClock, steady_clock
from {{ cookiecutter.package_name }}.silo.errors import StoreUnavailable

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


class There:
    """A clock elsewhere, which may be away."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.away = False
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        if self.away:
            raise StoreUnavailable
        return self.now


def test_s33_a_followed_clock_is_the_one_elsewhere_and_goes_on_without_asking() -> None:
    there, monotonic = There(1000.0), Clock(50.0)
    follows = FollowedClock(there, monotonic, every=30)
    assert follows() == 1000
    monotonic.advance(29)
    assert follows() == 1029
    assert there.asked == 1


def test_s33_it_is_asked_anew_now_and_then() -> None:
    there, monotonic = There(1000.0), Clock(50.0)
    follows = FollowedClock(there, monotonic, every=30)
    monotonic.advance(30)
    there.now = 1031.0
    assert [follows() for _ in range(3)] == [1031.0] * 3
    assert there.asked == 2


def test_s33_while_the_one_elsewhere_is_away_it_goes_on() -> None:
    there, monotonic = There(1000.0), Clock(50.0)
    follows = FollowedClock(there, monotonic, every=30)
    there.away = True
    monotonic.advance(100)
    assert [follows() for _ in range(3)] == [1100.0] * 3
    assert there.asked == 2  # and it does not ask at each call
    there.away, there.now = False, 1131.0
    monotonic.advance(30)
    assert follows() == 1131.0


def test_a_followed_clock_needs_its_time_once() -> None:
    there = There(0.0)
    there.away = True
    with pytest.raises(StoreUnavailable):
        FollowedClock(there)


def test_the_time_is_taken_for_that_of_the_middle_of_the_question() -> None:
    monotonic = Clock(50.0)

    def slow() -> float:
        monotonic.advance(2)
        return 1000.0

    assert FollowedClock(slow, monotonic)() == 1001.0
