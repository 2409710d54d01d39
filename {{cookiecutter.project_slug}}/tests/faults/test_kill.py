"""`kill -9` for real: one round a stage, and what only a long look shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from support import Gate, eventually

from {{ cookiecutter.package_name }}.silo.tasks.jobs import INTERRUPTED

from .chaos import SMALL, STAGES, VICTIMS, Round, Stage, play, tree, web_worker
from .server import Caller, Server, alive

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes are found in /proc"
)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate") / "shut")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, gate: Gate) -> Iterator[Server]:
    """Two web workers and one job at a time."""
    folder = tmp_path_factory.mktemp("faults")
    server = Server(folder / "data", SILO_WORKERS=1, TESTS_GATE=gate.path)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("stage", "victim"),
    [(stage, VICTIMS[number % len(VICTIMS)]) for number, stage in enumerate(STAGES)],
    ids=lambda function: function.__name__,
)
def test_s31_a_kill_at_each_stage_loses_nothing(
    server: Server, stage: object, victim: object
) -> None:
    outcome = play(server, stage, victim)  # type: ignore[arg-type]  # parametrized
    assert not outcome.startswith("failed"), outcome
    assert server.left_behind() == []


def held_at(gate: Gate) -> Stage:
    """The step is at work, and goes on only after the kill."""

    def stage(round_: Round) -> Callable[[], str]:
        gate.shut()
        round_.upload(SMALL)
        round_.process()
        round_.until(partial(works_on, 1))

        def check() -> str:
            gate.open()
            return round_.ended_well()

        return check

    return stage


def test_s31_a_poison_file_stops_after_its_attempts(server: Server, gate: Gate) -> None:
    """A child that is killed at each attempt fails its job with a sentence, and no other."""
    poisoned, healthy = (Round(server, Caller(server.port)) for _ in range(2))
    gate.shut()
    poisoned.upload(SMALL)
    poisoned.process()
    for attempt in (1, 2):
        poisoned.until(partial(works_on, attempt))
        working = [pid for pid in server.job_children() if alive(pid)]
        server.kill(*working)
    assert poisoned.ended_well().startswith("failed: Processing was killed each time")
    gate.open()
    healthy.upload(SMALL)
    healthy.process()
    assert healthy.ended_well() == "complete, attempt 1"
    poisoned.reset()
    healthy.reset()


@pytest.mark.parametrize("victim", [tree, web_worker], ids=lambda function: function.__name__)
def test_s31_a_job_is_done_anew_at_once_on_the_machine_of_its_dead_worker(
    tmp_path: Path, gate: Gate, victim: Callable[[Server], None]
) -> None:
    """Long before its lease is over, which would take ten minutes."""
    server = Server(tmp_path / "data", workers=1, SILO_LEASE=600, TESTS_GATE=gate.path)
    server.start()
    assert play(server, held_at(gate), victim) == "complete, attempt 2"
    assert server.stop() == 0


@pytest.mark.parametrize("victim", [tree, Server.stop], ids=lambda function: function.__name__)
def test_s31_a_job_that_ended_with_its_only_process_says_so_after_the_next_start(
    tmp_path: Path, gate: Gate, victim: Callable[[Server], None]
) -> None:
    given = {"SILO_LEASE": 600, "SILO_RUNNER": "thread", "TESTS_GATE": gate.path}
    server = Server(tmp_path / "data", 1, None, **given)
    server.start()
    assert play(server, held_at(gate), victim) == f"failed: {INTERRUPTED}"
    assert server.stop() == 0


def works_on(attempt: int, job: dict[str, object]) -> bool:
    """Whether the step itself is at work, in a child that has taken the job."""
    return job["attempt"] == attempt and job["running"] is True and job["progress"] != 0


def test_s35_sigterm_under_load_drains_and_the_job_goes_on_after_the_next_start(
    tmp_path: Path, gate: Gate
) -> None:
    server = Server(tmp_path / "data", SILO_WORKERS=1, TESTS_GATE=gate.path)
    server.start()
    round_ = Round(server, Caller(server.port))
    check = held_at(gate)(round_)
    everyone = server.everyone()
    assert server.stop() == 0
    eventually(lambda: not any(map(alive, everyone)))
    server.start()
    assert check().startswith("complete")
    assert server.stop() == 0
