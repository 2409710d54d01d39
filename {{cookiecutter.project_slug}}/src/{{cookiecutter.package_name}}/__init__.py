"""The app: people upload spreadsheets, a background task processes them, they download a report.

Nothing is loaded here: so the command line can tell what is wrong with a step that cannot be
loaded, and the children that run jobs do without the web.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["create_app"]


def create_app(
    given: Mapping[str, Any] | None = None, *, clock: Callable[[], float] | None = None
) -> Flask:
    """The app with its settings from the environment, overruled by `given` (`{"SILO_TTL": 60}`).

    `clock` gives unix seconds; tests pass one of their own. Raises ConfigError, and StepError for a
    `pipeline.py` that the app cannot be made of.
    """
    from .app import create_app as create

    return create(given, clock=clock)
