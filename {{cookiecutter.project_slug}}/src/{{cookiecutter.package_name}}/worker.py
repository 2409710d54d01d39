"""Work on the jobs that servers store, on this machine or another: a worker of Celery.

It is the whole app but for the web server: the same settings, step and schedules, the same cleanup.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable

from . import choices, logs
from .alive import alive_file
from .app import create_app
from .config import load_settings
from .opening import reach_broker, reach_files
from .silo import Silo, SiloError
from .silo.tasks.celery import CeleryRunner
from .silo.tasks.listener import CeleryWorker
from .silo.tasks.presence import Presence

Ready = Callable[[str, int], object]


def work(concurrency: int | None, ready: Ready) -> int:
    """Work until told to stop; the exit code.

    `ready` is called with the broker's address and how many jobs are done at a time, once messages
    are heard. Raises ConfigError if a setting is wrong or the broker cannot be reached.
    """
    settings = load_settings().settled()
    logs.configure(settings.silo_log_format)
    for name in ("celery", "kombu"):  # of each job its record tells
        logging.getLogger(name).setLevel(logging.WARNING)
    choices.warn(settings)
    reach_files(settings)
    app = create_app()
    silo: Silo = app.extensions["silo"]
    presence = Presence(silo.store.records, silo.store.clock)

    def looked() -> None:
        alive_file(settings).touch()
        with contextlib.suppress(SiloError):  # a store that is away shows elsewhere
            presence.renew()

    try:
        reach_broker(settings)
        runner = silo.store.runner
        assert isinstance(runner, CeleryRunner)  # as SILO_RUNNER says
        count = concurrency or settings.silo_workers
        worker = CeleryWorker(
            runner,
            count,
            ready=lambda: ready(runner.broker.address, count),
            looked=looked,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        return worker.run()
    finally:
        silo.stop()
        alive_file(settings).unlink(missing_ok=True)
        with contextlib.suppress(SiloError):
            presence.end()
            app.extensions["metrics"].counts.flush()
