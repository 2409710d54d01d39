"""The processing step. This file is yours: change it, and nothing else has to change with it.

`Options` is what a person chooses; the page makes its form of it. `process` gets the uploaded files
and the chosen options, says how far it is, and returns a `Report`, which becomes the tables on the
page and the workbook to download. `raise UserError("...")` shows the person that sentence.

The step that ships describes every column, adds up the numbers by a category, and names whatever
was not read. The arithmetic is in `columns.py`, the wording in `findings.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from pydantic import BaseModel, ConfigDict, Field

from .bar import Bar
from .columns import Groups, Profile, cells_of, profile, shorten
from .findings import (
    Finding,
    Unread,
    columns_table,
    no_category,
    notes,
    totals_tables,
    unread_tables,
)
from .report import MAX_COLUMNS, MAX_ROWS, Chart, Column, Kind, Report, Table, unique
from .step import Accepts, ColumnName, InputFile, Progress, UserError
from .tables import Sheet, read

ACCEPTS = Accepts()
"""Which files, and how many: here every table that can be read."""


class Options(BaseModel):
    """What the person chooses before processing."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    category: ColumnName = Field(
        default="",
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
        description="Also read sheets that are hidden in the file.",
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
        notes=notes(found, unread, guessed=not options.category),
        tables=[*totals_tables(found), columns_table(found), *unread_tables(unread)],
    )


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
    columns = []
    parts = profiling.split(len(sheet.header))
    places = range(len(sheet.header))
    for name, part, cells in zip(sheet.header, parts, cells_of(sheet.rows, places), strict=True):
        part(0, f"Profiling {sheet.name}: {name}")
        columns.append(profile(name, cells))
    category = find_category(columns, options.category)
    totals = None
    if category is not None:
        totals = total_by(category, sheet, columns, options.largest, adding)
    return Finding.of(sheet, columns, totals)


def find_category(columns: Sequence[Profile], wanted: str) -> int | None:
    """The place of the wanted column in any letter case, or else of the first category."""
    for place, column in enumerate(columns):
        if column.name.casefold() == wanted.casefold() or (not wanted and column.is_category):
            return place
    return None


def total_by(
    category: int, sheet: Sheet, columns: Sequence[Profile], largest: int, bar: Bar
) -> Table:
    """For each value of the category its number of rows, and the sum of every column of numbers.

    Sorted by the last column of amounts, which is also what the chart draws. With all columns that
    a sheet can have there is no room for the one of rows, so the last of them has no sum. Raises
    `UserError` if there are more values than rows of a worksheet.
    """
    groups = Groups([row[category] for row in sheet.rows])
    if len(groups.values) > MAX_ROWS:
        raise UserError(
            f"{sheet.file}: {sheet.header[category]} has more values in {sheet.name} than a "
            "worksheet has rows. Choose another column to total by."
        )
    numeric = [n for n, column in enumerate(columns) if column.is_numeric and n != category]
    del numeric[MAX_COLUMNS - 2 :]
    sums = []
    parts = bar.split(len(numeric))
    for place, part, cells in zip(numeric, parts, cells_of(sheet.rows, numeric), strict=True):
        part(0, f"Adding up {sheet.name}: {sheet.header[place]}")
        sums.append(groups.totals(cells))
    labels = ["(empty)" if value is None else shorten(value) for value in groups.values]
    names = unique(
        [sheet.header[category], "Rows", *(f"Sum of {sheet.header[n]}" for n in numeric)]
    )
    kinds: list[Kind] = ["integer" if columns[n].type == "integer" else "number" for n in numeric]
    drawn = max((2 + n for n, place in enumerate(numeric) if columns[place].is_amount), default=1)
    more = f", the {largest} largest of {len(labels):,}" if len(labels) > largest else ""
    return Table(
        name=f"{sheet.name} by {sheet.header[category]}",
        columns=[
            Column(*column) for column in zip(names, ["text", "integer", *kinds], strict=True)
        ],
        rows=sorted(
            zip(labels, groups.counts, *sums, strict=True), key=itemgetter(drawn), reverse=True
        ),
        chart=Chart(f"{names[drawn]} by {names[0]}{more}", names[0], names[drawn], limit=largest),
    )
