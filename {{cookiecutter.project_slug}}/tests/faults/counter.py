"""The smallest app with state, served by several workers: `gunicorn faults.counter:app`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from flask import Flask

from {{ cookiecutter.package_name }}.silo import Idempotent, Silo
from {{ cookiecutter.package_name }}.silo.records import open_records

app = Flask(__name__)
app.config["SECRET_KEY"] = "the same for all workers of this test"
records = open_records(os.environ["COUNTER_STORE"])
silo = Silo(app, records=records, lease=float(os.environ["COUNTER_LEASE"]))
silo.register("counter", lambda: {"value": 0})
idempotent = Idempotent(silo)


@app.get("/readyz")
def ready() -> str:
    return "ok"


@app.post("/api/increment")
def increment() -> dict[str, Any]:
    state: dict[str, Any] = silo.state("counter")
    state["value"] += 1
    return state


@app.get("/api/count")
def count() -> dict[str, Any]:
    state: dict[str, Any] = silo.state("counter")
    return state


@app.post("/api/hold")
def hold() -> dict[str, Any]:
    """Take the session's lock, change state, say who we are, and never answer."""
    silo.state("counter")["value"] = -1
    Path(os.environ["COUNTER_HOLDER"]).write_text(str(os.getpid()))
    time.sleep(60)
    return {}


@app.post("/api/keyed")
@idempotent.keyed
def keyed() -> dict[str, Any]:
    return increment()


@app.post("/api/once")
@idempotent.keyed
def once() -> tuple[dict[str, Any], int]:
    """Count one more; the first that gets here says who we are and never answers."""
    state: dict[str, Any] = silo.state("counter")
    state["value"] += 1
    holder = Path(os.environ["COUNTER_HOLDER"])
    if not holder.exists():
        holder.write_text(str(os.getpid()))
        time.sleep(60)
    return state, 201


Path(os.environ["COUNTER_READY"], str(os.getpid())).touch()
