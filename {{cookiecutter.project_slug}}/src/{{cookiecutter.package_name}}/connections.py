"""Where gunicorn's way with a connection would cost others their time.

- A head that never ends would hold a thread for ever: it has to be there in time.
- gunicorn takes up to 1 MB off a connection and copies what is left of it for each piece that is
  read of a body: it takes no more than a piece.
- It sends the head of an answer by itself: whoever waits is woken twice, and between the two a job
  may take the core. The head travels with the first piece of the body.
- A connection that it ends it keeps until the client has closed it, too, for two seconds, and waits
  for that on the one thread that takes all connections: this is done on the call's own.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any, cast

from gunicorn.http import wsgi
from gunicorn.http.unreader import SocketUnreader
from gunicorn.util import close_graceful
from gunicorn.workers.gthread import TConn

from .malformed import Worker
from .patience import PIECE_BYTES, Watch, shut

_heads = threading.local()
"""`waiting`: this thread's wait for the head of a call."""


def settings_of(idle: float) -> dict[str, Any]:
    """gunicorn's settings for it, with at most `idle` seconds for a head."""
    return {
        "worker_class": _worker_class(idle),
        "pre_request": lambda _worker, _request: _heads.waiting.close(),  # its body begins
    }


def _worker_class(idle: float) -> type[Worker]:
    watch = Watch()

    class Considerate(Worker):
        def handle(self, conn: TConn) -> Any:
            """Whether the connection is kept, for its next call or until there is something."""
            with contextlib.ExitStack() as _heads.waiting:
                _heads.waiting.enter_context(watch.until(time.monotonic() + idle, conn.sock))
                kept = super().handle(conn)
            if not kept:
                end(conn.sock)
            return kept

    return Considerate


def end(client: socket.socket) -> None:
    """Wait for the client to close, for as long as gunicorn would, which then has nothing to do."""
    with contextlib.suppress(OSError):
        close_graceful(client.dup())
    shut(client)


class Answer(wsgi.Response):
    """An answer whose head is sent along with the first piece of its body."""

    def write(self, arg: bytes) -> None:
        if self.headers_sent:
            super().write(arg)
            return
        client, together = self.sock, Together()
        self.sock = cast(socket.socket, together)
        try:
            super().write(arg)
        finally:
            self.sock = client
        client.sendall(together)


class Together(bytearray):
    """Stands in for a connection, and keeps what would be sent."""

    def sendall(self, data: bytes) -> None:
        self.extend(data)


def install() -> None:
    """Have gunicorn use what it has no setting for."""
    setattr(SocketUnreader, "max_body_chunk", PIECE_BYTES)  # noqa: B010  # its types know none
    setattr(wsgi, "Response", Answer)  # noqa: B010  # as above
