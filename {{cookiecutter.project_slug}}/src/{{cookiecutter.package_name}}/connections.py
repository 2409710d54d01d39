"""Where gunicorn's way with a connection would cost others their time.

- A head that never ends would hold a thread for ever: it has to be there in time.
- gunicorn takes up to 1 MB off a connection and copies what is left of it for each piece that is
  read of a body: it takes no more than a piece.
- It sends the head of an answer by itself: whoever waits is woken twice, and between the two a job
  may take the core. The head travels with the first piece of the body.
- A connection that it ends it keeps until the client has closed it, too, for two seconds, and waits
  for that on the one thread that takes all connections: this is done on the call's own.
- It waits for a client that takes nothing of its answer for ever. Linux is asked to give up a
  connection on which nothing was taken for as long as nothing may come; other systems have no like.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
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
    """gunicorn's settings for it, with `idle` seconds for a head and for who takes nothing."""
    return {
        "worker_class": _worker_class(idle),
        "pre_request": lambda _worker, _request: _heads.waiting.close(),  # its body begins
    }


def _worker_class(idle: float) -> type[Worker]:
    watch = Watch()

    class Considerate(Worker):
        def init_process(self) -> None:
            if sys.platform == "linux":
                for listener in self.sockets:  # whose connections have its options
                    give_up = int(idle * 1000)
                    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, give_up)
            super().init_process()

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
    """An answer whose head is sent along with the first piece of its body.

    A client that was given up is to gunicorn one that has gone.
    """

    def write(self, arg: bytes) -> None:
        with given_up_is_gone():
            if self.headers_sent:
                super().write(arg)
            else:
                self._write_first(arg)

    def sendfile(self, respiter: Any) -> bool:
        with given_up_is_gone():
            return bool(super().sendfile(respiter))

    def close(self) -> None:
        with given_up_is_gone():
            super().close()

    def _write_first(self, piece: bytes) -> None:
        client, together = self.sock, Together()
        self.sock = cast(socket.socket, together)
        try:
            super().write(piece)
        finally:
            self.sock = client
        client.sendall(together)


@contextlib.contextmanager
def given_up_is_gone() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from error


class Together(bytearray):
    """Stands in for a connection, and keeps what would be sent."""

    def sendall(self, data: bytes) -> None:
        self.extend(data)


def install() -> None:
    """Have gunicorn use what it has no setting for."""
    setattr(SocketUnreader, "max_body_chunk", PIECE_BYTES)  # noqa: B010  # its types know none
    setattr(wsgi, "Response", Answer)  # noqa: B010  # as above
