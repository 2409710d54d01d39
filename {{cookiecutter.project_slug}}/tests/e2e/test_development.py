"""What the page shows to whoever writes the step, and to nobody else."""

from __future__ import annotations

import re
import sys

import pytest
from copied import FAILING, STEP, Copy
from playwright.sync_api import expect
from support import eventually
from test_reload import answered

from .conftest import Arrives

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs a Unix")


def test_a_traceback_and_then_a_step_that_cannot_be_loaded(copy: Copy, arrives: Arrives) -> None:
    copy.change("pipeline.py", FAILING)
    server = copy.serve("--reload")
    eventually(server.is_ready)
    visitor = arrives(f"http://127.0.0.1:{server.port}/")
    visitor.loses_server = True
    visitor.upload()
    visitor.press("Make the report")
    visitor.sees("failed")
    trace = visitor.page.get_by_label("Traceback")
    expect(trace).to_contain_text(re.compile("in process.*ValueError: <b>in a step</b>", re.S))
    visitor.open()
    visitor.sees("failed")
    expect(trace).to_be_visible()
    copy.change("pipeline.py", "x = <b>")
    eventually(lambda: "starts again when a file is saved" in server.log)
    visitor.press("Make the report")
    expect(visitor.page.get_by_label("Why the server")).to_contain_text("pipeline.py, line 1: ")
    copy.change("pipeline.py", STEP)
    visitor.sees("done")
    expect(visitor.page.get_by_label("Why the server")).to_be_hidden()
    expect(trace).to_be_hidden()


def test_what_was_wrong_before_is_not_said_when_the_server_is_back(
    copy: Copy, arrives: Arrives
) -> None:
    server = copy.serve("--reload")
    eventually(server.is_ready)
    visitor = arrives(f"http://127.0.0.1:{server.port}/")
    visitor.loses_server = True
    late = visitor.holds("**/api/status")
    told = "up => document.dispatchEvent(new CustomEvent('silo:connection', { detail: { up } }))"
    for up in (False, True):
        visitor.page.evaluate(told, up)
    visitor.hears(late(), status=503, json={"detail": "It cannot be loaded."})
    expect(visitor.page.locator("pre[aria-label^='Why the server']")).to_be_hidden()


def test_a_page_that_is_opened_too_early_comes_by_itself(copy: Copy, arrives: Arrives) -> None:
    copy.change("pipeline.py", "import no_such_module")
    server = copy.serve("--reload")
    eventually(lambda: "starts again when a file is saved" in server.log)
    eventually(lambda: answered(server, "/"))
    visitor = arrives(f"http://127.0.0.1:{server.port}/")
    visitor.loses_server = True
    visitor.reads("pipeline.py, line 1: It cannot be loaded: ModuleNotFoundError")
    copy.change("pipeline.py", STEP)
    visitor.sees("empty")
