"""What stands at the server's address in development while its code cannot be loaded."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SCRIPT = "/static/notice.js"
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<noscript><meta http-equiv="refresh" content="1"></noscript>
<script type="module" src="{script}"></script>
<title>The code cannot be loaded</title>
<h1>The code cannot be loaded</h1>
<pre>{text}</pre>
<p>This page goes on by itself when a file is saved.</p>
"""
CONTENT_SECURITY_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'"


@contextlib.contextmanager
def shown(host: str, port: int, text: str) -> Iterator[None]:
    """Answer every call with this text and a 503; who waits for the server goes on waiting.

    Only the page's script is as it always is.
    """

    class Answer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            status, kind, body = answer_to(self.path, text)
            data = body.encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(data)),
                "Content-Security-Policy": CONTENT_SECURITY_POLICY,
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",
                "Retry-After": "1",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - their names

        def log_message(self, *_: object) -> None:
            """Nothing: an open page asks every second."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    with Server((host, port), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def answer_to(path: str, text: str) -> tuple[int, str, str]:
    """The status, the content type and the body."""
    if path == SCRIPT:
        return 200, "text/javascript; charset=utf-8", script()
    if "/api/" in path:
        return 503, "application/problem+json", problem(text)
    return 503, "text/html; charset=utf-8", PAGE.format(text=escape(text), script=SCRIPT)


def script() -> str:
    return Path(__file__).with_name("static").joinpath("notice.js").read_text("utf-8")


def problem(text: str) -> str:
    """As the app tells of errors (RFC 9457)."""
    members = {"type": "about:blank", "title": "Service Unavailable", "status": 503}
    return json.dumps({**members, "error": "unavailable", "detail": text})
