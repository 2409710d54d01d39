"""What the step that ships found in its files, and how the report tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .columns import Profile
from .report import Cell, Column, Table, unique
from .tables import Sheet

MOST_NOTES = 40


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
    """What was found in a sheet: a line for each of its columns, and its totals if it has any."""

    file: str
    sheet: str
    rows: int
    lines: Sequence[Sequence[Cell]]
    totals: Table | None
    others: list[str]

    @classmethod
    def of(cls, sheet: Sheet, columns: Sequence[Profile], totals: Table | None) -> Finding:
        others = [f"{c.name} ({c.others:,})" for c in columns if c.is_numeric and c.others]
        lines = [(sheet.file, sheet.name, *figures(column)) for column in columns]
        return cls(sheet.file, sheet.name, len(sheet.rows), lines, totals, others)


def figures(column: Profile) -> Sequence[Cell]:
    return (
        column.name,
        column.type,
        column.rows,
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
    lines = [line for finding in found for line in finding.lines]
    return Table("Columns", [*texts, *counts, *figures], lines)


def unread_tables(unread: Sequence[Unread]) -> list[Table]:
    """One table, or none if everything was read."""
    columns = [Column("File"), Column("Sheet"), Column("What")]
    rows = [(item.file, item.sheet, item.sentence) for item in unread]
    return [Table("Not read", columns, rows)] if rows else []


def notes(found: Sequence[Finding], unread: Sequence[Unread], guessed: bool) -> list[str]:
    """What the person should know before the tables: what was read, how, and what was not."""
    rows = sum(finding.rows for finding in found)
    lines = [f"Read {counted(len(found), 'sheet')} with {counted(rows, 'row')}."]
    if guessed and any(finding.totals for finding in found):
        lines.append("Totals are by the first column of text with 2 to 50 values that repeat.")
    if without := [finding.sheet for finding in found if not finding.totals]:
        lines.append(f"Without a column to total by: {listed(without)}.")
    for finding in found:
        if finding.others:
            cells = listed(finding.others)
            lines.append(f"{finding.sheet}: cells without a number are in no sum or mean: {cells}.")
    lines += [item.note for item in unread] or ["Everything in the files was read."]
    more = len(lines) - MOST_NOTES
    return lines if more <= 0 else [*lines[:MOST_NOTES], f"… and {more:,} more notes."]


def no_category(wanted: str, found: Sequence[Finding]) -> str:
    """The sentence for a category that no sheet has."""
    names = dict.fromkeys(str(line[2]) for finding in found for line in finding.lines)
    return f"No sheet has a column {wanted!r}. There are: {listed(list(names))}."


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
