"""BackgroundTask: what every runner promises of it, on every store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
import targets
from backends import RECORDS, RUNNERS
from support import Clock, eventually

from {{ cookiecutter.package_name }}.silo import BackgroundTask, SessionStore, TaskState
from {{ cookiecutter.package_name }}.silo.errors import TaskError, TaskRunning
from {{ cookiecutter.package_name }}.silo.tasks import relay
from {{ cookiecutter.package_name }}.silo.tasks.base import Reporter, Runner
from {{ cookiecutter.package_name }}.silo.tasks.job import LINE_CHARS, LOG_LINES
from {{ cookiecutter.package_name }}.silo.tasks.jobs import Jobs

OUR_FAULT = r"Something went wrong on our side. The log has the details under error ([0-9a-f]{8})\."


@pytest.fixture(scope="module")
def moment() -> Clock:
    """The time that the shared runners go by; it stands still."""
    return Clock()


# Every runner over the first store, and the first runner over every store: what a runner asks of a
# store is asked of each in test_jobs, and a child process for each of these tests would be slow.
PAIRS = list(dict.fromkeys([*product([*RUNNERS][:1], RECORDS), *product(RUNNERS, [*RECORDS][:1])]))


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def runner(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, moment: Clock
) -> Iterator[Runner]:
    """Each runner and each store, shared by the tests."""
    runner_name, records_name = request.param
    records = RECORDS[records_name](tmp_path_factory.mktemp("records"))
    runner = RUNNERS[runner_name](Jobs(records, moment))
    yield runner
    runner.stop()
    records.close()


@pytest.fixture
def task(runner: Runner) -> BackgroundTask:
    """An idle task."""
    return BackgroundTask("classify", runner=runner)


def ended(task: BackgroundTask) -> TaskState:
    """How the task stands once it has ended."""
    eventually(lambda: not task.is_running)
    return task.state


# Before


def test_a_task_is_idle_at_first(task: BackgroundTask) -> None:
    assert task.state == TaskState()
    assert task.state.to_dict() == {
        "running": False,
        "progress": 0.0,
        "message": "",
        "logs": [],
        "complete": False,
        "error": None,
        "started_at": None,
        "finished_at": None,
        "status": "idle",
        "attempt": 0,
        "id": None,
    }
    assert [task.is_running, task.is_complete, task.is_failed, task.cancel()] == [False] * 4
    assert task.result is None


def test_a_task_that_was_not_started_can_be_reported_on(task: BackgroundTask) -> None:
    task.update(progress=50, message="Halfway")
    task.update(message="Still halfway")
    task.log("Batch 5 of 10")
    state = task.state
    assert (state.progress, state.message, state.logs) == (50, "Still halfway", ["Batch 5 of 10"])
    assert (state.status, state.running) == ("idle", False)
    task.complete("All done")
    assert task.is_complete
    assert (task.state.progress, task.state.message) == (100, "All done")
    task.reset()
    task.fail("No")
    assert task.is_failed
    assert task.state.error == "No"


# Good ends


def test_a_target_that_returns_has_completed(task: BackgroundTask, moment: Clock) -> None:
    task.start(targets.echo, 1, "two", [3.5, None], key={"deep": True})
    state = ended(task)
    assert (state.status, state.complete, state.running) == ("complete", True, False)
    assert (state.progress, state.message, state.error) == (100, "Done", None)
    assert (state.started_at, state.finished_at, state.attempt) == (moment(), moment(), 1)
    assert task.is_complete
    assert not task.is_failed
    assert task.result == ["classify", [1, "two", [3.5, None]], {"key": {"deep": True}}]


def test_progress_is_seen_while_it_runs(task: BackgroundTask, gate: Path, moment: Clock) -> None:
    task.start(targets.reports, str(gate))
    assert task.is_running
    eventually(lambda: task.state.progress == 30)
    state = task.state
    assert (state.status, state.running, state.complete) == ("running", True, False)
    assert state.message == "Still a quarter"
    assert state.logs == ["line one", "line two"]
    assert (state.started_at, state.finished_at) == (moment(), None)
    assert task.result is None
    gate.touch()
    assert ended(task).complete
    assert task.state.logs == ["line one", "line two"]
    assert task.result == "result"


def test_a_target_may_say_how_it_completed(task: BackgroundTask) -> None:
    task.start(targets.completes)
    state = ended(task)
    assert (state.complete, state.progress, state.message) == (True, 100, "All done")


def test_the_first_end_is_the_one_that_counts(task: BackgroundTask) -> None:
    task.start(targets.ends_twice)
    assert ended(task).message == "First"
    task.fail("Third")
    task.update(progress=10, message="Fourth")
    task.log("Fifth")
    state = task.state
    assert (state.complete, state.error, state.progress) == (True, None, 100)
    assert (state.message, state.logs) == ("First", [])


def test_it_can_be_started_again_when_it_has_ended(task: BackgroundTask) -> None:
    task.start(targets.fails)
    first = ended(task)
    task.start(targets.echo)
    second = ended(task)
    assert first.error
    assert (second.complete, second.error) == (True, None)
    assert second.id != first.id


def test_it_cannot_be_started_twice_at_once(task: BackgroundTask, gate: Path) -> None:
    task.start(targets.reports, str(gate))
    with pytest.raises(RuntimeError, match="'classify' is already running") as caught:
        task.start(targets.nothing)
    assert isinstance(caught.value, TaskError)
    with pytest.raises(TaskRunning, match="'classify' is already running"):
        task.reset()
    gate.touch()
    assert ended(task).complete
    assert task.result == "result"


def test_reset_forgets_the_last_run(task: BackgroundTask) -> None:
    task.start(targets.completes)
    assert ended(task).complete
    task.reset()
    assert task.state == TaskState()


def test_tasks_do_not_see_each_other(runner: Runner) -> None:
    one, two = (BackgroundTask("same name", runner=runner) for _ in range(2))
    one.start(targets.fails)
    two.start(targets.completes)
    assert ended(one).error
    assert ended(two).complete


# What is kept


def test_the_log_keeps_the_last_lines(task: BackgroundTask) -> None:
    task.start(targets.chatters, 1000)
    logs = ended(task).logs
    assert len(logs) == LOG_LINES == 200
    assert logs[0] == "line 801"
    assert logs[-2:] == ["line 999", "x" * LINE_CHARS]
    assert task.state.to_dict()["logs"] == logs[-50:]
    assert task.state.to_dict(max_logs=2)["logs"] == logs[-2:]
    assert task.state.to_dict(max_logs=0)["logs"] == []


@pytest.mark.parametrize(
    ("said", "kept"), [(250, 100), (-5, 0), (30, 30), (0.0, 0), (float("nan"), 20), (True, 1)]
)
def test_progress_is_held_within_its_limits(task: BackgroundTask, said: float, kept: float) -> None:
    task.update(progress=20)
    task.update(progress=said)
    assert task.state.progress == kept


def test_a_target_that_overdoes_it_is_held_within_the_limits_too(
    task: BackgroundTask, gate: Path
) -> None:
    task.start(targets.overdoes, str(gate))
    eventually(lambda: task.state.message == "overdone")
    assert task.state.progress == 100


def test_progress_is_told_with_one_decimal(task: BackgroundTask) -> None:
    task.update(progress=100 / 3)
    assert task.state.to_dict()["progress"] == 33.3


def test_what_is_no_text_is_written_as_text(task: BackgroundTask) -> None:
    task.start(targets.logs_what_is_no_text)
    assert ended(task).complete
    assert task.state.logs == ["404"]


# Bad ends


def test_a_target_may_say_why_it_failed(task: BackgroundTask) -> None:
    task.start(targets.fails)
    state = ended(task)
    assert (state.status, state.complete) == ("failed", False)
    assert state.error == "There is no column of that name."
    assert state.message == "Failed: There is no column of that name."
    assert state.progress == 40
    assert task.is_failed
    assert not task.is_complete
    assert task.result is None


def test_a_user_error_is_shown_as_written(
    task: BackgroundTask, caplog: pytest.LogCaptureFixture
) -> None:
    task.start(targets.tells)
    assert ended(task).error == "The sheet is empty."
    assert caplog.records == []


@pytest.mark.parametrize("target", [targets.tells_nothing, targets.fails_silently])
def test_a_failure_without_a_word_is_given_a_sentence(
    task: BackgroundTask, target: Callable[..., None]
) -> None:
    task.start(target)
    assert ended(task).error == "Processing failed, without saying why."


UNFORESEEN = {
    targets.breaks: "ValueError: a secret detail",
    targets.exits: "SystemExit: 3",
    targets.interrupts: "KeyboardInterrupt",
    targets.returns_what_cannot_be_stored: "not JSON serializable",
    targets.reports_nonsense: "could not convert string to float: 'half'",
}


def test_of_any_other_error_the_person_gets_the_id_and_the_log_the_rest(
    runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = {target: BackgroundTask(runner=runner) for target in UNFORESEEN}
    for target, task in tasks.items():
        task.start(target)
    for target, task in tasks.items():
        state = ended(task)
        assert state.status == "failed"
        found = re.fullmatch(OUR_FAULT, state.error or "")
        assert found, state.error
        record = next(each for each in caplog.records if f"error {found[1]}" in each.getMessage())
        logged = caplog.handler.format(record)
        assert "Traceback" in logged
        assert UNFORESEEN[target] in logged
        assert UNFORESEEN[target] not in str(state.to_dict())


# Cancelling


@pytest.mark.parametrize("how", ["update", "log"])
def test_a_cancelled_target_ends_at_its_next_call(
    task: BackgroundTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(relay, "GRACE_SECONDS", 60)
    stopped = tmp_path / "stopped"
    task.start(targets.heeds, str(stopped), how)
    eventually(lambda: task.state.message == "still at it")
    assert task.cancel()
    state = ended(task)
    assert (state.status, state.message, state.error) == ("cancelled", "Cancelled.", None)
    assert [task.is_complete, task.is_failed] == [False, False]
    assert stopped.read_text() == "stopped\n"
    assert not task.cancel()


def test_what_has_ended_cannot_be_cancelled(task: BackgroundTask) -> None:
    task.start(targets.completes)
    assert ended(task).complete
    assert not task.cancel()
    assert task.is_complete


# In a session


@pytest.fixture
def sessions(runner: Runner, moment: Clock) -> Callable[[], SessionStore]:
    """Opens a store with a task in its state; called again, another process's."""

    def open_store() -> SessionStore:
        store = SessionStore(records=runner.jobs.records, runner=runner, clock=moment)
        store.register_namespace("work", lambda: {"task": BackgroundTask("work"), "started": 0})
        return store

    return open_store


@pytest.fixture
def sid(request: pytest.FixtureRequest) -> str:
    """A session of the test's own, in a store that is shared."""
    return str(request.node.nodeid)


def test_a_session_finds_its_task_again(sessions: Callable[[], SessionStore], sid: str) -> None:
    store = sessions()
    with store.transaction(sid) as state:
        task = state["work"]["task"]
        assert task.state == TaskState()
        task.start(targets.echo, sid)
        assert task.is_running
        assert task.state.status == "queued"
    eventually(lambda: sessions().get(sid)["work"]["task"].is_complete)
    assert task.is_complete
    assert sessions().get(sid)["work"]["task"].result == ["work", [sid], {}]
    assert sessions().get("another")["work"]["task"].state == TaskState()


def test_a_task_runs_if_and_only_if_the_state_is_kept(
    sessions: Callable[[], SessionStore], sid: str, tmp_path: Path
) -> None:
    store, ran = sessions(), tmp_path / "ran"

    def start(word: str) -> None:
        with store.transaction(sid) as state:
            state["work"]["task"].start(targets.notes, str(ran), word)
            state["work"]["started"] += 1
            assert not ran.exists()
            assert store.runner.jobs.read(state["work"]["task"].state.id) is None
            if word == "lost":
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        start("lost")
    assert store.get(sid)["work"]["task"].state == TaskState()
    assert store.get(sid)["work"]["started"] == 0
    start("kept")
    eventually(lambda: store.get(sid)["work"]["task"].is_complete)
    assert ran.read_text() == "kept\n"


def test_a_task_is_not_started_twice_within_a_request(
    sessions: Callable[[], SessionStore], sid: str
) -> None:
    with sessions().transaction(sid) as state:
        state["work"]["task"].start(targets.nothing)
        with pytest.raises(RuntimeError, match="already running"):
            state["work"]["task"].start(targets.nothing)


def test_a_task_of_a_snapshot_cannot_be_started(
    sessions: Callable[[], SessionStore], sid: str
) -> None:
    with pytest.raises(TaskError, match="cannot start from a snapshot"):
        sessions().get(sid)["work"]["task"].start(targets.nothing)


def test_a_task_that_lives_elsewhere_is_refused(
    sessions: Callable[[], SessionStore], sid: str
) -> None:
    alone = BackgroundTask("alone")
    alone.start(targets.nothing)
    store = sessions()
    with (
        pytest.raises(TaskError, match="'alone' was started on its own"),
        store.transaction(sid) as state,
    ):
        state["work"]["task"] = alone
    assert store.get(sid)["work"]["task"].name == "work"


def test_a_task_put_into_state_idle_belongs_to_it(
    sessions: Callable[[], SessionStore], sid: str
) -> None:
    store = sessions()
    with store.transaction(sid) as state:
        state["work"]["more"] = [BackgroundTask("first"), BackgroundTask("second")]
    with store.transaction(sid) as state:
        state["work"]["more"][1].start(targets.completes)
    eventually(lambda: store.get(sid)["work"]["more"][1].is_complete)
    assert [each.name for each in store.get(sid)["work"]["more"]] == ["first", "second"]


def test_a_task_whose_session_is_gone_has_no_state(
    sessions: Callable[[], SessionStore], sid: str, moment: Clock
) -> None:
    store = sessions()
    with store.transaction(sid) as state:
        task = state["work"]["task"]
        task.start(targets.completes)
    assert ended(task).complete
    store.runner.jobs.sweep(lambda job: True)
    jobs = Jobs(store.records, lambda: moment() + 1e6)
    jobs.sweep(lambda job: False)
    assert task.state == TaskState()


def test_alone_a_task_runs_in_a_thread_of_this_process() -> None:
    seen: list[str] = []
    task = BackgroundTask()

    def work(task: Reporter, path: str) -> None:
        task.update(progress=50, message="Halfway")
        seen.append(path)
        task.complete("All done")

    task.start(work, "/path/to/file")
    assert ended(task).message == "All done"
    assert seen == ["/path/to/file"]
