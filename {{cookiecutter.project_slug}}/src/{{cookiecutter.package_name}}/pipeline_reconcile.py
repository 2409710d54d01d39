"""The processing step. This file is yours: change it, and nothing else has to change with it.

The step that ships reconciles two tables: it pairs their rows by a key, and tells which are the
same, which differ in what, and which only one of the two has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from .bar import Bar
from .report import MAX_ROWS, Cell, Chart, Column, Figure, Report, Table, unique
from .step import Accepts, ColumnName, InputFile, Progress, UserError
from .tables import Sheet, read
from .values import numbers

ACCEPTS = Accepts(least=2, most=2)
"""Which files, and how many: here two tables of any type that can be read."""

Row = Sequence[Cell]
Key = tuple[str, int]
"""A key and how often it came before: rows of one key are paired in their order."""


class Options(BaseModel):
    """What the person chooses before processing."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    key: ColumnName = Field(
        default="",
        title="Key column",
        description="Rows with the same key are a pair. Leave empty for the first common column.",
    )
    columns: str = Field(
        default="",
        max_length=1000,
        title="Compare only",
        description="Names of columns, with commas between them. Leave empty to compare all.",
    )
    tolerance: float = Field(
        default=0,
        ge=0,
        title="Tolerance",
        description="Numbers that differ by no more than this are the same.",
    )


def process(inputs: Sequence[InputFile], options: Options, progress: Progress) -> Report:
    """Pair the rows of two tables and tell what is not the same.

    Raises `UserError` if there are not two files, one cannot be read, or they lack a column.
    """
    if refused := ACCEPTS.refusal([file.name for file in inputs]):
        raise UserError(refused)
    warnings: list[str] = []
    *reading, comparing = Bar(progress).split(3)
    first, second = (
        read_sheet(file, options, bar, warnings) for file, bar in zip(inputs, reading, strict=True)
    )
    (key, other_key), *compared = places(first, second, options)
    left, right = keyed(first, key, warnings), keyed(second, other_key, warnings)
    pairs = [name for name in left if name in right]
    changes: list[Row] = []
    different = 0
    for number, name in enumerate(pairs):
        if number % 1000 == 0:
            comparing(number / len(pairs), f"Comparing {len(pairs):,} pairs of rows")
        found = compare(left[name], right[name], compared, options.tolerance)
        changes += [[left[name][key], first.header[place], *change] for place, *change in found]
        different += bool(found)
    only_first = [row for name, row in left.items() if name not in right]
    only_second = [row for name, row in right.items() if name not in left]
    if max(len(changes), len(only_first), len(only_second)) > MAX_ROWS:
        warnings.append(f"A table has no more than its first {MAX_ROWS:,} rows.")
    names = unique([f"Only in {first.file}", f"Only in {second.file}"])
    outcome = {
        "The same": len(pairs) - different,
        "Different": different,
        names[0]: len(only_first),
        names[1]: len(only_second),
    }
    return Report(
        title=f"{first.file} against {second.file}",
        figures=[Figure(label, count, "integer") for label, count in outcome.items()],
        tables=[
            outcome_table(list(outcome.items())),
            changes_table(first.file, second.file, changes),
            rows_table(names[0], first.header, key, only_first),
            rows_table(names[1], second.header, other_key, only_second),
        ],
        warnings=warnings,
    )


def read_sheet(file: InputFile, options: Options, bar: Bar, warnings: list[str]) -> Sheet:
    """The first sheet of a file that has the key column; what is not read goes to the warnings."""
    book = read(file, lambda part: bar(part, f"Reading {file.name}"))
    wanted = options.key.casefold()
    has_key = [sheet for sheet in book.sheets if wanted in map(str.casefold, sheet.header)]
    sheet = (has_key or book.sheets)[0]
    warnings += [*book.skipped, *sheet.skipped]
    if len(book.sheets) > 1:
        warnings.append(f"Of {file.name} only the sheet {sheet.name} was compared.")
    return sheet


def places(first: Sheet, second: Sheet, options: Options) -> list[tuple[int, int]]:
    """Where the key stands in both tables, and then each column that is to be compared."""
    own = {heading.casefold(): place for place, heading in enumerate(first.header)}
    other = {heading.casefold(): place for place, heading in enumerate(second.header)}
    shared = {name: first.header[place] for name, place in own.items() if name in other}
    if not shared:
        raise UserError(f"{first.file} and {second.file} have no column in common.")
    key = options.key.casefold() or next(iter(shared))
    wanted = [name.strip().casefold() for name in options.columns.split(",") if name.strip()]
    for name in (key, *wanted):
        if name not in shared:
            both = ", ".join([*shared.values()][:20])
            raise UserError(f"No column {name!r} is in both tables. These are: {both}.")
    compared = wanted or [name for name in shared if name != key]
    return [(own[name], other[name]) for name in (key, *compared)]


def keyed(sheet: Sheet, key: int, warnings: list[str]) -> dict[Key, Row]:
    """The rows by their keys."""
    seen: Counter[str] = Counter()
    found: dict[Key, Row] = {}
    for row in sheet.rows:
        name = text(row[key]).casefold()
        found[name, seen[name]] = row
        seen[name] += 1
    if repeated := sum(count > 1 for count in seen.values()):
        warnings.append(f"{sheet.file}: Keys in several rows, paired in their order: {repeated:,}.")
    return found


def compare(
    left: Row, right: Row, compared: Sequence[tuple[int, int]], tolerance: float
) -> list[tuple[int, Cell, Cell, Cell]]:
    """What differs: the place in the left row, both values, and how far apart two numbers are."""
    found: list[tuple[int, Cell, Cell, Cell]] = []
    for place, other_place in compared:
        one, other = left[place], right[other_place]
        pair = numbers([one, other])
        if len(pair) == 2:
            # A float is rarely what was typed: 1.1 - 1.0 is a little more than 0.1.
            if not math.isclose(*pair, rel_tol=1e-12, abs_tol=tolerance * (1 + 1e-9)):
                found.append((place, one, other, pair[1] - pair[0]))
        elif text(one) != text(other):
            found.append((place, one, other, None))
    return found


def text(cell: Cell) -> str:
    """A cell as it would be typed, so that 7, 7.0 and "7" are the same."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else " ".join(str(cell).removesuffix(" 00:00:00").split())


def outcome_table(outcome: Sequence[Row]) -> Table:
    """How many rows had which outcome."""
    columns = [Column("Outcome"), Column("Rows", "integer", "sum")]
    return Table("Outcome", columns, outcome, Chart("Rows by outcome", "Outcome", "Rows", "pie"))


def changes_table(first: str, second: str, changes: Sequence[Row]) -> Table:
    """Every value that differs, with the name of its file above it."""
    key, column, one, other, apart = unique(["Key", "Column", first, second, "Difference"])
    texts = [Column(key, total="count"), Column(column), Column(one), Column(other)]
    return Table("Different", [*texts, Column(apart, "number", "sum")], changes[:MAX_ROWS])


def rows_table(name: str, header: Sequence[str], key: int, rows: Sequence[Row]) -> Table:
    """Rows of one of the two tables, with totals under its numbers."""
    columns = []
    for place, heading in enumerate(header):
        cells = [row[place] for row in rows if row[place] is not None]
        is_amount = place != key and cells and len(numbers(cells)) == len(cells)
        columns.append(Column(heading, "number", "sum") if is_amount else Column(heading))
    return Table(name, columns, rows[:MAX_ROWS])
