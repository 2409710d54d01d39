"""Fixtures that every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from stand_in import while_loading
from support import Clock

with while_loading():
    from {{ cookiecutter.package_name }} import create_app


@pytest.fixture
def clock() -> Clock:
    """The time: `clock()` gives unix seconds, `clock.advance(60)` moves on by a minute."""
    return Clock()


@pytest.fixture
def app(tmp_path: Path, clock: Clock) -> Iterator[Flask]:
    """The app with its defaults, its data in a folder of the test, on the test's clock."""
    app = create_app({"SILO_DATA_DIR": str(tmp_path / "instance")}, clock=clock)
    yield app
    app.extensions["silo"].stop()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Calls the app; it keeps no session id by itself, as a page must."""
    return app.test_client()
