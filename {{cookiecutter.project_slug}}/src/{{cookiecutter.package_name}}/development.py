"""What is for the eyes of whoever writes the step, and for nobody else's: `SILO_DEVELOPMENT`."""

from __future__ import annotations

from . import pipeline
from .silo import Silo
from .silo.tasks.job import Job


def init_silo(silo: Silo) -> None:
    """Put the traceback of a failing step at the end of its job's log, which the page shows."""
    jobs = silo.store.runner.jobs

    def tell(job: Job, trace: str) -> None:
        jobs.report(job.id, job.attempt, lines=of_step(trace, str(pipeline.__file__)).splitlines())

    silo.store.runner.on_error(tell)


def of_step(trace: str, file: str) -> str:
    """A traceback without what stands above its first line in the step's own file."""
    _, found, rest = trace.partition(f'  File "{file}", ')
    return f"Traceback (most recent call last):\n{found}{rest}" if found else trace
