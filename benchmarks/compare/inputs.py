"""The files that all work on: rows by a seed, so that everybody has the same at any time."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from openpyxl import Workbook

SEED = 8
HEADER = ("Order", "Date", "Region", "Product", "Quantity", "Price", "Paid", "Remark")
REGIONS = 30
PRODUCTS = 900
IN_MEMORY = 100_000
"""Rows; more would take gigabytes."""
FIRST_DAY = datetime(2023, 1, 1)  # noqa: DTZ001  # a workbook knows no zones


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    """An integer, a date, a category of 30 values, a text, two numbers, a boolean, a rare text."""
    chance = random.Random(SEED)
    for number in range(count):
        yield (
            100_000 + number,
            FIRST_DAY + timedelta(days=chance.randrange(900)),
            f"Region {chance.randrange(REGIONS):02}",
            f"Product {chance.randrange(PRODUCTS):04}",
            chance.randrange(1, 500),
            round(chance.uniform(1, 900), 2),
            chance.random() < 0.7,
            f"Remark {number}" if chance.random() < 0.2 else None,
        )


def workbook(folder: Path, count: int) -> Path:
    """A workbook of so many rows, made if it is not there."""
    path = folder / f"{count}-{SEED}.xlsx"
    if not path.exists():
        # With all in memory it says how many rows there are, as Excel does.
        book = Workbook(write_only=count > IN_MEMORY)
        sheet = book.create_sheet("Orders", 0)
        for other in book.worksheets[1:]:
            book.remove(other)
        sheet.append(HEADER)
        for row in rows(count):
            sheet.append(row)
        book.save(path)
    return path


def text(folder: Path, count: int) -> Path:
    """The same as csv."""
    path = folder / f"{count}-{SEED}.csv"
    if not path.exists():
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            writer.writerows(
                (row[0], row[1].date(), *row[2:6], str(row[6]).lower(), row[7])
                for row in rows(count)
            )
    return path


def bulk(folder: Path, megabytes: int) -> Path:
    """A csv file of so many megabytes, to be sent and not read."""
    path = folder / f"{megabytes}MB.csv"
    line = b"North,Widget,2024-03-01,12345.67,an ordinary remark\n"
    if not path.exists():
        path.write_bytes(line * (megabytes * 10**6 // len(line)))
    return path
