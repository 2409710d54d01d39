"""Fixtures that every test may ask for.

They load what they need when they are asked for: the tests of the step need no app, and are there
in a moment.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import stand_in

if TYPE_CHECKING:
    from copied import Copy
    from flask import Flask
    from flask.testing import FlaskClient
    from servers.swift import Swift
    from servers.valkey import Valkey
    from support import Clock

WAITING = ("test_flow.py", "test_senders.py", "test_celery.py")
"""Whose tests take much time and little of a processor."""
LOG_CHARS = 4000
"""How much of a server's log a test that failed shows."""

for name in ("no_proxy", "NO_PROXY"):
    # Servers of the tests are here, whatever stands between this machine and others.
    os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Before tests of anything but the step, load the app, with the step that they know."""
    if isinstance(collector, pytest.Module) and collector.path.name != "test_pipeline.py":
        stand_in.load_app()
        take_time()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what mostly waits, while there is other work to be done beside it."""
    items.sort(key=lambda item: item.path.name not in WAITING)


def take_time() -> None:
    """Have no example of a property be too slow: that would tell of the machine."""
    from hypothesis import HealthCheck, settings

    slow = [HealthCheck.too_slow]
    settings.register_profile("untimed", settings(), deadline=None, suppress_health_check=slow)
    settings.load_profile("untimed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """How many processes `-n auto` is: one more than there are processors, as tests often wait.

    Each has servers and a browser of its own, for which a machine must have the memory.
    """
    return min((os.cpu_count() or 1) + 1, 6)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Give the processes for the tests the step that ships: each loads the app by itself."""
    stand_in.unload_path()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have a test that failed show the end of what its servers have logged."""
    report = yield
    folder: Path | None = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and folder:
        for path in sorted(folder.rglob("*.log")):
            said = path.read_text("utf-8", "replace")[-LOG_CHARS:]
            report.sections.append((f"{path.relative_to(folder)}", said))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """End the servers of the run: a process that takes long to end by itself is killed.

    Spare whoever tests the step alone a summary that says nothing, and loads Hypothesis.
    """
    plugins = session.config.pluginmanager
    if "hypothesis" not in sys.modules and plugins.has_plugin("hypothesispytest"):
        plugins.unregister(name="hypothesispytest")
    yield
    if servers := sys.modules.get("servers"):
        servers.of_the_run.close()


@pytest.fixture
def clock() -> Clock:
    """The time: `clock()` gives unix seconds, `clock.advance(60)` moves on by a minute."""
    from support import Clock

    return Clock()


@pytest.fixture
def app(tmp_path: Path, clock: Clock) -> Iterator[Flask]:
    """The app with its defaults, its data in a folder of the test, on the test's clock."""
    stand_in.load_app()
    from {{ cookiecutter.package_name }} import create_app

    app = create_app({"SILO_DATA_DIR": str(tmp_path / "instance")}, clock=clock)
    yield app
    app.extensions["silo"].stop()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Calls the app; it keeps no session id by itself, as a page must."""
    return app.test_client()


@pytest.fixture
def spreadsheet(tmp_path: Path) -> Callable[..., Path]:
    """`spreadsheet("a.xlsx", ["Region", "Amount"], ["North", 2])` is a csv, tsv or xlsx file."""

    def write(name: str, *rows: Sequence[Any]) -> Path:
        path = tmp_path / name
        if path.suffix == ".xlsx":
            from openpyxl import Workbook

            book = Workbook()
            for row in rows:
                book.worksheets[0].append(list(row))
            book.save(path)
        else:
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(rows)
        return path

    return write


@pytest.fixture
def samples() -> list[Path]:
    """The files that the page offers to whoever has none at hand."""
    folder = Path(import_module("{{ cookiecutter.package_name }}").__file__ or "").parent
    return sorted((folder / "static").glob("sample*"))


@pytest.fixture(scope="session")
def swift() -> Swift:
    """The run's S3 server; each test takes a prefix of its own in its bucket."""
    from servers.swift import shared

    return shared()


@pytest.fixture(scope="session")
def valkey() -> Valkey:
    """The run's server of records; each test takes a prefix or a database of its own."""
    from servers.valkey import shared

    return shared()


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    """A copy of the app, to be changed: `copy.change(name, text)`, `copy.serve("--reload")`."""
    from copied import Copy

    copy = Copy(tmp_path)
    yield copy
    copy.stop()
