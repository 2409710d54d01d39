"""csv and tsv: read twice, first to learn what the columns hold, then for the values.

Reading twice costs time and saves memory: a file of a million rows never stands in memory as text.
Every carriage return, line feed, or pair of them ends a line. A row shorter than the others is
filled up with blanks; a longer one adds columns.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice, zip_longest
from os import PathLike
from pathlib import Path, PurePath
from typing import TextIO

from ..step import UserError
from ..values import Cell
from . import delimiters, encodings, limits
from .layout import SEARCH, blank_rows, find_header, titles, unique_names
from .model import Sheet, Workbook
from .progress import Fraction, part
from .survey import count
from .values import Cache, classify, converter, decimal_mark

_SAMPLE = 256 * 1024
_BATCH = 1_000
_BATCH_CELLS = 64_000
"""Rows, and cells, that stand in memory as text at a time."""
_MARK = "\ufeff"
"""A byte order mark; the first is the encoding's, but files joined by programs have a second."""
_END = "\x1a"
"""Control-Z, with which old programs end a text file."""

Record = list[str]


class Unpaired(Exception):
    """A quotation mark without its partner, or with something behind it that does not belong."""


@dataclass
class Source:
    """A file as records of text; blank records are left out and counted."""

    path: PathLike[str]
    name: str
    encoding: str
    delimiter: str
    declared: bool
    """Whether the first line only declares the delimiter."""
    quotes: str = "strict"
    """`strict`; `loose`, where text may follow a closing mark; `none`, where marks mean nothing."""
    blank: int = 0
    zeros: int = 0

    def records(self, progress: Fraction) -> Iterator[Record]:
        """Every record that holds anything. Raises `Unpaired` or `UserError`."""
        self.blank = self.zeros = pending = 0
        seen = False
        with self._open() as file:
            reader = csv.reader(
                self._lines(file, progress),
                delimiter=self.delimiter,
                quoting=csv.QUOTE_NONE if self.quotes == "none" else csv.QUOTE_MINIMAL,
                strict=self.quotes == "strict",
            )
            try:
                for record in reader:
                    if any(map(str.strip, record)):
                        self.blank, pending, seen = self.blank + pending, 0, True
                        yield record
                    else:
                        pending += seen
            except csv.Error as error:
                raise self._problem(error, reader.line_num) from error

    def _open(self) -> TextIO:
        return Path(self.path).open(encoding=self.encoding, newline="")

    def _lines(self, file: TextIO, progress: Fraction) -> Iterator[str]:
        size = max(1, Path(self.path).stat().st_size)
        for number, line in enumerate(file):
            if number == 0:
                if self.declared:
                    continue
                line = line.lstrip(_MARK)
            if number % 5_000 == 0:
                progress(file.buffer.tell() / size)
            if "\0" in line:
                self.zeros += line.count("\0")
                yield line.replace("\0", "")
            elif line != _END:
                yield line

    def _problem(self, error: csv.Error, line: int) -> Exception:
        if "field limit" in str(error):
            return UserError(
                f"{self.name} has a cell of more than {limits.MAX_TEXT:,} characters near line "
                f"{line:,}, which is more than can be read. A quotation mark may be missing."
            )
        return Unpaired("none" if "end of data" in str(error) else "loose")


@dataclass
class Plan:
    """What the first reading learns."""

    titles: list[Record] = field(default_factory=list)
    header: Record | None = None
    rows: int = 0
    tallies: list[Counter[Cell]] = field(default_factory=list)

    @property
    def before(self) -> int:
        """Records before the first row."""
        return len(self.titles) + (self.header is not None)


def read(path: PathLike[str], name: str, suffix: str, progress: Fraction) -> Workbook:
    """Read a text file as one sheet. Raises `UserError`."""
    choice = encodings.choose(path, name)
    with _field_limit():
        source = _source(path, name, suffix, choice.encoding)
        source, plan = _learn(source, part(progress, 0, 0.5))
        sheet = _sheet(source, plan, part(progress, 0.5, 1))
    progress(1.0)
    return Workbook([sheet], choice.told)


@contextmanager
def _field_limit() -> Iterator[None]:
    """The csv module keeps one limit for all its readers."""
    before = csv.field_size_limit(limits.MAX_TEXT)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _source(path: PathLike[str], name: str, suffix: str, encoding: str) -> Source:
    with Path(path).open(encoding=encoding, newline="") as file:
        sample = StringIO(file.read(_SAMPLE).replace("\0", ""), newline="")
    lines = list(sample)
    lines[:1] = [line.lstrip(_MARK) for line in lines[:1]]
    if sample.tell() >= _SAMPLE:
        lines = lines[:-1] or lines  # the last is cut off
    declared = delimiters.declared(lines[0]) if lines else None
    delimiter = declared or delimiters.choose(lines, suffix)
    return Source(path, name, encoding, delimiter, declared is not None)


def _learn(source: Source, progress: Fraction) -> tuple[Source, Plan]:
    try:
        return source, _plan(source, progress)
    except Unpaired as error:
        source.quotes = str(error)
        return source, _plan(source, progress)


def _plan(source: Source, progress: Fraction) -> Plan:
    """Find the header and count the kinds of cells in each column."""
    records = source.records(progress)
    first = list(islice(records, SEARCH))
    if not first:
        raise UserError(f"{source.name} holds no data.")
    plan, batch = _header(first)
    kinds = Cache(classify)
    _count(plan, batch, kinds, source.name)
    widest = max(map(len, first))
    while batch := _batch(records, max(widest, len(plan.tallies))):
        _count(plan, batch, kinds, source.name)
    return plan


def _batch(records: Iterator[Record], width: int) -> list[Record]:
    """The next records, fewer at a time where they are wide."""
    return list(islice(records, max(1, min(_BATCH, _BATCH_CELLS // width))))


def _count(plan: Plan, batch: list[Record], kinds: Cache, name: str) -> None:
    """Count the kinds of cells of more rows; refuse them beyond the budget."""
    plan.rows += len(batch)
    width = max(map(len, batch), default=0)
    _check_budget(name, plan.rows, max(width, len(plan.tallies)))
    plan.tallies += [Counter() for _ in range(width - len(plan.tallies))]
    for tally, column in zip(plan.tallies, zip_longest(*batch, fillvalue=""), strict=False):
        tally.update(map(kinds.__getitem__, column))


def _header(first: list[Record]) -> tuple[Plan, list[Record]]:
    """Set the titles and the header apart from the first rows."""
    cells: list[list[Cell]] = [[text if text.strip() else None for text in row] for row in first]
    at, named = find_header(cells, lambda row: any(classify(str(c or "")) == "text" for c in row))
    plan = Plan(titles=first[:at], header=first[at] if named else None)
    return plan, first[plan.before :]


def _check_budget(name: str, rows: int, columns: int) -> None:
    if columns > limits.MAX_COLUMNS or rows > limits.MAX_ROWS:
        raise UserError(
            f"{name} has more than {limits.MAX_ROWS:,} rows or {limits.MAX_COLUMNS:,} columns, "
            "which is more than can be read. Split it into smaller files."
        )
    if rows * columns > limits.MAX_TEXT_CELLS:
        raise UserError(
            f"{name} has more than {limits.MAX_TEXT_CELLS:,} cells, which is more than can be "
            "read. Split it into smaller files."
        )


def _sheet(source: Source, plan: Plan, progress: Fraction) -> Sheet:
    header = plan.header or []
    width = max(len(header), len(plan.tallies))
    header = header + [""] * (width - len(header))
    tallies = plan.tallies + [Counter()] * (width - len(plan.tallies))
    used = [
        c for c in range(width) if header[c].strip() or tallies[c].total() > tallies[c]["blank"]
    ]
    mark = decimal_mark(tallies)
    caches = [Cache(converter(tallies[c], source.delimiter, mark), len(used)) for c in used]
    rows: list[list[Cell]] = []
    records = islice(source.records(progress), plan.before, None)
    while batch := _batch(records, width):
        columns = [*zip_longest(*batch, fillvalue="")]
        columns += [("",) * len(batch)] * (width - len(columns))
        cells = [map(cache.__getitem__, columns[c]) for c, cache in zip(used, caches, strict=True)]
        rows += map(list, zip(*cells, strict=True))
    names = unique_names([header[c] for c in used], [c + 1 for c in used])
    return Sheet(
        source.name, PurePath(source.name).stem, names, rows, _told(source, plan), hidden=False
    )


def _told(source: Source, plan: Plan) -> list[str]:
    told = titles([[text if text.strip() else None for text in row] for row in plan.titles])
    told += blank_rows(source.blank)
    if source.zeros:
        told.append(count(source.zeros, "NUL character was", "NUL characters were") + " removed.")
    if source.quotes == "none":
        told.append(
            "A quotation mark has no partner: all of them were read as ordinary characters."
        )
    elif source.quotes == "loose":
        told.append("Some cells have text behind their closing quotation mark: marks were removed.")
    return told
