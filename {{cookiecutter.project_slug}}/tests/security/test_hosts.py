"""Headers that a stranger may forge: where a call goes, where it comes from, what it asks for."""

from __future__ import annotations

import json

import pytest
from faults.server import Caller, Server

from .wire import HEAD, OWN, ask, send, statuses

EVIL = b"Host: evil.example\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"GET /api//status",
        b"GET //api//status",
        b"GET //evil.example/%2e%2e",
        b"GET /\\evil.example",
        b"GET /static//app.js",
        b"GET /static//etc/passwd",
        b"GET /api/status/",
        b"GET http://evil.example/api//status",
    ],
)
def test_nobody_is_sent_to_another_place(server: Server, line: bytes) -> None:
    answer = ask(server.port, line, EVIL)
    assert statuses(answer) == [404]
    assert b"Location:" not in answer


def test_no_answer_repeats_the_host_that_was_asked_for(server: Server, victim: Caller) -> None:
    own = EVIL + b"X-Requested-With: a\r\nX-Session-ID: " + (victim.sid or "").encode() + b"\r\n"
    hosts = b"X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n"
    upload = (
        b"Content-Disposition: attachment; filename=a.csv\r\n"
        b"Upload-Complete: ?0\r\nUpload-Length: 9\r\n"
    )
    empty = b"Content-Length: 0\r\n"
    for line, more in {
        b"GET /": b"",
        b"GET /api/openapi.json": b"",
        b"POST /api/report/link": empty,
        b"POST /api/uploads": empty + upload,
    }.items():
        answer = ask(server.port, line, own + hosts + more)
        assert statuses(answer)[0] < 300
        assert b"evil.example" not in answer


@pytest.mark.parametrize("header", [b"SCRIPT_NAME", b"Script-Name", b"X-Forwarded-Prefix"])
def test_nobody_moves_the_app_to_another_path(
    server: Server, victim: Caller, header: bytes
) -> None:
    session = b"X-Session-ID: " + (victim.sid or "").encode() + b"\r\nContent-Length: 0\r\n"
    moved = header + b": /evil\r\n"
    assert statuses(ask(server.port, b"GET /evil/healthz", OWN + moved)) == [404]
    answer = ask(server.port, b"POST /api/report/link", OWN + session + moved)
    assert statuses(answer) == [201]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["url"].startswith("/api/report.xlsx?")


def test_a_path_in_a_header_is_none(server: Server) -> None:
    answer = ask(server.port, b"GET /healthz", HEAD + b"PATH_INFO: /api/status\r\n")
    assert answer.endswith(b'{"status":"ok"}\n')


def test_schemes_that_contradict_each_other_are_nobody_s_business(server: Server) -> None:
    schemes = b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n"
    assert statuses(ask(server.port, b"GET /healthz", HEAD + schemes)) == [200]


@pytest.mark.parametrize("host", [b"", b"a b", b"<script>", b"a@b:99999999", b"[::1", b"\xff"])
def test_an_odd_host_changes_nothing(server: Server, host: bytes) -> None:
    answer = ask(server.port, b"GET /healthz", b"Host: " + host + b"\r\n")
    assert statuses(answer) in ([200], [400])


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"GETX", b"PUT", b"PROPFIND"])
def test_a_method_that_there_is_not_does_nothing(server: Server, method: bytes) -> None:
    secret = b"X-Session-ID: do-not-echo-this\r\n"
    answer = ask(server.port, method + b" /api/status", OWN + secret)
    assert statuses(answer) == [405]
    assert b"do-not-echo-this" not in answer


@pytest.mark.parametrize(
    "header", [b"X-HTTP-Method-Override", b"X-Method-Override", b"X-HTTP-Method"]
)
def test_no_header_makes_a_method_another(server: Server, header: bytes) -> None:
    headers = OWN + header + b": DELETE\r\nContent-Length: 0\r\n"
    assert statuses(ask(server.port, b"POST /api/status", headers)) == [405]
    assert statuses(ask(server.port, b"GET /api/reset?_method=POST", headers)) == [405]


def test_a_session_is_taken_from_its_header_alone(server: Server, victim: Caller) -> None:
    sid = (victim.sid or "").encode()
    for line, headers in [
        (b"GET /api/status?_sid=" + sid, b""),
        (b"GET /api/status?X-Session-ID=" + sid, b""),
        (b"GET /api/status", b"Cookie: X-Session-ID=" + sid + b"; session=" + sid + b"\r\n"),
        (b"GET /api/status", b"X_Session_ID: " + sid + b"\r\n"),
        (b"GET /api/status", b"X-Session-ID: a\r\nX-Session-ID: " + sid + b"\r\n"),
        (b"GET /api/status", b"Authorization: Bearer " + sid + b"\r\n"),
    ]:
        answer = ask(server.port, line, HEAD + headers)
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["session"] == "none"


def test_no_switch_to_another_protocol(server: Server) -> None:
    upgrade = b"Upgrade: h2c, websocket\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
    settings = b"HTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Key: x\r\n\r\n"
    answer = send(server.port, b"GET /healthz HTTP/1.1\r\n" + HEAD + upgrade + settings)
    assert statuses(answer) == [200]
