"""Many who watch at the same time, each over a connection of their own, all held by one process."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence

from .streamlit import STREAM, run_script
from .websocket import frame, request

POLL = 2.0
"""Seconds between two questions of a page that has no stream."""
OPEN_SECONDS = 10.0
TOGETHER = 50
"""How many connections are opened at a time."""


class Watcher:
    """One person: when they last had news. Each way of watching says what counts as news."""

    def __init__(self, port: int, number: int) -> None:
        self.port, self.number = port, number
        self.last = 0.0
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to watch; who is not let in simply has no news."""
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)

    def close(self) -> None:
        if self._task:
            self._task.cancel()

    async def news(self) -> AsyncIterator[None]:
        raise NotImplementedError
        yield

    async def _watch(self) -> None:
        try:
            async for _ in self.news():
                self.last = time.monotonic()
        except (OSError, asyncio.IncompleteReadError):
            pass

    async def _call(
        self, head: str, body: bytes = b""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Make a call; the connection, with its answer's head read."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{head}\r\nHost: localhost:{self.port}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in answer.partition(b"\r\n")[0]:
            raise ConnectionError(answer.decode())
        return reader, writer


class Streams(Watcher):
    """An event stream, of which each event counts."""

    def path(self) -> str:
        return "/watch"

    def counts(self, line: bytes) -> bool:
        return line.startswith(b"data: ")

    async def news(self) -> AsyncIterator[None]:
        reader, _writer = await self._call(f"GET {self.path()} HTTP/1.1")
        while line := await reader.readline():
            if self.counts(line):
                yield


class Ours(Streams):
    """A named stream each, into which another process publishes."""

    def path(self) -> str:
        return f"/watch/{self.number}"


class Gradio(Streams):
    """Joins the queue for a function that yields; a place in the queue is no news."""

    functions: dict[int, int]
    """Of each port, the number of the function."""

    def counts(self, line: bytes) -> bool:
        return b'"process_generating"' in line

    async def news(self) -> AsyncIterator[None]:
        self._session = secrets.token_hex(6)
        call = {"data": [], "fn_index": self.functions[self.port], "session_hash": self._session}
        body = json.dumps(call).encode()
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
        join = f"POST /gradio_api/queue/join HTTP/1.1\r\nConnection: close\r\n{kind}"
        _, writer = await self._call(join, body)
        writer.close()
        async for each in super().news():
            yield each

    def path(self) -> str:
        return f"/gradio_api/queue/data?session_hash={self._session}"


class Asks(Watcher):
    """Asks every two seconds, over a new connection: servers close one that waits so long."""

    question = "/api/progress"

    async def news(self) -> AsyncIterator[None]:
        await asyncio.sleep(POLL * (self.number % 100) / 100)
        sid = f"X-Session-ID: {secrets.token_hex(16)}"
        ask = f"GET {self.question} HTTP/1.1\r\nConnection: close\r\n{sid}"
        while True:
            reader, writer = await self._call(ask)
            if await reader.read():
                yield
            writer.close()
            await asyncio.sleep(POLL)


class AsksForJob(Asks):
    question = "/jobs/of-somebody"


class Streamlit(Watcher):
    """A session whose script writes every two seconds; each message counts."""

    async def news(self) -> AsyncIterator[None]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request(self.port, STREAM, "streamlit"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(run_script("watch=1")))
        while data := await reader.read(2**16):
            if data[0] & 0x0F != 9:  # a ping
                yield


async def watch(
    kind: type[Watcher], port: int, count: int, warm: float, seconds: float
) -> Sequence[Watcher]:
    """So many watchers after so many seconds, still open."""
    watchers = [kind(port, number) for number in range(count)]
    for start in range(0, count, TOGETHER):
        await asyncio.gather(*(each.open() for each in watchers[start : start + TOGETHER]))
        await asyncio.sleep(0.05)
    await asyncio.sleep(warm + seconds)
    return watchers
