"""The journey with files in a bucket: the page gets the report from there, and nobody notices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openpyxl import load_workbook
from servers.swift import Swift

from .conftest import Arrives, Served
from .visitor import csv


@pytest.fixture
def bucketed(tmp_path: Path, swift: Swift) -> Iterator[Served]:
    """A server whose reports go straight from the bucket to the browser."""
    served = Served(
        tmp_path / "data",
        SILO_FILES_URL=f"s3://{swift.bucket}/{tmp_path.name}",
        SILO_FILES_ENDPOINT=swift.endpoint,
        SILO_FILES_LINKS="true",
    )
    yield served
    served.stop()


def test_from_a_file_to_a_report_out_of_a_bucket(
    arrives: Arrives, bucketed: Served, swift: Swift, tmp_path: Path
) -> None:
    visitor = arrives(bucketed.url)
    visitor.elsewhere = (swift.endpoint,)
    visitor.choose(csv(rows=200_000))
    visitor.press("Make the report")
    visitor.sees("done")
    download = visitor.download()
    assert download.url.startswith(swift.endpoint)
    assert download.suggested_filename.endswith(" report.xlsx")
    download.save_as(tmp_path / "report.xlsx")
    assert load_workbook(tmp_path / "report.xlsx").sheetnames[0] == "Summary"
