"""How somebody gets from a file to a report with each of the subjects, as their pages do it.

Every client does its steps one after the other and waits; where a subject has no live progress of
its own, its client asks for it every 50 ms, which is more often than a page would.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .wire import Answer, RefusedError, Wire

POLL = 0.05


class Client:
    """Somebody with one file at a time. `port` is where the server listens."""

    def __init__(self, port: int) -> None:
        self.wire = Wire(port)

    def upload(self, file: Path) -> None:
        """The file is with the server."""
        raise NotImplementedError

    def start(self) -> None:
        """The job is queued or runs."""
        raise NotImplementedError

    def progress(self) -> tuple[float, str]:
        """How far the job is, in percent, and what is said of it: `complete` if it is."""
        raise NotImplementedError

    def fetch(self) -> bytes:
        """The report that is ready."""
        raise NotImplementedError

    def increment(self) -> int:
        """Count in this session, and say how far."""
        return int(self.wire.call("POST", "/api/increment").json["value"])

    def wait(self) -> None:
        """Until the job is complete."""
        until(self.progress)

    def report(self, file: Path) -> bytes:
        """From the upload to the report."""
        self.upload(file)
        self.start()
        self.wait()
        return self.fetch()

    def again(self, port: int) -> None:
        """Go on with another connection."""
        self.wire.close()
        self.wire = Wire(port, self.wire.headers, self.wire.cookies)

    def close(self) -> None:
        self.wire.close()


def until(progress: Callable[[], tuple[float, str]]) -> None:
    while progress()[1] != "complete":
        time.sleep(POLL)


class FlaskSilo(Client):
    def upload(self, file: Path) -> None:
        self.wire.send_form("POST", "/api/upload", file)

    def start(self) -> None:
        self.wire.call("POST", "/api/process")

    def progress(self) -> tuple[float, str]:
        state = self.wire.call("GET", "/api/progress").json
        if state["error"]:
            raise RefusedError(state["error"])
        word = "complete" if state["complete"] else "running" if state["running"] else "not started"
        return state["progress"], word

    def fetch(self) -> bytes:
        return self.wire.call("GET", "/api/report").body


class Jobs(Client):
    """An upload starts a job that is asked for by its id: FastAPI and Celery."""

    def upload(self, file: Path) -> None:
        if file.suffix == ".xlsx":
            self._file = file
        else:
            self.wire.send_form("POST", "/upload", file)

    def start(self) -> None:
        self._job = self.wire.send_form("POST", "/jobs", self._file).json["id"]

    def progress(self) -> tuple[float, str]:
        state = self.wire.call("GET", f"/jobs/{self._job}").json
        if state["status"] == "FAILURE":
            raise RefusedError("FAILURE")
        return state.get("progress", 0.0), state["status"]

    def fetch(self) -> bytes:
        return self.wire.call("GET", f"/jobs/{self._job}/report").body


class Gradio(Client):
    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.session = secrets.token_hex(6)
        config = self.wire.call("GET", "/config").json  # which its page comes with
        functions = config["dependencies"]
        self._functions: dict[str, int] = {each["api_name"]: each["id"] for each in functions}

    def upload(self, file: Path) -> None:
        path = f"/gradio_api/upload?upload_id={secrets.token_hex(6)}"
        self._path = self.wire.send_form("POST", path, file, "files").json[0]

    def start(self) -> None:
        self.join("work", [{"path": self._path, "meta": {"_type": "gradio.FileData"}}])
        self._news = self.wire.events(f"/gradio_api/queue/data?session_hash={self.session}")

    def join(self, name: str, data: list[Any]) -> None:
        """Put a call of one of the functions into the queue."""
        call = {"data": data, "fn_index": self.number(name), "session_hash": self.session}
        self.wire.call("POST", "/gradio_api/queue/join", call)

    def progress(self) -> tuple[float, str]:
        """Waits for the next news; the stream ends with the job."""
        for _, news in self._news:
            if news["msg"] == "process_completed":
                if not news["success"]:
                    raise RefusedError(str(news["output"]))
                self._report = news["output"]["data"][0]["path"]
                return 100.0, "complete"
            if news["msg"] == "progress" and news["progress_data"]:
                return 100 * (news["progress_data"][0]["progress"] or 0), "running"
        raise RefusedError("broken stream")

    def wait(self) -> None:
        while self.progress()[1] != "complete":
            pass

    def fetch(self) -> bytes:
        return self.wire.call("GET", f"/gradio_api/file={self._report}").body

    def increment(self) -> int:
        call = {"data": [None], "session_hash": self.session}
        return int(self.wire.call("POST", "/gradio_api/run/increment", call).json["data"][0])

    def again(self, port: int) -> None:
        """Listen again, as its page does when it comes back."""
        super().again(port)
        self._news = self.wire.events(f"/gradio_api/queue/data?session_hash={self.session}")

    def number(self, name: str) -> int:
        """Of one of the functions, by its name."""
        return self._functions[name]


class Ours(Client):
    """As the page does: the upload that can go on, and live events."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.wire.headers["X-Requested-With"] = "bench"

    def upload(self, file: Path) -> None:
        named = {"Content-Disposition": f"attachment; filename*=UTF-8''{file.name}"}
        size = file.stat().st_size
        extra = {**named, "Upload-Complete": "?0", "Upload-Length": str(size)}
        upload = self._call("POST", "/api/uploads", extra).json["id"]
        rest = {"Content-Type": "application/partial-upload", "Upload-Offset": "0"}
        self.wire.send("PATCH", f"/api/uploads/{upload}", file, {**rest, "Upload-Complete": "?1"})
        self.wire.call("POST", "/api/upload", {"uploads": [upload]})

    def start(self) -> None:
        self.wire.call("POST", "/api/process", {})

    def progress(self) -> tuple[float, str]:
        state = self.wire.call("GET", "/api/progress").json
        return state["progress"], state["status"]

    def wait(self) -> None:
        for name, news in self.wire.events("/api/events"):
            if name in ("failed", "cancelled", "expired"):
                raise RefusedError(f"{name}: {news}")

    def fetch(self) -> bytes:
        return self.wire.call("GET", "/api/report.xlsx").body

    def _call(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        own, self.wire.headers = self.wire.headers, {**self.wire.headers, **headers}
        try:
            answer = self.wire.call(method, path)
        finally:
            own["X-Session-ID"] = self.wire.headers.get("X-Session-ID", "")
            self.wire.headers = own
        return answer
