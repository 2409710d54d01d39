"""Bytes on a connection, as nobody's browser would send them."""

from __future__ import annotations

import contextlib
import re
import socket

HEAD = b"Host: 127.0.0.1\r\n"
OWN = HEAD + b"X-Requested-With: test\r\n"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def send(port: int, data: bytes, seconds: float = 30) -> bytes:
    """Whatever comes back until the server ends the connection, or is silent for so long."""
    found = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
        with contextlib.suppress(OSError):
            while piece := connection.recv(2**16):
                found += piece
    return bytes(found)


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in STATUS.findall(answer)]


def ask(port: int, line: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    """One request, after which the connection is to be closed."""
    return send(port, line + b" HTTP/1.1\r\n" + headers + b"Connection: close\r\n\r\n" + body)
