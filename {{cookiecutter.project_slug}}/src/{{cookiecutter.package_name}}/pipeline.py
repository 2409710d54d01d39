"""The processing step. This file is yours: change it, and nothing else has to change with it.

`Options` is what a person chooses; the page makes its form of it. `process` gets the uploaded files
and the chosen options, says how far it is, and returns a `Report`, which becomes the tables on the
page and the workbook to download. `raise UserError("...")` shows the person that sentence.

The step that ships describes every column, adds up the numbers by a category, and names whatever
was not read. The arithmetic is in `columns.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter

from pydantic import BaseModel, ConfigDict, Field

from .columns import Profile, by_column, group, profile, shorten, total
from .report import Cell, Chart, Column, Kind, Report, Table, unique
from .step import InputFile, Progress, UserError
from .tables import Sheet, read


class Options(BaseModel):
    """What the person chooses before processing."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    category: str = Field(
        default="",
        max_length=200,
        title="Totals by",
        description="The name of a column, such as Region. Leave empty to let the app choose one.",
    )
    largest: int = Field(
        default=10,
        ge=1,
        le=50,
        title="Bars in a chart",
        description="A chart shows this many of the largest totals; its table has them all.",
    )
    hidden: bool = Field(
        default=True,
        title="Hidden sheets",
        description="Read also the sheets that are hidden in their file.",
    )


def process(inputs: Sequence[InputFile], options: Options, progress: Progress) -> Report:
    """Describe every column of every sheet, and total each sheet by a category.

    A file that cannot be read is named in the report, and the others are processed. Raises
    `UserError` if nothing can be read, or if no sheet has the chosen category.
    """
    found: list[Finding] = []
    unread: list[Unread] = []
    for file, bar in zip(inputs, Bar(progress).split(len(inputs)), strict=True):
        reading, working = bar.split(2)
        sheets = read_sheets(file, options, reading, unread)
        for sheet, part in zip(sheets, working.split(len(sheets)), strict=True):
            found.append(examine(sheet, options, part))
    if not found:
        raise UserError(" ".join(item.sentence for item in unread[:5]) or "There is no file.")
    if options.category and not any(finding.totals for finding in found):
        raise UserError(no_category(options.category, found))
    return Report(
        title=f"Report on {inputs[0].name if len(inputs) == 1 else f'{len(inputs)} files'}",
        notes=notes(found, unread, options),
        tables=[*totals_tables(found), columns_table(found), *unread_tables(unread)],
    )


@dataclass(frozen=True)
class Unread:
    """Something that was not read, or not as it stands in the file."""

    file: str
    sheet: str
    sentence: str

    @property
    def note(self) -> str:
        where = f"{self.file}, {self.sheet}" if self.sheet else self.file
        return self.sentence if self.file in self.sentence else f"{where}: {self.sentence}"


@dataclass(frozen=True)
class Finding:
    """What was found in a sheet: a line for each of its columns, and its totals."""

    file: str
    sheet: str
    rows: int
    columns: list[Sequence[Cell]]
    totals: Table | None
    notes: list[str]


def read_sheets(file: InputFile, options: Options, bar: Bar, unread: list[Unread]) -> list[Sheet]:
    """The sheets of a file that are to be processed; what is not read goes to `unread`."""
    try:
        book = read(file, lambda part: bar(part, f"Reading {file.name}"))
    except UserError as problem:
        unread.append(Unread(file.name, "", str(problem)))
        return []
    unread += [Unread(file.name, "", sentence) for sentence in book.skipped]
    sheets = []
    for sheet in book.sheets:
        if sheet.hidden and not options.hidden:
            unread.append(Unread(file.name, sheet.name, "The sheet is hidden and was left out."))
        else:
            unread += [Unread(file.name, sheet.name, sentence) for sentence in sheet.skipped]
            sheets.append(sheet)
    return sheets


def examine(sheet: Sheet, options: Options, bar: Bar) -> Finding:
    """Describe the columns of a sheet, and total it if it has a category to total by."""
    profiling, adding = bar.split(2)
    cells = by_column(sheet.rows, len(sheet.header))
    columns = []
    for name, column, part in zip(sheet.header, cells, profiling.split(len(cells)), strict=True):
        part(0, f"Profiling {sheet.name}: {name}")
        columns.append(profile(name, column))
    category = find_category(columns, options.category)
    totals = total_by(category, columns, sheet.name, options.largest, adding) if category else None
    return Finding(
        file=sheet.file,
        sheet=sheet.name,
        rows=len(sheet.rows),
        columns=[(sheet.file, sheet.name, *line(column)) for column in columns],
        totals=totals,
        notes=not_numbers(sheet.name, columns),
    )


def not_numbers(sheet: str, columns: Sequence[Profile]) -> list[str]:
    """A note on the columns of numbers that hold something else, too; it is in no sum."""
    mixed = [column for column in columns if column.is_numeric and column.others]
    cells = listed([f"{column.name} ({column.others:,})" for column in mixed])
    return [f"{sheet}: cells that are not numbers are in no sum or mean: {cells}."] if mixed else []


def find_category(columns: Sequence[Profile], wanted: str) -> Profile | None:
    """The wanted column, in its own letter case if there are two, or else the first that can be."""
    if wanted:
        named = [column for column in columns if column.name.casefold() == wanted.casefold()]
        return min(named, key=lambda column: column.name != wanted, default=None)
    return next((column for column in columns if column.is_category), None)


def total_by(
    category: Profile, columns: Sequence[Profile], sheet: str, largest: int, bar: Bar
) -> Table:
    """For each value of the category its number of rows, and the sum of every column of numbers.

    Sorted by the last column of amounts, which is also what the chart draws.
    """
    numeric = [column for column in columns if column.is_numeric and column is not category]
    groups = group(category.cells)
    sums = []
    for column, part in zip(numeric, bar.split(len(numeric)), strict=True):
        part(0, f"Adding up {sheet}: {column.name}")
        sums.append([total(column.cells[place] for place in places) for _, places in groups])
    labels = ["(empty)" if value is None else shorten(value) for value, _ in groups]
    counts = [len(places) for _, places in groups]
    names = unique([category.name, "Rows", *(f"Sum of {column.name}" for column in numeric)])
    kinds: list[Kind] = ["integer" if column.type == "integer" else "number" for column in numeric]
    drawn = max((2 + n for n, column in enumerate(numeric) if column.is_amount), default=1)
    return Table(
        name=f"{sheet} by {category.name}",
        columns=[
            Column(*column) for column in zip(names, ["text", "integer", *kinds], strict=True)
        ],
        rows=sorted(zip(labels, counts, *sums, strict=True), key=itemgetter(drawn), reverse=True),
        chart=Chart(f"{names[drawn]} by {names[0]}", names[0], names[drawn], limit=largest),
    )


def line(column: Profile) -> Sequence[Cell]:
    """The column's line in the table of columns, after the names of its file and sheet."""
    return (
        column.name,
        column.type,
        len(column.cells),
        column.empty,
        column.distinct,
        column.minimum,
        column.maximum,
        column.mean,
    )


def totals_tables(found: Sequence[Finding]) -> list[Table]:
    """The totals of all sheets; sheets of one name are told apart by their file's."""
    several = len({finding.file for finding in found}) > 1
    tables = [
        replace(finding.totals, name=f"{finding.totals.name} ({finding.file})")
        if several
        else finding.totals
        for finding in found
        if finding.totals
    ]
    names = unique(table.name for table in tables)
    return [replace(table, name=name) for table, name in zip(tables, names, strict=True)]


def columns_table(found: Sequence[Finding]) -> Table:
    texts = [Column(name) for name in ("File", "Sheet", "Column", "Type")]
    counts = [Column(name, "integer") for name in ("Rows", "Empty", "Distinct")]
    figures = [Column("Minimum"), Column("Maximum"), Column("Mean", "number")]
    lines = [line for finding in found for line in finding.columns]
    return Table("Columns", [*texts, *counts, *figures], lines)


def unread_tables(unread: Sequence[Unread]) -> list[Table]:
    """One table, or none if everything was read."""
    columns = [Column("File"), Column("Sheet"), Column("What")]
    rows = [(item.file, item.sheet, item.sentence) for item in unread]
    return [Table("Not read", columns, rows)] if rows else []


def notes(found: Sequence[Finding], unread: Sequence[Unread], options: Options) -> list[str]:
    """What the person should know before the tables: what was read, how, and what was not."""
    rows = sum(finding.rows for finding in found)
    lines = [f"Read {counted(len(found), 'sheet')} with {counted(rows, 'row')}."]
    if not options.category and any(finding.totals for finding in found):
        lines.append("Totals are by the first column of text with 2 to 50 values that repeat.")
    if without := [finding.sheet for finding in found if not finding.totals]:
        lines.append(f"Without a column to total by: {listed(without)}.")
    lines += [note for finding in found for note in finding.notes]
    lines += [item.note for item in unread] or ["Everything in the files was read."]
    return lines if len(lines) <= 40 else [*lines[:40], f"… and {len(lines) - 40:,} more notes."]


def no_category(wanted: str, found: Sequence[Finding]) -> str:
    """The sentence for a category that no sheet has."""
    names = dict.fromkeys(str(line[2]) for finding in found for line in finding.columns)
    return f"No sheet has a column {wanted!r}. There are: {listed(list(names))}."


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@dataclass(frozen=True)
class Bar:
    """A stretch of the progress bar: `bar(0.5, "Half done")` moves to the middle of it."""

    progress: Progress
    start: float = 0
    end: float = 1

    def __call__(self, part: float, message: str) -> None:
        self.progress(self._at(part), 1, message)

    def split(self, parts: int) -> list[Bar]:
        """The stretch in equal parts."""
        ends = [self._at(number / parts) for number in range(parts + 1)] if parts else []
        return [Bar(self.progress, start, end) for start, end in pairwise(ends)]

    def _at(self, part: float) -> float:
        return self.start * (1 - part) + self.end * part
