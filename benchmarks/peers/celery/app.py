"""Flask with Celery, laid out as both document it: a factory, shared tasks, results by id.

The broker and the results are Valkey's. The session is Flask's own signed cookie.
"""

from __future__ import annotations

import os
import secrets
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from celery import Celery, Task, shared_task
from celery.result import AsyncResult
from flask import Flask, Response, request, send_file, session
from job import make_report

UPLOADS = Path("uploads")


def celery_init_app(app: Flask) -> Celery:
    class FlaskTask(Task):
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery = Celery(app.name, task_cls=FlaskTask)
    celery.config_from_object(app.config["CELERY"])
    celery.set_default()
    app.extensions["celery"] = celery
    return celery


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["SECRET_KEY"] = os.environ.get("SECRET_KEY") or secrets.token_hex()
    url = os.environ["BROKER_URL"]
    app.config["CELERY"] = {"broker_url": url, "result_backend": url, "task_track_started": True}
    UPLOADS.mkdir(exist_ok=True)
    celery_init_app(app)
    return app


@shared_task(bind=True)
def work(self: Task, path: str) -> str:
    def say(done: float, what: str) -> None:
        self.update_state(state="PROGRESS", meta={"progress": done, "message": what})

    target = Path(path).with_suffix(".report.xlsx")
    make_report(Path(path), target, say)
    return str(target.absolute())


app = create_app()
celery = app.extensions["celery"]


@app.post("/jobs")
def create() -> tuple[dict[str, str], int]:
    path = (UPLOADS / f"{uuid.uuid4().hex}.xlsx").absolute()
    request.files["file"].save(path)
    return {"id": work.delay(str(path)).id}, 202


@app.post("/upload")
def upload() -> tuple[dict[str, str], int]:
    """The first half of `create`, for the row that sends a file of no workbook."""
    path = UPLOADS / uuid.uuid4().hex
    request.files["file"].save(path)
    return {"id": path.name}, 201


@app.get("/jobs/<job>")
def progress(job: str) -> dict[str, Any]:
    result = AsyncResult(job)
    meta = result.info if isinstance(result.info, dict) else {}
    return {"status": "complete" if result.successful() else result.state, **meta}


@app.get("/jobs/<job>/report")
def report(job: str) -> Response:
    return send_file(AsyncResult(job).result)


@app.post("/api/increment")
def increment() -> dict[str, int]:
    session["value"] = session.get("value", 0) + 1
    return {"value": session["value"]}


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/watch")
def watch() -> Response:
    """News every two seconds, streamed as Flask's documentation has it."""

    def news() -> Iterator[str]:
        while True:
            yield f"data: {time.time()}\n\n"
            time.sleep(2)

    return Response(news(), mimetype="text/event-stream")
