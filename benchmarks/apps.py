"""The same counter on both sessions stores, for gunicorn: `apps:ours()` and `apps:peer()`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from flask import Flask


def with_counter(app: Flask, silo: Any) -> Flask:
    """The README's counter."""
    silo.register("counter", lambda: {"value": 0})

    @app.post("/api/increment")
    def increment() -> dict[str, Any]:
        state = silo.state("counter")
        state["value"] += 1
        return {"value": state["value"]}

    @app.get("/api/count")
    def count() -> dict[str, Any]:
        return {"value": silo.state("counter")["value"]}

    return app


def peer() -> Flask:
    from flask_silo import Silo

    app = Flask(__name__)
    return with_counter(app, Silo(app, ttl=3600))


def ours() -> Flask:
    """Sessions in SQLite; with slots, a task that says when it started."""
    from acme_reports.silo import BackgroundTask, Silo
    from acme_reports.silo.records import open_records
    from acme_reports.silo.tasks.crew import Crew
    from acme_reports.silo.tasks.jobs import Jobs
    from acme_reports.silo.tasks.process import ProcessRunner
    from acme_reports.silo.tasks.slots import Slots

    app = Flask(__name__)
    app.config["SECRET_KEY"] = "for every worker of the benchmark"
    records = open_records(os.environ["BENCH_STORE"])
    if "BENCH_SLOTS" not in os.environ:
        return with_counter(app, Silo(app, ttl=3600, records=records))
    slots = Slots(1, Path(os.environ["BENCH_SLOTS"]) / "slots")
    runner = ProcessRunner(Jobs(records), slots, Crew(preload=[__name__]))
    runner.begin()
    silo = Silo(app, ttl=3600, records=records, runner=runner)
    silo.register("work", lambda: {"task": BackgroundTask("now")})

    @app.post("/api/start")
    def start() -> dict[str, Any]:
        silo.state("work")["task"].start(now)
        return {}

    @app.get("/api/started")
    def started() -> dict[str, Any]:
        return {"at": silo.state("work")["task"].result}

    return app


def now(_: Any) -> float:
    """A task that is nothing but its first line."""
    return time.time()
