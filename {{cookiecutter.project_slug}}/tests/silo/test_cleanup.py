"""CleanupDaemon: calls the store's cleanup now and then, and is easily started and stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from support import eventually

from {{ cookiecutter.package_name }}.silo import CleanupDaemon, SessionStore


class Passes(SessionStore):
    """A store that counts its passes, and fails in those that `fail` names."""

    def __init__(self, fail: tuple[int, ...] = ()) -> None:
        super().__init__(cleanup_interval=0.005)
        self.passes: list[str] = []
        self._fail = fail

    def cleanup(self) -> list[str]:
        self.passes.append(threading.current_thread().name)
        if len(self.passes) in self._fail:
            raise OSError("the store went away")
        return []


@pytest.fixture
def started() -> Iterator[list[CleanupDaemon]]:
    """Daemons to stop when the test is over."""
    daemons: list[CleanupDaemon] = []
    yield daemons
    for daemon in daemons:
        daemon.stop()


def threads() -> set[threading.Thread]:
    """Those of other tests may end meanwhile."""
    return {thread for thread in threading.enumerate() if thread.name == "silo-cleanup"}


def test_it_passes_again_and_again_in_a_thread_of_its_own(started: list[CleanupDaemon]) -> None:
    store = Passes()
    daemon = CleanupDaemon(store)
    started.append(daemon)
    assert not daemon.running
    daemon.start()
    assert daemon.running
    eventually(lambda: len(store.passes) >= 3)
    assert set(store.passes) == {"silo-cleanup"}


def test_starting_and_stopping_twice_is_as_good_as_once(started: list[CleanupDaemon]) -> None:
    before = threads()
    daemon = CleanupDaemon(Passes())
    started.append(daemon)
    daemon.stop()
    for _ in range(2):
        daemon.start()
        daemon.start()
        assert len(threads() - before) == 1
        daemon.stop()
        daemon.stop()
        assert not threads() - before
        assert not daemon.running


def test_a_failing_pass_is_logged_and_the_next_one_comes(
    started: list[CleanupDaemon], caplog: pytest.LogCaptureFixture
) -> None:
    store = Passes(fail=(1, 2))
    daemon = CleanupDaemon(store)
    started.append(daemon)
    daemon.start()
    eventually(lambda: len(store.passes) >= 4)
    assert caplog.text.count("OSError: the store went away") == 2


@pytest.mark.parametrize("fails", [True, False])
def test_first_is_done_once_before_all_passes(
    started: list[CleanupDaemon], caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    store = Passes()

    def first() -> None:
        store.passes.append("first")
        if fails:
            raise OSError("first")

    daemon = CleanupDaemon(store, first=first)
    started.append(daemon)
    daemon.start()
    eventually(lambda: len(store.passes) >= 3)
    assert store.passes[0] == "first"
    assert store.passes.count("first") == 1
    assert ("OSError: first" in caplog.text) == fails


def test_it_stops_at_once_however_long_the_interval(started: list[CleanupDaemon]) -> None:
    daemon = CleanupDaemon(Passes(), interval=3600)
    started.append(daemon)
    daemon.start()
    begun = time.monotonic()
    daemon.stop()
    assert time.monotonic() - begun < 60
    assert not daemon.running


def test_it_may_be_stopped_from_within_a_pass(started: list[CleanupDaemon]) -> None:
    store = SessionStore()
    daemon = CleanupDaemon(store, interval=0.005, first=lambda: daemon.stop())
    started.append(daemon)
    before = threads()
    daemon.start()
    eventually(lambda: not threads() - before)
