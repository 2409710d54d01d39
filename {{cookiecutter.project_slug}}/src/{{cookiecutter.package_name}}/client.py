"""The app's API for Python programs; it needs the extra `client`.

    with Client("http://127.0.0.1:8000") as client:
        client.upload("sales.xlsx")
        client.process(category="Region")
        client.wait(print)
        client.download("report.xlsx")

Where the step has its rows reviewed, `review`, `edit`, `finish` and another `wait` come before the
download. What fails on the way is tried again, with the same `Idempotency-Key`, so that nothing
happens twice. A session that expires meanwhile is begun anew: files, options and edits are sent
again by themselves.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

RETRIED = (429, 502, 503, 504)
"""Answers that say that a later try may do."""
WAITING = ("in_flight", "busy")
"""Codes of a 409 that passes by itself."""
LONGEST_PAUSE = 30.0


class ApiError(Exception):
    """A call that was refused: its text is the server's sentence.

    `errors` are the fields that are wrong, each with its `field` and `message`.
    """

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[Any] = ()) -> None:
        super().__init__(detail)
        self.status, self.code, self.errors = status, code, errors


class JobFailed(Exception):
    """The job ended without a report; the text says why, and `status` is failed or cancelled."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """One session of the app at `url`, from its first call on.

    `key` is an API key, `tries` is how often a call is made before it is given up, `timeout` is in
    seconds and for one try. All calls raise `ApiError`, or `httpx.TransportError` if the server
    cannot be reached.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        tries: int = 6,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        headers = {"X-Requested-With": "client"} | (
            {"Authorization": f"Bearer {key}"} if key else {}
        )
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers=headers, timeout=timeout, transport=transport
        )
        self._tries, self._sleep = tries, sleep
        self._paths: list[Path] = []
        self._options: dict[str, Any] | None = None
        self._edits: list[dict[str, Any]] = []
        self._finished = False

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the session lives on until it expires."""
        self._http.close()

    # The journey

    def upload(self, *paths: str | os.PathLike[str]) -> list[dict[str, Any]]:
        """Send files, in the place of those that were sent before. They must stay where they are,
        for another upload should the session expire. Returns what is stored of each: `name`,
        `size` in bytes, `sha256`."""
        self._paths, self._options = [Path(path) for path in paths], None
        self._edits, self._finished = [], False
        return self._or_anew(self._upload)

    def process(self, **options: Any) -> dict[str, Any]:
        """Start making the report, with the defaults for options that are not given.

        They are what the step has: dates, members of an Enum, lists or sets of them, or JSON.
        """
        given = {name: as_json(value) for name, value in options.items()}
        self._options, self._edits, self._finished = given, [], False
        return self._or_anew(self._process)

    def wait(
        self, told: Callable[[dict[str, Any]], object] | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """Wait until the report is made; `told` hears of every change.

        Returns how the job stands: `status`, `progress` from 0 to 100, `message`. Raises
        `JobFailed`, and `TimeoutError` after `timeout` seconds.
        """
        until = None if timeout is None else time.monotonic() + timeout
        last: dict[str, Any] = {}
        for pause in pauses():
            job = self._or_anew(self.progress)
            if told and job != last:
                told(job)
            if job["status"] not in ("queued", "running"):
                return finished(job)
            if until is not None and time.monotonic() > until:
                raise TimeoutError(f"The job is still {job['status']}.")
            last = job
            self._sleep(pause)
        raise AssertionError("pauses never end")

    def progress(self) -> dict[str, Any]:
        """How the job stands."""
        return dict(self._call("GET", "/api/progress").json())

    def review(self) -> dict[str, Any]:
        """What waits for a review: title, columns, and all `rows` with the edits so far."""
        found = self._reviewing(lambda: self._rows(0))
        while len(found["rows"]) < found["row_count"]:
            found["rows"] += self._rows(len(found["rows"]))["rows"]
        return found

    def edit(self, row: int, column: str, value: str | float | bool | date | None) -> None:
        """Correct a value of the review; rows count from 0, dates may be text (2025-01-31)."""
        edit = {"row": row, "column": column, "value": as_json(value)}
        self._reviewing(lambda: self._call("PATCH", "/api/review", json={"edits": [edit]}))
        self._edits.append(edit)

    def finish(self) -> dict[str, Any]:
        """End the review: start making the report of the corrected rows. Wait for it as ever."""
        job = self._reviewing(self._finish)
        self._finished = True
        return job

    def report(self) -> dict[str, Any]:
        """The report as JSON: title, figures, notes, and the first rows of its tables."""
        return dict(self._when_made(lambda: self._call("GET", "/api/report")).json())

    def download(self, path: str | os.PathLike[str], file: int | str = "workbook") -> Path:
        """Save the workbook, all files as a zip (`file="all"`), or the attached file of a number.

        What stands at `path` is replaced once the whole file has come.
        """
        target = Path(path)
        part = target.with_name(f".{target.name}.part")
        try:
            self._when_made(lambda: self._fetch(location(file), part))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    def cancel(self) -> None:
        """Stop the job."""
        self._call("POST", "/api/cancel")

    def reset(self) -> None:
        """Remove everything that the session has stored."""
        self._paths, self._options, self._edits, self._finished = [], None, [], False
        self._call("POST", "/api/reset")

    # The session, begun anew where it has expired

    def _or_anew(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except ApiError as error:
            if error.status != 410 or not self._paths:
                raise
        if call != self._upload:
            self._upload()
            if self._options is not None and call != self._process:
                self._process()
                if self._finished:
                    self._finish_again()
        return call()

    def _when_made(self, call: Callable[[], T], then: Callable[[], object] | None = None) -> T:
        """What needs that the job has ended; if the session has expired, the job is done once more,
        and `then` whatever came after it."""
        try:
            return call()
        except ApiError as error:
            if error.status != 410 or self._options is None:
                raise
        self.wait()
        if then:
            then()
        return call()

    def _reviewing(self, call: Callable[[], T]) -> T:
        """What needs a review, which begins anew with the edits that were made."""
        return self._when_made(call, self._edit_again)

    def _finish(self) -> dict[str, Any]:
        return dict(self._call("POST", "/api/finish").json())

    def _finish_again(self) -> None:
        self.wait()
        self._edit_again()
        self._finish()

    def _edit_again(self) -> None:
        if self._edits:
            self._call("PATCH", "/api/review", json={"edits": self._edits})

    def _rows(self, offset: int) -> dict[str, Any]:
        return dict(self._call("GET", f"/api/review?offset={offset}&limit=500").json())

    def _upload(self) -> list[dict[str, Any]]:
        key = str(uuid.uuid4())
        return list(self._try(lambda: self._send_files(key)).json()["files"])

    def _process(self) -> dict[str, Any]:
        return dict(self._call("POST", "/api/process", json=self._options).json())

    # Calls and their retries

    def _send_files(self, key: str) -> httpx.Response:
        with contextlib.ExitStack() as opened:
            files = [
                ("file", (path.name, opened.enter_context(path.open("rb")))) for path in self._paths
            ]
            headers = {"Idempotency-Key": key}
            return self._http.post("/api/upload", files=files, headers=headers)

    def _call(self, method: str, path: str, json: Any = None) -> httpx.Response:
        headers = {"Idempotency-Key": str(uuid.uuid4())} if method == "POST" else {}
        return self._try(lambda: self._http.request(method, path, json=json, headers=headers))

    def _fetch(self, path: str, part: Path) -> httpx.Response:
        return self._try(lambda: self._stream(path, part))

    def _stream(self, path: str, part: Path) -> httpx.Response:
        with self._http.stream("GET", path) as answer:
            if answer.has_redirect_location:
                self._take(answer.headers["Location"], part)
            elif answer.is_success:
                write(answer, part)
            else:
                answer.read()
            return answer

    def _take(self, url: str, part: Path) -> None:
        """Get a file from where the server says it is; neither key nor session goes there."""
        with httpx.stream("GET", url, timeout=self._http.timeout) as answer:
            if not answer.is_success:
                raise httpx.ReadError(f"The file's server answered {answer.status_code}.")
            write(answer, part)

    def _try(self, call: Callable[[], httpx.Response]) -> httpx.Response:
        """Make a call until it is answered for good. Raises ApiError, httpx.TransportError."""
        for left, pause in zip(reversed(range(self._tries)), pauses(0.2), strict=False):
            try:
                answer = call()
            except httpx.TransportError:
                if not left:
                    raise
                self._sleep(pause)
                continue
            self._keep_session(answer)
            if answer.is_success or answer.has_redirect_location:
                return answer
            error = refusal(answer)
            if not left or not passes(error):
                raise error
            self._sleep(max(pause, retry_after(answer)))
        raise AssertionError("the last try returns or raises")

    def _keep_session(self, answer: httpx.Response) -> None:
        if sid := answer.headers.get("X-Session-ID"):
            self._http.headers["X-Session-ID"] = sid


def as_json(value: Any) -> Any:
    """A value as the API takes it."""
    if isinstance(value, Enum):
        return as_json(value.value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(each) for each in value]
    return value


def write(answer: httpx.Response, part: Path) -> None:
    with part.open("wb") as file:
        for piece in answer.iter_bytes():
            file.write(piece)


def pauses(first: float = 0.1) -> Iterator[float]:
    """Seconds between tries: longer each time, and never the same for many clients at once."""
    longest = first
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311  # spreads load, hides nothing
        longest = min(longest * 1.5, 2.0 if first < 0.2 else LONGEST_PAUSE)


def location(file: int | str) -> str:
    """Where a download is."""
    if isinstance(file, int):
        return f"/api/report/files/{file}"
    return {"workbook": "/api/report.xlsx", "all": "/api/report.zip"}[file]


def finished(job: dict[str, Any]) -> dict[str, Any]:
    if job["status"] != "complete":
        raise JobFailed(job["status"], job.get("error") or "The job was cancelled.")
    return job


def refusal(answer: httpx.Response) -> ApiError:
    """What a refused call says, whoever refused it."""
    try:
        said = answer.json()
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    detail = said.get("detail") or f"The server answered {answer.status_code}."
    return ApiError(answer.status_code, said.get("error", ""), detail, said.get("errors", ()))


def passes(error: ApiError) -> bool:
    """Whether a later try may do."""
    return error.status in RETRIED or (error.status == 409 and error.code in WAITING)


def retry_after(answer: httpx.Response) -> float:
    """The seconds that the server asks to wait for, within reason."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), LONGEST_PAUSE) if text.isdecimal() else 0.0
