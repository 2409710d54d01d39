"""As much of a WebSocket client (RFC 6455) as Streamlit's page needs: binary messages."""

from __future__ import annotations

import base64
import os
import socket
import struct

BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
SHORT, LONG = 126, 127


class ClosedError(ConnectionError):
    """The server ended it."""


def request(port: int, path: str, protocol: str, cookie: str = "") -> bytes:
    """The call that asks for the change of protocol."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: localhost:{port}",
        f"Origin: http://localhost:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {protocol}",
        *([f"Cookie: {cookie}"] if cookie else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(message: bytes, kind: int = BINARY) -> bytes:
    """A client's frame; the mask of zeros leaves the message as it is."""
    size = len(message)
    if size < SHORT:
        head = struct.pack("!BB", 0x80 | kind, 0x80 | size)
    elif size < 2**16:
        head = struct.pack("!BBH", 0x80 | kind, 0x80 | SHORT, size)
    else:
        head = struct.pack("!BBQ", 0x80 | kind, 0x80 | LONG, size)
    return head + bytes(4) + message


class WebSocket:
    def __init__(self, port: int, path: str, protocol: str, cookie: str, seconds: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), seconds)
        self._socket.sendall(request(port, path, protocol, cookie))
        self._file = self._socket.makefile("rb")
        status = self._file.readline()
        while self._file.readline().strip():
            pass
        if b" 101 " not in status:
            raise ClosedError(status.decode())

    def send(self, message: bytes) -> None:
        self._socket.sendall(frame(message))

    def receive(self) -> bytes:
        """The next message. Raises ClosedError."""
        message = b""
        while True:
            first, second = self._read(2)
            size = second & 0x7F
            if size == SHORT:
                (size,) = struct.unpack("!H", self._read(2))
            elif size == LONG:
                (size,) = struct.unpack("!Q", self._read(8))
            data = self._read(size)
            kind = first & 0x0F
            if kind == PING:
                self._socket.sendall(frame(data, PONG))
            elif kind == CLOSE:
                raise ClosedError("closed by the server")
            else:
                message += data
                if first & 0x80:
                    return message

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise ClosedError("cut off")
        return data
