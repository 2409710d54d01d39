"""A request hidden in the body of another: wherever the two could be taken for one or for two."""

from __future__ import annotations

import json
import socket

import pytest
from faults.server import Server

from .wire import OWN, ask, send, statuses

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
JSON = b"Content-Type: application/json\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=x\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 60\r\n",
        b"Content-Length: 0\r\nContent-Length: 38\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 1_0\r\n",
        b"Content-Length: \xb2\r\n",
        b"Content-Length : 5\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n",
        b"Transfer-Encoding: chunked\nX: y\r\n",
        b"X: y\rTransfer-Encoding: chunked\r\n",
        b"X: y\0z\r\n",
    ],
)
def test_two_ways_to_tell_where_a_body_ends_are_refused(server: Server, headers: bytes) -> None:
    line = b"POST /api/reset HTTP/1.1\r\n"
    answer = send(server.port, line + OWN + headers + b"\r\n0\r\n\r\n" + HIDDEN)
    assert statuses(answer) in ([400], [501])
    assert_guarded(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"0_2\r\n{}\r\n0\r\n\r\n",
        b"2\n{}\n0\n\n",
        b"2;a\nb\r\n{}\r\n0\r\n\r\n",
        b"5\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}xx",
        b"0" * 100_000 + b"\r\n\r\n",
    ],
)
@pytest.mark.parametrize("path", [b"process", b"upload", b"reset"])
def test_a_chunk_that_is_none_ends_the_connection(server: Server, path: bytes, body: bytes) -> None:
    kind = FORM if path == b"upload" else JSON
    line = b"POST /api/" + path + b" HTTP/1.1\r\n"
    answer = send(server.port, line + OWN + kind + CHUNKED + b"\r\n" + body + HIDDEN)
    # What reads no body is answered before; then nothing more is heard on this connection.
    assert statuses(answer) == ([204] if path == b"reset" else [400])
    assert b"/hidden" not in answer


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 0\r\nContent_Length: 38\r\n",
        b"Content-Length: 0\r\nTransfer_Encoding: chunked\r\n",
    ],
)
def test_an_underscore_is_no_hyphen(server: Server, headers: bytes) -> None:
    line = b"POST /api/reset HTTP/1.1\r\n"
    answer = send(server.port, line + OWN + headers + b"\r\n" + last(b"/healthz"))
    assert statuses(answer) == [204, 200]


def test_a_chain_of_requests_is_answered_one_by_one(server: Server) -> None:
    first = b"GET /api/status HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
    answer = send(server.port, first + first + last(b"/healthz"))
    assert statuses(answer) == [200, 200, 200]


def test_a_trailer_is_no_header(server: Server) -> None:
    body = b"0\r\nX-Session-ID: abc\r\nContent-Type: application/json\r\n\r\n"
    line = b"POST /api/process HTTP/1.1\r\n"
    answer = send(server.port, line + OWN + CHUNKED + b"\r\n" + body + last(b"/healthz"))
    assert statuses(answer) == [409, 200]


def test_a_flood_of_trailers_is_refused(server: Server) -> None:
    body = b"0\r\n" + b"X: y\r\n" * 100_000 + b"\r\n"
    line = b"POST /api/process HTTP/1.1\r\n"
    answer = send(server.port, line + OWN + CHUNKED + b"\r\n" + body + HIDDEN)
    assert statuses(answer) in ([400], [431], [])
    assert b"/hidden" not in answer


def test_what_follows_a_refused_chunk_is_no_request_even_later(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        line = b"POST /api/process HTTP/1.1\r\n"
        connection.sendall(line + OWN + JSON + CHUNKED + b"\r\nzz\r\n")
        answer = b""
        while b"bad_request" not in answer:
            answer += connection.recv(2**16)
        try:
            connection.sendall(HIDDEN)
            while piece := connection.recv(2**16):
                answer += piece
        except OSError:
            pass  # closed already
    assert statuses(answer) == [400]


@pytest.mark.parametrize(
    "line",
    [
        b"<SCRIPT> /",
        b"GET / x y",
        b"get /",
        b"GET /\r\nX",
        b"PRI *",
        b"GET / HTTP/9.9\r\nX: y\r\nA",
    ],
)
def test_what_is_no_http_is_refused_in_the_app_s_own_form(server: Server, line: bytes) -> None:
    answer = ask(server.port, line, OWN)
    assert statuses(answer) == [400]
    assert_guarded(answer)
    assert b"SCRIPT" not in answer


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        (b"GET /" + b"a" * 9000, b"", 414),
        (b"GET /", b"X: " + b"a" * 9000 + b"\r\n", 431),
        (b"GET /", b"".join(b"X-%d: a\r\n" % n for n in range(200)), 431),
    ],
)
def test_a_flood_in_the_head_is_refused(
    server: Server, line: bytes, headers: bytes, status: int
) -> None:
    answer = ask(server.port, line, OWN + headers)
    assert statuses(answer) == [status]
    assert_guarded(answer)


def last(path: bytes) -> bytes:
    """A whole request, after which the connection ends."""
    return b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def assert_guarded(answer: bytes) -> None:
    """An answer of gunicorn's own has the form and the headers of the app's."""
    head, _, body = answer.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert head.startswith(f"HTTP/1.1 {problem['status']} {problem['title']}".encode())
    assert problem["detail"].endswith(".")
    assert problem["request_id"].encode() in head
    for name in (b"Content-Security-Policy", b"nosniff", b"no-referrer", b"DENY", b"no-store"):
        assert name in head
    assert b"Content-Type: application/problem+json" in head
