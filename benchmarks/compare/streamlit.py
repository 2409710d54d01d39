"""Streamlit's page as a client: a WebSocket, over which its script runs again at each change.

The messages are Streamlit's own protocol buffers, out of its environment.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .clients import Client
from .environments import site_packages
from .websocket import WebSocket
from .wire import SECONDS, RefusedError

STREAM = "/_stcore/stream"
HEALTH = "/_stcore/health"
XSRF = "_streamlit_xsrf"


def messages() -> Any:
    """The modules of Streamlit's messages: BackMsg goes to the server, ForwardMsg comes."""
    if str(site_packages("streamlit")) not in sys.path:
        sys.path.append(str(site_packages("streamlit")))
    from streamlit.proto import BackMsg_pb2, ForwardMsg_pb2  # type: ignore[import-not-found]

    return BackMsg_pb2.BackMsg, ForwardMsg_pb2.ForwardMsg


def run_script(query: str = "") -> bytes:
    """What asks for the first run of the script."""
    back, _ = messages()
    message = back()
    message.rerun_script.query_string = query
    return bytes(message.SerializeToString())


class Streamlit(Client):
    """The session is the connection's."""

    _session: str

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._back, self._forward = messages()
        self._open(port)

    def upload(self, file: Path) -> None:
        message = self._back()
        message.file_urls_request.request_id = "1"
        message.file_urls_request.session_id = self._session
        message.file_urls_request.file_names.append(file.name)
        self._socket.send(message.SerializeToString())
        urls = self._until("file_urls_response").file_urls_response.file_urls[0]
        self.wire.headers["X-Xsrftoken"] = self.wire.cookies[XSRF]
        self.wire.send_form("PUT", urls.upload_url, file)
        self._uploaded = (file, urls)

    def start(self) -> None:
        file, urls = self._uploaded
        message = self._rerun()
        state = message.rerun_script.widget_states.widgets.add(id=self._widgets["file_uploader"])
        uploaded = state.file_uploader_state_value.uploaded_file_info.add()
        uploaded.file_id, uploaded.name = urls.file_id, file.name
        uploaded.size = file.stat().st_size
        uploaded.file_urls.CopyFrom(urls)
        self._socket.send(message.SerializeToString())
        self._link = ""

    def progress(self) -> tuple[float, str]:
        """Waits for the next news."""
        message = self._receive()
        if message.WhichOneof("type") == "script_finished":
            return (100.0, "complete") if self._link else (0.0, "blank page")
        element = message.delta.new_element
        return element.progress.value if element.HasField("progress") else 0.0, "running"

    def wait(self) -> None:
        while (word := self.progress()[1]) != "complete":
            if word == "blank page":
                raise RefusedError(word)

    def fetch(self) -> bytes:
        return self.wire.call("GET", self._link).body

    def increment(self) -> int:
        message = self._rerun()
        states = message.rerun_script.widget_states.widgets
        states.add(id=self._widgets["button"], trigger_value=True)
        self._socket.send(message.SerializeToString())
        self._finish()
        return self._count

    def again(self, port: int) -> None:
        """Load the page again, which begins a session."""
        super().again(port)
        with contextlib.suppress(OSError):
            self._socket.close()
        self._open(port)
        self._socket.send(run_script())

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _open(self, port: int) -> None:
        self.wire.call("GET", HEALTH)
        cookie = f"{XSRF}={self.wire.cookies[XSRF]}"
        protocol = f"streamlit, {self.wire.cookies[XSRF]}"
        self._socket = WebSocket(port, STREAM, protocol, cookie, SECONDS)
        self._widgets: dict[str, str] = {}
        self._count, self._link = 0, ""
        self._session = ""
        self._socket.send(run_script())
        self._finish()

    def _rerun(self) -> Any:
        message = self._back()
        message.rerun_script.query_string = ""
        return message

    def _finish(self) -> None:
        self._until("script_finished")

    def _until(self, kind: str) -> Any:
        return next(each for each in self._messages() if each.WhichOneof("type") == kind)

    def _messages(self) -> Iterator[Any]:
        while True:
            yield self._receive()

    def _receive(self) -> Any:
        message = self._forward()
        message.ParseFromString(self._socket.receive())
        if message.HasField("new_session"):
            self._session = message.new_session.initialize.session_id
        if message.HasField("delta"):
            self._note(message.delta.new_element)
        return message

    def _note(self, element: Any) -> None:
        kind = element.WhichOneof("type")
        if kind in ("button", "file_uploader"):
            self._widgets[kind] = getattr(element, kind).id
        elif kind == "download_button":
            self._link = element.download_button.url
        elif kind == "markdown" and element.markdown.body.startswith("Count: "):
            self._count = int(element.markdown.body.removeprefix("Count: "))
