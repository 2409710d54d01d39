"""flask-silo as its README's full example has it, with the job as its work and its result sent.

Below that: the README's counter, and what other rows of the comparison call.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request, send_file
from flask_silo import BackgroundTask, Silo
from job import make_report

app = Flask(__name__)
silo = Silo(app, ttl=3600)

silo.register(
    "processing", lambda: {"data": None, "results": None, "task": BackgroundTask("process")}
)
silo.register("counter", lambda: {"value": 0})
uploads = silo.add_file_store("uploads", "./uploads")
silo.add_data_endpoints("/api/results", "/api/export")
silo.store.set_busy_check(lambda _sid, state: state["processing"]["task"].is_running)


@app.post("/api/upload")
def upload() -> Response:
    file = request.files["file"]
    path = uploads.save(silo.sid, file.filename, file)
    silo.state("processing")["data"] = path
    return jsonify({"message": f"Uploaded {file.filename}"})


@app.post("/api/process")
def process() -> Response:
    state = silo.state("processing")
    target = Path(state["data"]).with_name("report.xlsx").absolute()
    state["results"] = str(target)

    def work(task: BackgroundTask, path: str) -> None:
        make_report(Path(path), target, lambda done, what: task.update(progress=done, message=what))
        task.complete("Done!")

    state["task"].start(work, state["data"])
    return jsonify({"status": "started"})


@app.get("/api/progress")
def progress() -> Response:
    return jsonify(silo.state("processing")["task"].state.to_dict())


@app.get("/api/report")
def report() -> Response:
    return send_file(silo.state("processing")["results"])


@app.post("/api/increment")
def increment() -> dict[str, Any]:
    state = silo.state("counter")
    state["value"] += 1
    return {"value": state["value"]}


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
