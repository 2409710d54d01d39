"""A thousand people watch something live: how many have news, and does anything else still answer?

News is there every two seconds. A peer whose documentation has no live news is watched in two ways:
by a stream as Flask's documentation has it, and by asking every two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from .. import environments as env
from .. import watchers as ways
from ..asker import asking, told
from ..clients import Gradio
from ..sizes import Sizes
from ..subjects import Command, Served, Subject, served

FRESH = 3.0
WARM = 4.0
"""Seconds until everybody is there and has heard something."""
WAYS: dict[str, dict[str, type[ways.Watcher]]] = {
    "ours": {"stream": ways.Ours},
    "flask_silo": {"stream": ways.Streams, "asking": ways.Asks},
    "gradio": {"queue": ways.Gradio},
    "streamlit": {"script": ways.Streamlit},
    "fastapi": {"stream": ways.Streams},
    "celery": {"stream": ways.Streams, "asking": ways.AsksForJob},
}


def our_streams(port: int, _: int | None) -> Sequence[Command]:
    """The app as it serves itself, with one route more: a stream of any name."""
    return [[env.python("ours"), env.BENCHMARKS / "streams.py", "--serve", str(port)]]


def watching(subject: Subject, sizes: Sizes) -> dict[str, dict[str, Any]]:
    """What came of each way of watching."""
    allow_files()
    if subject.environment == "ours":
        subject = replace(subject, commands=our_streams)
    found = {}
    for name, way in WAYS[subject.environment].items():
        with served(subject) as running, published(running, sizes):
            found[name] = asyncio.run(measured(running, way, sizes))
    return found


async def measured(running: Served, way: type[ways.Watcher], sizes: Sizes) -> dict[str, Any]:
    if way is ways.Gradio:
        ways.Gradio.functions = {running.port: Gradio(running.port).number("watch")}
    everybody = await ways.watch(way, running.port, sizes.watchers, WARM, 0)
    with asking(running.port, running.subject.light) as end:
        await asyncio.sleep(sizes.watch_seconds)
        now = time.monotonic()
        fresh = sum(now - each.last < FRESH for each in everybody)
        light = await asyncio.to_thread(end)
    for each in everybody:
        each.close()
    figures = {f"light {name}": figure for name, figure in told(light).items()}
    return {f"of {sizes.watchers:,} with news": fresh, **figures}


@contextlib.contextmanager
def published(running: Served, sizes: Sizes) -> Iterator[None]:
    """For ours, another process that publishes into each stream every two seconds."""
    if running.subject.environment != "ours":
        yield
        return
    store = f"sqlite:///{running.processes.folder}/data/silo.db"
    seconds = WARM + sizes.watch_seconds + 60
    code = f"from streams import publish; publish({store!r}, {sizes.watchers}, {seconds})"
    process = subprocess.Popen(
        [env.python("ours"), "-c", code],
        cwd=running.processes.folder,
        env=running.processes.environment,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def allow_files() -> None:
    """As many open files as this process may allow itself and its children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
