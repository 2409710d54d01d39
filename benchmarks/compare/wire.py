"""A client's connection: calls, files sent in a form or bare, and streams of events."""

from __future__ import annotations

import http.client
import json
import re
import select
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BOUNDARY = "a-boundary"
SECONDS = 120.0


class RefusedError(Exception):
    """What a server said instead of doing it."""


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Wire:
    """One connection that is kept open, with headers and cookies that go into every call."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Send JSON, or nothing. Raises RefusedError for an answer that is none of success."""
        data = None if body is None else json.dumps(body).encode()
        kind = {} if data is None else {"Content-Type": "application/json"}
        self._renew()
        kept = self._connection.sock is not None
        try:
            return self._ask(method, path, data, kind)
        except ConnectionError:
            if method != "GET" or not kept:
                raise
        # The server gave the connection up at that very moment: browsers ask again.
        self._connection.close()
        return self._ask(method, path, data, kind)

    def _ask(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        self._connection.request(method, path, data, {**self._own(), **headers})
        return self._answer()

    def send_form(self, method: str, path: str, file: Path, name: str = "file") -> Answer:
        """Send a file as the only field of a form."""
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; '
            f'filename="{file.name}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        ).encode()
        tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        return self.send(method, path, file, kind, head, tail)

    def send(
        self,
        method: str,
        path: str,
        file: Path,
        headers: Mapping[str, str],
        head: bytes = b"",
        tail: bytes = b"",
    ) -> Answer:
        """Send a file's bytes, which the system copies to the socket, between `head` and `tail`."""
        self._renew()
        length = len(head) + file.stat().st_size + len(tail)
        self._connection.putrequest(method, path)
        told = {**self._own(), **headers, "Content-Length": str(length)}
        for name, value in told.items():
            self._connection.putheader(name, value)
        self._connection.endheaders(head or None)
        with file.open("rb") as stream:
            self._connection.sock.sendfile(stream)
        if tail:
            self._connection.send(tail)
        return self._answer()

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """The names and the data of a stream of events, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request("GET", path, headers=self._own())
            response = connection.getresponse()
            if response.status != 200:
                raise RefusedError(str(response.status))
            name = ""
            while line := response.readline():
                key, _, value = line.decode().rstrip("\r\n").partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    yield name, json.loads(value)
        finally:
            connection.close()

    def close(self) -> None:
        self._connection.close()

    def _renew(self) -> None:
        """Let go of a connection that the server has closed meanwhile, as browsers do."""
        sock = self._connection.sock
        if sock and select.select([sock], [], [], 0)[0]:
            self._connection.close()

    def _own(self) -> dict[str, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {**self.headers, **({"Cookie": cookie} if cookie else {})}

    def _answer(self) -> Answer:
        response = self._connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        for cookie in response.headers.get_all("Set-Cookie", []):
            if found := re.match("([^=]+)=([^;]*)", cookie):
                self.cookies[found[1]] = found[2]
        if sid := response.headers.get("X-Session-ID"):
            self.headers["X-Session-ID"] = sid
        if response.status >= 300:
            raise RefusedError(f"{response.status} {answer.body[:200]!r}")
        return answer
