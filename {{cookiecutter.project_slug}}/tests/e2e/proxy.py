"""A way to the server that breaks where a test says so."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

RESET = struct.pack("ii", 1, 0)
PIECE_BYTES = 2**14


class Proxy:
    """Hands on what comes to `url`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._breaks: list[tuple[int, Callable[[], object]]] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def break_after(self, count: int, happens: Callable[[], object] = lambda: None) -> None:
        """Once so many more bytes have passed, let something happen and reset the connection."""
        self._breaks.append((count, happens))

    def stop(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._port))
        except OSError:
            reset(client)
            return
        threading.Thread(target=self._back, args=(server, client), daemon=True).start()
        with contextlib.suppress(OSError):
            while (data := client.recv(PIECE_BYTES)) and self._forth(server, data):
                pass
        server.close()
        reset(client)

    def _forth(self, server: socket.socket, data: bytes) -> bool:
        """Hand on; whether the connection shall go on."""
        server.sendall(data)
        with self._lock:
            if not self._breaks:
                return True
            left, happens = self._breaks[0]
            self._breaks[0] = left - len(data), happens
            if left > len(data):
                return True
            self._breaks.pop(0)
        happens()
        return False

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(PIECE_BYTES):
                client.sendall(data)
        reset(client)


def reset(connection: socket.socket) -> None:
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.shutdown(socket.SHUT_RDWR)
