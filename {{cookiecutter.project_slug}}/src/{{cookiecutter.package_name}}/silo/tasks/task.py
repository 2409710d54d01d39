"""BackgroundTask: the handle by which an application starts a job and looks at it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from ..codec import Referable, Reference
from ..errors import Cancelled
from ..records import open_records
from .base import Call, Runner, Target, Terms, refuse_while_active
from .job import Job, Status, new_id
from .jobs import Jobs
from .outage import AWAY, insist

Launch = Callable[[str, Call], Job]


@dataclass
class TaskState:
    """How a task stands. `progress` is 0 to 100, times are unix seconds.

    `running` is true from `start()` to the end, and so while the job still waits for its turn.
    """

    running: bool = False
    progress: float = 0.0
    message: str = ""
    logs: list[str] = field(default_factory=list)
    complete: bool = False
    error: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    status: Status = "idle"
    attempt: int = 0
    id: str | None = None

    def to_dict(self, *, max_logs: int = 50) -> dict[str, Any]:
        """As JSON-like values, with the last `max_logs` log lines."""
        return {
            **asdict(self),
            "progress": round(self.progress, 1),
            "logs": self.logs[-max_logs:] if max_logs else [],
        }


def state_of(job: Job) -> TaskState:
    """How a job's task stands."""
    return TaskState(
        running=job.active,
        progress=job.progress,
        message=job.message,
        logs=job.logs,
        complete=job.status == "complete",
        error=job.error,
        started_at=job.started_at,
        finished_at=job.finished_at,
        status=job.status,
        attempt=job.attempt,
        id=job.id,
    )


class BackgroundTask(Referable):
    """Runs a function in the background and tells how far it is.

    In a session's state it is stored as a reference to its job. Made on its own, as
    `BackgroundTask("name")`, it runs in a thread of this process. `priority`, `delay`, `retries`
    and `backoff` are the terms on which it runs: see `Terms`.
    """

    def __init__(self, name: str = "task", *, runner: Runner | None = None, **terms: Any) -> None:
        self.name = name
        self._terms = Terms(**terms)
        self._runner = runner
        self._launch: Launch | None = None
        self._id: str | None = None
        self._pending: Job | None = None

    @classmethod
    def bound(cls, reference: Reference, runner: Runner, launch: Launch) -> BackgroundTask:
        """The handle behind a reference; `launch` decides when a started job is stored."""
        task = cls(reference["name"], runner=runner, **reference.get("terms", {}))
        task._id = reference["job"]
        task._launch = launch
        return task

    def reference(self) -> Reference:
        """What session state holds of it: its name, its job's id, and its terms."""
        reference: Reference = {"name": self.name, "job": self._id}
        return reference if self._terms == Terms() else {**reference, "terms": asdict(self._terms)}

    def start(self, target: Target, *args: Any, **kwargs: Any) -> None:
        """Run `target(task, *args, **kwargs)` in the background.

        In a request that changes state the job is stored together with the state, when the request
        ends: never one without the other. Raises TaskRunning if the task already runs, and
        TaskError if the runner cannot take the target; both are RuntimeErrors.
        """
        refuse_while_active(self.name, self._job())
        launch = self._launch or self.runner.start
        self._pending = launch(self.name, Call(target, args, kwargs, self._terms))
        self._id = self._pending.id

    def update(self, progress: float | None = None, message: str | None = None) -> None:
        """Set the progress, held within 0 to 100, and the message."""
        self.runner.jobs.report(self._made(), progress=progress, message=message)

    def log(self, message: str) -> None:
        """Append a line to the log, of which the last 200 lines are kept."""
        self.runner.jobs.report(self._made(), lines=[message])

    def complete(self, message: str = "Done") -> None:
        """Mark as finished well. The first end that a task comes to is the one it keeps."""
        self.runner.jobs.finish(self._made(), "complete", message)

    def fail(self, error: str) -> None:
        """Mark as failed; `error` is shown to the person as it is written."""
        self.runner.jobs.finish(self._made(), "failed", error)

    def cancel(self) -> bool:
        """Ask the task to stop at its next progress call. False if it does not run."""
        return self._id is not None and self.runner.cancel(self._id) is not None

    def reset(self) -> None:
        """Forget the last run. Raises TaskRunning if it has not ended."""
        refuse_while_active(self.name, self._job())
        self._id = self._pending = None

    @property
    def state(self) -> TaskState:
        """How the task stands at this moment."""
        job = self._job()
        return state_of(job) if job else TaskState()

    @property
    def result(self) -> Any:
        """What the target returned, once the task is complete; else None."""
        job = self._job()
        return job.result if job else None

    @property
    def is_running(self) -> bool:
        """Whether it is queued or running."""
        return self.state.running

    @property
    def is_complete(self) -> bool:
        """Whether it has finished well."""
        return self.state.complete

    @property
    def is_failed(self) -> bool:
        """Whether it has failed."""
        return self.state.error is not None

    @property
    def runner(self) -> Runner:
        """Who runs it."""
        if self._runner is None:
            self._runner = _threads()
        return self._runner

    def _job(self) -> Job | None:
        """The job as stored; a job whose request has not ended yet is stored nowhere but here."""
        if self._id is None:
            return None
        stored = self.runner.jobs.read(self._id)
        if stored:
            self._pending = None
        return stored or self._pending

    def _made(self) -> str:
        """The job's id, making an idle job for a task that reports without having been started."""
        if self._id is None:
            job = Job(id=new_id(), name=self.name, status="idle", message="")
            self.runner.jobs.records.apply(*self.runner.jobs.creation(job))
            self._id = job.id
        return self._id


class RunningTask(BackgroundTask):
    """What a target is given when it runs in a thread: the task, heeding a cancellation.

    While the store is away, how far it is goes unsaid, and what must be said waits.
    """

    def __init__(self, job: Job, runner: Runner, secrets: Mapping[str, str]) -> None:
        super().__init__(job.name, runner=runner)
        self.id = self._id = job.id
        self.secrets = secrets
        self.clock = runner.jobs.clock

    def update(self, progress: float | None = None, message: str | None = None) -> None:
        self._heed()
        with contextlib.suppress(*AWAY):  # the next one says more
            super().update(progress, message)

    def log(self, message: str) -> None:
        self._heed()
        insist(lambda: super(RunningTask, self).log(message), self.runner.stopped)

    def complete(self, message: str = "Done") -> None:
        insist(lambda: super(RunningTask, self).complete(message), self.runner.stopped)

    def fail(self, error: str) -> None:
        insist(lambda: super(RunningTask, self).fail(error), self.runner.stopped)

    def _heed(self) -> None:
        if self.runner.stopped.is_set():
            raise Cancelled
        with contextlib.suppress(*AWAY):
            job = self._job()
            if job and (job.cancelling or job.status == "cancelled"):
                raise Cancelled


@cache
def _threads() -> Runner:
    from .thread import ThreadRunner  # here, because thread.py needs RunningTask from this module

    return ThreadRunner(Jobs(open_records("memory://")))
