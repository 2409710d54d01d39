"""The processing step. This file is yours: change it, and nothing else has to change with it.

The step that ships merges tables: columns of one name become one, in whatever order and letter case
they come. It trims, reads dates and numbers, drops what stands there twice, and says what became of
the rows of every sheet.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .bar import Bar
from .report import MAX_COLUMNS, MAX_ROWS, Attachment, Cell, Column, Figure, Kind, Report, Table
from .step import Accepts, ColumnName, InputFile, Progress, UserError
from .tables import Sheet, read
from .tables.values import classify, converter

ACCEPTS = Accepts()
"""Which files, and how many: here every table that can be read, one alone to clean it."""

Row = Sequence[Cell]
KINDS: dict[frozenset[type], Kind] = {
    frozenset({int}): "integer",
    frozenset({float}): "number",
    frozenset({int, float}): "number",
    frozenset({bool}): "boolean",
    frozenset({date}): "date",
    frozenset({datetime}): "datetime",
    frozenset({date, datetime}): "datetime",
}
DAY = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})", re.ASCII)


class Options(BaseModel):
    """What the person chooses before processing."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    key: ColumnName = Field(
        default="",
        title="Key column",
        description="Rows with the same key are one row. Leave empty to compare whole rows.",
    )
    keep: Literal["first", "last"] = Field(
        default="first", title="Keep", description="Which of the rows with the same key stays."
    )
    dates: Literal["day first", "month first"] = Field(
        default="day first", title="Dates", description="How to read 3/4/2025."
    )


def process(inputs: Sequence[InputFile], options: Options, progress: Progress) -> Report:
    """Merge all sheets into one clean table, and count what was dropped of each.

    A file that cannot be read is named in the warnings, and the others are merged. Raises
    `UserError` if nothing can be read, or if no sheet has the key column.
    """
    warnings: list[str] = []
    *reading, cleaning = Bar(progress).split(len(inputs) + 1)
    sheets: list[Sheet] = []
    for file, bar in zip(inputs, reading, strict=True):
        sheets += read_sheets(file, bar, warnings)
    if not sheets:
        raise UserError(" ".join(warnings[:5]) or "There is no file.")
    headings = merged_headings(sheets)
    if len(headings) > MAX_COLUMNS:
        raise UserError(f"Together the sheets have {len(headings):,} columns, which are too many.")
    key = place_of(options.key, headings)
    rows = clean([row for sheet in sheets for row in aligned(sheet, headings)], options, cleaning)
    fates = tell(rows, key, options.keep == "last")
    kept = [row for row, fate in zip(rows, fates, strict=True) if fate == "kept"]
    if key is not None and (lacking := sum(row[key] is None for row in kept)):
        warnings.append(f"Rows without {options.key} were all kept: {lacking:,}.")
    if len(kept) > MAX_ROWS:
        warnings.append(f"The workbook has the first {MAX_ROWS:,} rows, and merged.csv all.")
    return Report(
        title=f"{len(sheets)} merged sheets" if len(sheets) > 1 else f"{sheets[0].name}, cleaned",
        figures=[
            Figure("Rows read", len(rows), "integer"),
            Figure("Duplicates dropped", fates.count("duplicate"), "integer"),
            Figure("Rows kept", len(kept), "integer"),
        ],
        tables=[fates_table(sheets, fates), merged_table(headings, kept[:MAX_ROWS])],
        warnings=warnings,
        files=[Attachment("merged.csv", csv_of([headings, *kept]))],
    )


def read_sheets(file: InputFile, bar: Bar, warnings: list[str]) -> list[Sheet]:
    """The sheets of a file; what is not read goes to the warnings."""
    try:
        book = read(file, lambda part: bar(part, f"Reading {file.name}"))
    except UserError as problem:
        warnings.append(str(problem))
        return []
    warnings += [*book.skipped, *(said for sheet in book.sheets for said in sheet.skipped)]
    return book.sheets


def merged_headings(sheets: Sequence[Sheet]) -> list[str]:
    """Every column of any sheet as it was first written. Within a sheet no two are alike."""
    found: dict[str, str] = {}
    for sheet in sheets:
        for heading in sheet.header:
            found.setdefault(heading.casefold(), heading)
    return list(found.values())


def place_of(key: str, headings: Sequence[str]) -> int | None:
    """Where the key column stands, None without one."""
    names = [heading.casefold() for heading in headings]
    if key and key.casefold() not in names:
        raise UserError(f"No sheet has a column {key!r}.")
    return names.index(key.casefold()) if key else None


def aligned(sheet: Sheet, headings: Sequence[str]) -> Iterator[Row]:
    """The rows of a sheet with a cell for every merged column."""
    own = {heading.casefold(): place for place, heading in enumerate(sheet.header)}
    places = [own.get(heading.casefold()) for heading in headings]
    for row in sheet.rows:
        yield [None if place is None else row[place] for place in places]


def clean(rows: Sequence[Row], options: Options, bar: Bar) -> list[Row]:
    """The rows with their text trimmed, and with dates and numbers where a column holds them."""
    columns = []
    for number, cells in enumerate(zip(*rows, strict=True)):
        bar(number / len(rows[0]), "Cleaning")
        trimmed = [" ".join(c.split()) or None if isinstance(c, str) else c for c in cells]
        columns.append(typed(trimmed, options.dates == "day first"))
    return list(zip(*columns, strict=True))


def typed(cells: Sequence[Cell], day_first: bool) -> Row:
    """A column's text as dates if all of it is, or else as `tables.values` reads it."""
    texts = [cell for cell in cells if isinstance(cell, str)]
    try:
        days = {text: day(text, day_first) for text in set(texts)}
        return [days[cell] if isinstance(cell, str) else cell for cell in cells]
    except ValueError:
        convert = converter(Counter(map(classify, texts)), ",")
        return [convert(cell) if isinstance(cell, str) else cell for cell in cells]


def day(text: str, day_first: bool) -> date:
    """3/4/2025 or 3.4.2025 as a date. Raises `ValueError` for anything else."""
    if not (match := DAY.fullmatch(text)):
        raise ValueError(text)
    first, second, year = map(int, match.groups())
    return date(year, second, first) if day_first else date(year, first, second)


def tell(rows: Sequence[Row], key: int | None, keep_last: bool) -> list[str]:
    """What becomes of each row: "kept", "empty" or "duplicate". Rows without a key are kept."""
    seen: set[object] = set()
    fates = []
    for row in reversed(rows) if keep_last else rows:
        cells = row if key is None else [row[key]]
        mark = tuple(c.casefold() if isinstance(c, str) else (type(c) is bool, c) for c in cells)
        again = mark in seen and any(cell is not None for cell in cells)
        empty = all(cell is None for cell in row)
        fates.append("empty" if empty else "duplicate" if again else "kept")
        seen.add(mark)
    return fates[::-1] if keep_last else fates


def fates_table(sheets: Sequence[Sheet], fates: Sequence[str]) -> Table:
    """For every sheet, how many of its rows were read, dropped and kept."""
    rows: list[Row] = []
    told = iter(fates)
    for sheet in sheets:
        counts = Counter(next(told) for _ in sheet.rows)
        dropped = [counts["empty"], counts["duplicate"]]
        rows.append([sheet.file, sheet.name, len(sheet.rows), *dropped, counts["kept"]])
    counted = ("Rows", "Empty", "Duplicates", "Kept")
    columns = [Column("File"), Column("Sheet"), *(Column(n, "integer", "sum") for n in counted)]
    return Table("Sheets", columns, rows)


def merged_table(names: Sequence[str], rows: Sequence[Row]) -> Table:
    """The rows, each column shown as what it holds: text if that is of several sorts."""
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    kinds = [KINDS.get(frozenset(map(type, cells)) - {type(None)}, "text") for cells in columns]
    return Table("Merged", list(map(Column, names, kinds)), rows)


def csv_of(rows: Sequence[Row]) -> bytes:
    """A csv file; an apostrophe keeps a spreadsheet from taking text for a formula."""
    file = io.StringIO()
    for row in rows:
        risky = [isinstance(c, str) and len(c) > 1 and c[0] in "=+-@" for c in row]
        csv.writer(file).writerow([f"'{c}" if r else c for c, r in zip(row, risky, strict=True)])
    return file.getvalue().encode("utf-8-sig", "replace")
