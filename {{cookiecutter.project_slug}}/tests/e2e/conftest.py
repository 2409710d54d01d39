"""Servers, browsers, and visitors who complain about everything the browser complains about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import programs
import pytest
from playwright.sync_api import BrowserContext, Playwright, expect
from servers.ports import free_port
from stand_in import shipped_path
from support import Gate

from {{ cookiecutter.package_name }} import cli

from .desk import Desk
from .visitor import PATIENCE_SECONDS, Visitor

Arrives = Callable[..., Visitor]
SERVERS = {
    *("bucketed", "desk", "served", "shipped"),
    *("restarting", "forgetful", "copy", "stacked"),
}
START_SECONDS = 120
PATIENCE = PATIENCE_SECONDS * 1000
"""Milliseconds that a busy machine may take for what takes none elsewhere."""

expect.set_options(timeout=PATIENCE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="DIR", help="Write the README's screenshots there.")


@pytest.fixture(scope="session")
def base_url() -> None:
    """No page is the base of all: each test has its own server. The plugin's own fixture warns."""


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, Any], browser_name: str, playwright: Playwright
) -> dict[str, Any]:
    if browser_name != "chromium":
        return browser_type_launch_args
    quiet = ["disable-background-networking", "disable-component-update", "disable-gpu"]
    quiet += ["disable-quic", "disable-sync", "no-first-run"]
    quiet += ["no-sandbox"] if programs.is_root() else []
    given = browser_type_launch_args
    window = "PWDEBUG" in os.environ or not given.get("headless", True)
    path = given.get("executable_path") or programs.find_chromium(playwright, window)
    if path is None:
        pytest.fail(programs.NONE)
    # Without the path of its own, Playwright starts the one that has no windows.
    found = {} if path == playwright.chromium.executable_path else {"executable_path": path}
    args = [*given.get("args", []), *(f"--{flag}" for flag in quiet)]
    return {**found, **given, "args": args}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "locale": "en-US"}


@pytest.fixture
def arrives(
    request: pytest.FixtureRequest, new_context: Callable[..., BrowserContext]
) -> Iterator[Arrives]:
    """`arrives(url)` is a visitor with their own browser; `arrives(url, context)` is a new tab."""
    for server in SERVERS & set(request.fixturenames):
        request.getfixturevalue(server)  # made before the visitors, it outlives them
    visitors: list[Visitor] = []

    def arrive(url: str, context: BrowserContext | None = None, **options: Any) -> Visitor:
        visitor = Visitor((context or new_context(**options)).new_page(), url)
        visitor.page.set_default_timeout(PATIENCE)
        visitors.append(visitor)
        return visitor.open()

    yield arrive
    for visitor in visitors:
        visitor.check()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk(tmp_path, monkeypatch)
    yield desk
    desk.stop()


@pytest.fixture
def visitor(arrives: Arrives, desk: Desk) -> Visitor:
    return arrives(desk.url)


class Served:
    """The app as `serve` runs it: processes of its own, on a port that stays the same."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self._environment = {**os.environ, "SILO_DATA_DIR": str(folder), **settings}
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        command = [sys.executable, "-m", cli.__name__, "serve"]
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port)], env=self._environment, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, "the server ended by itself"
            assert time.monotonic() < deadline, "the server did not start"

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            time.sleep(0.05)
            return False

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("served"))
    yield served
    served.stop()


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[Served]:
    """A server with the app's own step, where all others have the one that the tests know."""
    served = Served(tmp_path, PYTHONPATH=shipped_path())
    yield served
    served.stop()


@pytest.fixture
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """That of the servers which only one test has."""
    return Gate(tmp_path_factory.mktemp("gate") / "shut")


@pytest.fixture
def restarting(tmp_path: Path, gate: Gate) -> Iterator[Served]:
    """A server of this test alone, to be stopped and started again."""
    served = Served(tmp_path, TESTS_GATE=str(gate.path))
    yield served
    served.stop()


@pytest.fixture
def forgetful(tmp_path: Path, gate: Gate) -> Iterator[Served]:
    """A server whose sessions and jobs are gone after a restart."""
    served = Served(tmp_path, SILO_STORE_URL="memory://", TESTS_GATE=str(gate.path))
    yield served
    served.stop()
