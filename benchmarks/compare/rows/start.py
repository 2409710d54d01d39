"""From the command to the first answer, and what is installed for it."""

from __future__ import annotations

from typing import Any

from .. import environments as env
from ..sizes import Sizes
from ..subjects import Subject, served


def cold_start(subject: Subject, _: Sizes) -> dict[str, Any]:
    """Of Celery's two, until both are ready; its broker runs and counts as no package."""
    with served(subject) as running:
        seconds = running.ready_after
    return {
        "seconds": round(seconds, 2),
        "packages": len(env.packages(subject.environment)),
        "MB installed": round(env.megabytes(subject.environment)),
    }
