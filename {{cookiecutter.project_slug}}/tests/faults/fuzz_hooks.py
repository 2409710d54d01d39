"""What makes the fuzzer's calls those of somebody with a session, so that they get somewhere.

Schemathesis imports this in its own process (`SCHEMATHESIS_HOOKS`). One call in four stays as it
is: without a session, and as a rule refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from requests import PreparedRequest
from schemathesis import Case, HookContext, SerializationContext
from schemathesis.generation.meta import TestPhase
from schemathesis.transport.serialization import serialize_binary

from .server import Caller

TABLE = b"Region,Amount\nNorth,1\nSouth,2\n"
NAMED = "attachment; filename=sales.csv"
chance = Random(1)


class People:
    """Who calls: one has a report and reads, one works, one begins anew, one sends in pieces."""

    def __init__(self, port: int) -> None:
        self.reader, self.writer, self.beginner, self.sender = (Caller(port) for _ in range(4))
        for caller in (self.reader, self.writer, self.beginner, self.sender):
            assert caller.upload("sales.csv", TABLE).status == 201
        assert self.reader.post("/api/process").status == 202
        assert [event.event for event in self.reader.listen("/api/events")][-1] == "complete"
        self._path = ""

    def sid(self, case: Case[Any]) -> str:
        if case.path == "/api/reset":
            return self.beginner.sid or ""
        if "upload" in case.path_parameters:
            return self.sender.sid or ""
        reads = case.method == "GET" or case.path == "/api/report/link"
        return (self.reader if reads else self.writer).sid or ""

    def token(self) -> str:
        """A link's, to the report."""
        url: str = self.reader.post("/api/report/link").json["url"]
        return url.partition("token=")[2]

    def upload(self) -> str:
        """The id of an upload of the sender's into which nothing has come yet."""
        if self._path:
            self.sender.call("DELETE", self._path)
        self._path = self.sender.create("sales.csv", len(TABLE))
        return self._path.rpartition("/")[2]


@cache
def people(port: int) -> People:
    return People(port)


@schemathesis.serializer("application/partial-upload")
def partial_upload(_: SerializationContext, value: Any) -> Any:
    return serialize_binary(value)


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Give the call a session, and a sound one at times what fits there."""
    if chance.random() < 0.25:
        return
    found = people(urlsplit(case.operation.base_url or "").port or 80)
    case.headers.update({"X-Session-ID": found.sid(case), "X-Requested-With": "fuzz"})
    if is_sound(case) and chance.random() < 0.5:
        fit(case, kwargs, found)


def is_sound(case: Case[Any]) -> bool:
    """Whether it was made to fit the document, at random: others are about one value of theirs."""
    meta = case.meta
    return (
        meta is not None
        and meta.phase.name == TestPhase.FUZZING
        and all(part.mode.is_positive for part in meta.components.values())
    )


def fit(case: Case[Any], kwargs: dict[str, Any], found: People) -> None:
    """Give a call what the document cannot say: an upload, a link or a table that there is."""
    if "upload" in case.path_parameters:
        case.path_parameters["upload"] = found.upload()
    if "token" in case.query:
        case.query["token"] = found.token()
    if case.path == "/api/uploads" and case.method == "POST":
        kwargs["auth"] = sends({"Upload-Complete": "?1", "Content-Disposition": NAMED})
    if case.method == "PATCH" and "upload" in case.path_parameters:
        kwargs["auth"] = sends({"Upload-Complete": "?1", "Upload-Offset": "0"})
    if case.path == "/api/upload" and case.media_type == "multipart/form-data":
        kwargs["files"] = [("file", ("sales.csv", TABLE))]


def sends(headers: dict[str, str]) -> Callable[[PreparedRequest], PreparedRequest]:
    """Put a table and these headers into a request that is ready to be sent: as the call's own they
    would be held against the document once more, as the texts that they are by then."""

    def change(request: PreparedRequest) -> PreparedRequest:
        request.headers.update({**headers, "Upload-Length": str(len(TABLE))})
        request.body = TABLE
        return request

    return change
