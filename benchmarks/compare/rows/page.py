"""What the first load of the page takes, in a browser that has nothing of it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Playwright, sync_playwright

from ..processes import CannotRunError, NotApplicableError
from ..sizes import Sizes
from ..subjects import Subject, served

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = 1.0
"""Seconds without a new request after which the page has loaded."""
LONGEST = 30.0
NOTE_CONTROL = """
const found = () => document.querySelector('input[type=file]');
const note = () => { if (found() && !window.controlAt) window.controlAt = performance.now(); };
new MutationObserver(note).observe(document, {childList: true, subtree: true, attributes: true});
"""
THERE = """() => window.controlAt && Math.max(window.controlAt,
  performance.getEntriesByType('navigation')[0].domContentLoadedEventStart)"""
"""Scripts that a page has deferred have run by then, so that the control does something."""


def browser(playwright: Playwright) -> str:
    own = playwright.chromium.executable_path
    path = own if Path(own).exists() else next(filter(None, map(shutil.which, NAMES)), None)
    if not path:
        raise CannotRunError("there is no Chromium. Install one: playwright install chromium")
    return path


def first_load(subject: Subject, _: Sizes) -> dict[str, Any]:
    """Requests, kilobytes over the wire with their heads, seconds until the upload control works.

    What goes over WebSockets is not counted.
    """
    if not subject.page:
        raise NotApplicableError("it has no page")
    with served(subject) as running, sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        path = browser(playwright)
        with playwright.chromium.launch(executable_path=path, args=options) as chromium:
            load(chromium, running.port, subject.page)  # the browser and the server warm up
            return load(chromium, running.port, subject.page)


def load(chromium: Any, port: int, path: str) -> dict[str, Any]:
    context = chromium.new_context()
    page = context.new_page()
    wire = context.new_cdp_session(page)
    sizes: list[float] = []
    asked: list[float] = []
    wire.on("Network.requestWillBeSent", lambda _: asked.append(time.monotonic()))
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    wire.send("Network.enable")
    page.add_init_script(NOTE_CONTROL)
    page.goto(f"http://127.0.0.1:{port}{path}", wait_until="commit")
    page.wait_for_selector("input[type=file]", state="attached")
    began = time.monotonic()
    while time.monotonic() - max(asked) < QUIET and time.monotonic() - began < LONGEST:
        page.wait_for_timeout(50)
    there = page.evaluate(THERE)
    context.close()
    return {
        "requests": len(asked),
        "KB": round(sum(sizes) / 1000, 1),
        "upload control (s)": round(there / 1000, 3),
    }
