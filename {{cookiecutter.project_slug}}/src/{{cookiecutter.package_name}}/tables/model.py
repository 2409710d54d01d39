"""What reading gives: cells in sheets, sheets in a workbook."""

from __future__ import annotations

from dataclasses import dataclass

from ..values import Cell


@dataclass(frozen=True)
class Sheet:
    """One table: a header and rectangular rows without it.

    `file` is the client's file name; `name` the sheet's name, for csv and tsv the file's stem.
    `header` holds a unique, never blank name for each column. `rows` holds no wholly blank row.
    `skipped` says in sentences what of this sheet was not read or was changed.
    """

    file: str
    name: str
    header: list[str]
    rows: list[list[Cell]]
    skipped: list[str]
    hidden: bool


@dataclass(frozen=True)
class Workbook:
    """One input file as read. `skipped` says in sentences which sheets were not read, and why."""

    sheets: list[Sheet]
    skipped: list[str]
