"""What people see who do something too often: the sentence, and the page as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .conftest import Arrives, Served
from .visitor import csv


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Served]:
    """A server that lets one person in, who may fetch their report once."""
    served = Served(tmp_path, SILO_LIMIT_SESSIONS="1/hour", SILO_LIMIT_DOWNLOADS="1/hour")
    yield served
    served.stop()


def test_s38_one_time_too_many_is_said_and_not_waited_for(strict: Served, arrives: Arrives) -> None:
    first, second = arrives(strict.url), arrives(strict.url)
    first.make()
    first.press("Download the workbook")
    first.reads(re.compile(r"You download too often\. Try again in \d\d minutes\."))
    first.sees("done")
    second.choose(csv())
    second.reads(re.compile(r"Too many people begin where you are\. Try again in \d\d minutes\."))
    second.sees("empty")
    for each in (first, second):
        expect(each.page.locator("#connection")).to_be_empty()
    assert len(second.calls(["api/uploads"])) == 1
