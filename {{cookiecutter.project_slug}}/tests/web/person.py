"""Somebody who uses the app as the page does, and the files that they have."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openpyxl
from flask import Flask
from werkzeug.datastructures import FileStorage, Headers
from werkzeug.test import encode_multipart

SALES: Sequence[Sequence[Any]] = [
    ["Region", "Amount"],
    ["North", 1.5],
    ["South", 2],
    ["North", 3.25],
]


def xlsx(**sheets: Iterable[Sequence[Any]]) -> bytes:
    """A workbook of these sheets."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def csv_text(rows: Iterable[Sequence[Any]]) -> bytes:
    """The rows as a csv file."""
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode()


@dataclass(frozen=True)
class Event:
    """A server-sent event."""

    name: str
    id: str
    data: dict[str, Any]


def parse(stream: str) -> list[Event]:
    """The events of a stream, without its comments and its hint when to come back."""
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in split(stream)]
    return [Event(each["event"], each["id"], json.loads(each["data"])) for each in blocks]


def split(stream: str) -> list[str]:
    blocks = stream.split("\n\n")
    return [block for block in blocks if block and not block.startswith((":", "retry:"))]


@dataclass(frozen=True)
class Answer:
    """What the app answered, read to its end; `json` is None if it is none."""

    status_code: int
    mimetype: str
    headers: Headers
    data: bytes
    json: Any

    @property
    def text(self) -> str:
        return self.data.decode()


class Person:
    """Sends the session id that came last, and marks every call as the page's own."""

    def __init__(self, app: Flask, sid: str = "") -> None:
        self.app = app
        self.client = app.test_client()
        self.sid = sid

    def call(self, method: str, path: str, **given: Any) -> Answer:
        headers = {"X-Requested-With": "fetch", **given.pop("headers", {})}
        if self.sid:
            headers.setdefault("X-Session-ID", self.sid)
        came = self.client.open(path, method=method, headers=headers, buffered=True, **given)
        self.sid = came.headers.get("X-Session-ID", self.sid)
        return Answer(
            came.status_code,
            came.mimetype or "",
            came.headers,
            came.data,
            came.get_json() if came.is_json and came.data else None,
        )

    def get(self, path: str, **given: Any) -> Answer:
        return self.call("GET", path, **given)

    def post(self, path: str, **given: Any) -> Answer:
        return self.call("POST", path, **given)

    def upload(self, *files: tuple[str, bytes], headers: Mapping[str, str] | None = None) -> Answer:
        """Send files, by default a workbook of sales."""
        sent = files or (("sales.xlsx", xlsx(Sales=SALES)),)
        parts = [FileStorage(io.BytesIO(data), name) for name, data in sent]
        boundary, body = encode_multipart({"file": parts})
        kind = f"multipart/form-data; boundary={boundary}"
        return self.post("/api/upload", data=body, content_type=kind, headers=headers or {})

    def process(self, **options: Any) -> Answer:
        return self.post("/api/process", json=options)

    def events(self, **headers: str) -> list[Event]:
        """What the stream says until it ends, which it does when the job does."""
        return parse(self.get("/api/events", headers=headers).text)

    def listen(self, path: str = "/api/events") -> Generator[str, None, None]:
        """A stream of events as it comes, piece by piece."""
        came = self.client.get(path, headers={"X-Session-ID": self.sid})
        try:
            for piece in came.iter_encoded():
                yield piece.decode()
        finally:
            came.close()

    def end(self) -> Event:
        """How the job ends; waits for it."""
        return self.events()[-1]

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.get("/api/status").json
        return status

    def stored(self) -> list[bytes]:
        """Whatever lies in this session's files."""
        files = self.app.extensions["silo"].file_store("files")
        found = []
        for name in files.list_files(self.sid):
            with files.open(self.sid, name) as stream:
                found.append(stream.read())
        return sorted(found)

    def has_report(self, *files: tuple[str, bytes], **options: Any) -> dict[str, Any]:
        """Upload, process, and wait for the report, which is returned."""
        assert self.upload(*files).status_code == 201
        assert self.process(**options).status_code == 202
        end = self.end()
        assert end.name == "complete", end
        report: dict[str, Any] = self.get("/api/report").json
        return report


def error(answer: Answer) -> tuple[int, str]:
    """The status and the code of a refusal, after a look at its form."""
    assert answer.mimetype == "application/problem+json", answer.text
    body = answer.json
    assert body["status"] == answer.status_code
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"].endswith((".", "…", "”")), body["detail"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    return answer.status_code, body["error"]
