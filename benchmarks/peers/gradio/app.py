"""Gradio: a file in, a file out, with its progress bar and its queue as they are by default."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from job import make_report


def work(path: str, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008  # Gradio's way
    target = Path(tempfile.mkdtemp()) / "report.xlsx"
    make_report(Path(path), target, lambda done, what: progress(done / 100, desc=what))
    return str(target)


def increment(count: int) -> tuple[int, int]:
    return count + 1, count + 1


async def watch() -> AsyncIterator[str]:
    """News every two seconds."""
    while True:
        yield str(time.time())
        await asyncio.sleep(2)


def light() -> str:
    return "ok"


with gr.Blocks() as demo:
    file = gr.File(label="Workbook")
    start = gr.Button("Make the report")
    report = gr.File(label="Report")
    start.click(work, file, report, api_name="work")
    count, shown = gr.State(0), gr.Number(label="Count")
    gr.Button("Count").click(increment, count, [shown, count], api_name="increment", queue=False)
    gr.Button("Watch").click(watch, None, gr.Textbox(label="News"), api_name="watch")
    gr.api(light, api_name="light", queue=False)

if __name__ == "__main__":
    demo.launch()
else:  # for more than one worker, which `launch` has not
    app = gr.mount_gradio_app(FastAPI(), demo, path="/")
