"""How long a sender is waited for, before its answer and after it.

A server waits for the bytes of a body for ever, and with it the thread that reads them. Here the
body comes in pieces, each of which has to be there in time, so a sender of a byte a second is let
go like a silent one.

An answer may come before the body has: a file is too large, say. Most clients look at it only after
they have sent everything, and to one that is cut off before, the reason would be a lost connection.
So the rest is taken in after the answer, for a while. Not so of whoever is told an offset: they ask
for it again after a lost connection, and go on from there.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

from flask import Flask
from werkzeug.exceptions import RequestTimeout
from werkzeug.wsgi import ClosingIterator, get_content_length

PIECE_BYTES = 2**16
LOOK_SECONDS = 0.25
"""How late a sender is let go at most."""
HEAR_SECONDS = 30
"""For which what is sent after the answer is taken in."""


class Watch:
    """Ends the waiting for a piece: the connection is closed for reading, and can still answer."""

    def __init__(self) -> None:
        self._waiting: dict[object, tuple[float, socket.socket]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def until(self, deadline: float, client: socket.socket) -> Iterator[None]:
        """Let the block read from a client up to a moment of the monotonic clock."""
        turn = object()
        with self._lock:
            self._waiting[turn] = deadline, client
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="patience", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[turn]

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            with self._lock:
                for deadline, client in self._waiting.values():
                    if deadline < now:
                        shut(client)


class Body:
    """A request's body as its sender sends it: `size` bytes, or None if nobody knows.

    `read` raises RequestTimeout if a piece takes longer than `idle` seconds. Without a `client`,
    whose server has the body already or sees to it itself, there is nothing to wait for.
    """

    def __init__(
        self,
        stream: IO[bytes],
        size: int | None,
        client: socket.socket | None,
        watch: Watch,
        idle: float,
    ) -> None:
        self._stream = stream
        self._left = size
        self._client = client
        self._watch = watch
        self._idle = idle
        self._ended = size == 0
        self._late = False
        self.resumes = False

    def read(self, size: int = -1) -> bytes:
        """Up to so many bytes, none at the end; all if it is negative."""
        if size >= 0:
            return self._piece(size, time.monotonic() + self._idle)
        return b"".join(iter(lambda: self.read(PIECE_BYTES), b""))

    def readline(self, size: int = -1) -> bytes:
        line = bytearray()
        while len(line) != size and not line.endswith(b"\n") and (byte := self.read(1)):
            line += byte
        return bytes(line)

    def readlines(self, hint: int = -1) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def hear_out(self) -> None:
        """Take in the rest for a while; then nothing more is read from this connection."""
        until = time.monotonic() + HEAR_SECONDS
        with contextlib.suppress(Exception):  # each server raises something else
            while not self.resumes and time.monotonic() < until and self._piece(PIECE_BYTES, until):
                pass
        if self._client and not self._ended:
            shut(self._client)

    def _piece(self, size: int, deadline: float) -> bytes:
        """The next bytes, or none at the end."""
        most = min(size, PIECE_BYTES)
        wanted = most if self._left is None else min(most, self._left)
        if self._ended or not wanted:
            return b""
        piece = self._read(wanted, deadline)
        if self._left is not None:
            self._left -= len(piece)
        self._ended = not self._left if self._left is not None else not piece
        return piece

    def _read(self, wanted: int, deadline: float) -> bytes:
        if self._client is None:
            return self._stream.read(wanted)
        if not self._late:
            with self._watch.until(deadline, self._client):
                piece = self._stream.read(wanted)
            self._late = len(piece) < wanted and time.monotonic() > deadline
            if piece or not self._late:
                return piece
        raise RequestTimeout("What you send arrives too slowly, or not at all. Try again.")


def shut(client: socket.socket) -> None:
    """Whoever waits for bytes of this client hears that there are none."""
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RD)


def init_app(app: Flask, idle: float) -> None:
    """Have every body of an app's requests read with patience."""
    serve: Callable[..., Any] = app.wsgi_app
    watch = Watch()

    def patient(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        size = get_content_length(environ)
        endless = "HTTP_TRANSFER_ENCODING" in environ and "wsgi.input_terminated" in environ
        if not size and not endless:
            return serve(environ, start_response)
        client = environ.get("gunicorn.socket")
        body = Body(environ["wsgi.input"], size, client, watch, idle)
        environ["wsgi.input"] = body

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            body.resumes = any(name == "Upload-Offset" for name, _ in headers)
            return start_response(status, headers, *more)

        return ClosingIterator(serve(environ, start), body.hear_out)

    app.wsgi_app = patient  # type: ignore[method-assign]
