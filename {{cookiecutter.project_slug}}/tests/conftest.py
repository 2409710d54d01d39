"""Fixtures that every test may ask for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import stand_in
from flask import Flask
from flask.testing import FlaskClient
from openpyxl import Workbook
from support import Clock

from {{ cookiecutter.package_name }} import create_app

stand_in.load_app()


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


@pytest.fixture
def spreadsheet(tmp_path: Path) -> Callable[..., Path]:
    """`spreadsheet("a.xlsx", ["Region", "Amount"], ["North", 2])` is a csv, tsv or xlsx file."""

    def write(name: str, *rows: Sequence[Any]) -> Path:
        path = tmp_path / name
        if path.suffix == ".xlsx":
            book = Workbook()
            for row in rows:
                book.worksheets[0].append(list(row))
            book.save(path)
        else:
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(rows)
        return path

    return write
