"""FastAPI with BackgroundTasks: the upload starts the job, and is answered with its id.

A plain `def` task runs in FastAPI's thread pool; what it says is kept in a dictionary, as in the
examples that go beyond a log line. Sessions are the same: a header, and a dictionary.
"""

from __future__ import annotations

import asyncio
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import BackgroundTasks, FastAPI, Header, HTTPException, Response, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from job import make_report

app = FastAPI()
UPLOADS = Path("uploads")
UPLOADS.mkdir(exist_ok=True)
jobs: dict[str, dict[str, Any]] = {}
counters: dict[str, int] = {}


def work(job: str, path: Path) -> None:
    def say(done: float, what: str) -> None:
        jobs[job] = {"status": "running", "progress": done, "message": what}

    make_report(path, path.with_suffix(".report.xlsx"), say)
    jobs[job]["status"] = "complete"


@app.post("/jobs", status_code=202)
def create(file: UploadFile, background: BackgroundTasks) -> dict[str, str]:
    job = uuid.uuid4().hex
    path = UPLOADS / f"{job}.xlsx"
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target)
    jobs[job] = {"status": "queued", "progress": 0, "message": ""}
    background.add_task(work, job, path)
    return {"id": job}


@app.post("/upload", status_code=201)
def upload(file: UploadFile) -> dict[str, str]:
    """The first half of `create`, for the row that sends a file of no workbook."""
    path = UPLOADS / uuid.uuid4().hex
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target)
    return {"id": path.name}


@app.get("/jobs/{job}")
async def progress(job: str) -> dict[str, Any]:
    if job not in jobs:
        raise HTTPException(404)
    return jobs[job]


@app.get("/jobs/{job}/report")
async def report(job: str) -> FileResponse:
    return FileResponse(UPLOADS / f"{job}.report.xlsx")


@app.post("/api/increment")
async def increment(
    response: Response, x_session_id: Annotated[str | None, Header()] = None
) -> dict[str, int]:
    sid = x_session_id or uuid.uuid4().hex
    counters[sid] = counters.get(sid, 0) + 1
    response.headers["X-Session-ID"] = sid
    return {"value": counters[sid]}


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/watch")
async def watch() -> StreamingResponse:
    """News every two seconds."""

    async def news() -> AsyncIterator[str]:
        while True:
            yield f"data: {time.time()}\n\n"
            await asyncio.sleep(2)

    return StreamingResponse(news(), media_type="text/event-stream")
