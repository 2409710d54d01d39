"""What work does while the store is away: it goes on, and says later what has become of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from ..errors import StoreFull, StoreUnavailable

T = TypeVar("T")

AWAY = (StoreUnavailable, StoreFull)
"""Over by itself, sooner or later."""
PAUSE_SECONDS = 0.2


def insist(action: Callable[[], T], stopped: threading.Event) -> T:
    """Take a step as often as it needs until the store takes it.

    It may be taken twice, when only the answer was lost, and must not mind. Raises one of `AWAY` if
    `stopped` is set and the store still is away.
    """
    while True:
        try:
            return action()
        except AWAY:
            if stopped.wait(PAUSE_SECONDS):
                raise


class Trouble:
    """Logs the first of a row of failures, with what goes on in spite of it."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._lasts = False

    def met(self) -> None:
        """Call it where an exception is handled."""
        first, self._lasts = not self._lasts, True
        if first:
            self._log.exception("%s goes on after an error", self._what)

    def over(self) -> None:
        self._lasts = False
