"""Jobs that come back every so many seconds, one at a time for all processes together."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..records import NEW, Put, Records

if TYPE_CHECKING:
    from .base import Call, Runner


class Periodic:
    """The schedule of one store: a record a name, due when its job is to start next.

    Each process says at its start what it knows how to run; whoever looks first at a due record
    moves it on and stores the job, in one step. Beats that were missed while nobody looked are made
    up for by one job, and a beat is left out while the job of the last one still runs.
    """

    def __init__(self, records: Records, clock: Callable[[], float]) -> None:
        self._records = records
        self._clock = clock
        self._calls: dict[str, tuple[float, Call]] = {}

    def add(self, name: str, seconds: float, call: Call) -> None:
        """Have the call run every so many seconds, the first time that long from now.

        A schedule that is stored already goes on as it was, unless `seconds` has changed.
        """
        self._calls[name] = seconds, call
        record = self._records.read("periodic", name)
        if record is None or json.loads(record.value)[0] != seconds:
            value = json.dumps([seconds, None]).encode()
            expect = record.version if record else NEW
            self._records.apply(Put("periodic", name, value, self._clock() + seconds, expect))

    def fire(self, runner: Runner) -> None:
        """Start what is due and known to this process."""
        now = self._clock()
        for name, record in self._records.due("periodic", now) if self._calls else ():
            if name not in self._calls:
                continue
            seconds, call = self._calls[name]
            last = json.loads(record.value)[1]
            beat = record.due + seconds * (math.floor((now - record.due) / seconds) + 1)
            if last and runner.jobs.is_active(last):
                self._records.apply(Put("periodic", name, record.value, beat, record.version))
                continue
            job = runner.prepare(name, None, call)
            value = json.dumps([seconds, job.id]).encode()
            moved = Put("periodic", name, value, beat, record.version)
            if self._records.apply(moved, *runner.jobs.creation(job)):
                runner.deliver(job, call)
