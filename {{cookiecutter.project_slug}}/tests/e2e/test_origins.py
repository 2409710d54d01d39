"""A page of another origin: it may call and see the session id if it is named, and else nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext

from .conftest import Served

CALL = """async (url) => {
  const body = new FormData();
  body.append("file", new File(["Region,Amount\\nNorth,1\\n"], "sales.csv"));
  const headers = { "X-Requested-With": "fetch" };
  try {
    const upload = await fetch(url + "api/upload", { method: "POST", headers, body });
    const sid = upload.headers.get("X-Session-ID");
    const status = await fetch(url + "api/status", { headers: { "X-Session-ID": sid } });
    return { upload: upload.status, sid, session: (await status.json()).session };
  } catch (error) {
    return { error: error.name };
  }
}"""


class Blank(BaseHTTPRequestHandler):
    """A page with nothing on it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title>")

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        pass


@pytest.fixture
def origin() -> Iterator[str]:
    """Another site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Blank)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def call_from(origin: str, context: BrowserContext, url: str) -> dict[str, Any]:
    """What a script on a page of that origin gets to see of the app."""
    page = context.new_page()
    page.goto(origin)
    seen: dict[str, Any] = page.evaluate(CALL, url)
    return seen


def test_a_named_origin_may_call_and_sees_the_session_id(
    tmp_path: Path, origin: str, new_context: Callable[..., BrowserContext]
) -> None:
    app = Served(tmp_path, SILO_CORS_ORIGINS=origin)
    try:
        seen = call_from(origin, new_context(), app.url)
    finally:
        app.stop()
    assert seen["upload"] == 201
    assert seen["session"] == "live"
    assert len(seen["sid"]) > 80


@pytest.mark.parametrize("allowed", ["", "https://reports.example.com"])
def test_any_other_origin_sees_nothing(
    tmp_path: Path, origin: str, allowed: str, new_context: Callable[..., BrowserContext]
) -> None:
    app = Served(tmp_path, SILO_CORS_ORIGINS=allowed)
    try:
        assert call_from(origin, new_context(), app.url) == {"error": "TypeError"}
    finally:
        app.stop()
