"""What a processing step returns; `report_json.py` shows it on the page, `workbook.py` as a file.

A report is checked where it is built: a mistake in it is a `ValueError` that names the table,
raised in the step's own tests and not when somebody downloads the file.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, get_args

from .values import Cell, mean, numbers, total, unique

__all__ = ["Attachment", "Cell", "Chart", "Column", "Figure", "Report", "Table", "unique"]

Kind = Literal["text", "integer", "number", "percent", "date", "datetime", "boolean"]
Total = Literal["sum", "mean", "min", "max", "count"]
ChartKind = Literal["bar", "line", "pie"]

NUMERIC: tuple[Kind, ...] = ("integer", "number", "percent")
MAX_DECIMALS = 10
MAX_ROWS = 1_048_574
MAX_COLUMNS = 16_384
"""What fits on a worksheet between its header row and its row of totals."""

LIMITS: dict[ChartKind, int] = {"bar": 20, "line": 500, "pie": 8}
"""How many rows a chart draws if it does not say so itself."""
MAX_SERIES = 6
MAX_FILES = 1000

TOTALS: dict[Total, Callable[[Sequence[int | float]], int | float | None]] = {
    "sum": total,
    "mean": lambda found: mean(found) if found else None,
    "min": lambda found: min(found, default=None),
    "max": lambda found: max(found, default=None),
}
TOTAL_LABELS: dict[Total, str] = {
    "sum": "Total",
    "mean": "Mean",
    "min": "Smallest",
    "max": "Largest",
    "count": "Count",
}


class Shown(Protocol):
    """How a value looks, which columns and key figures say alike.

    A percent is a fraction: 0.25 is shown as 25%. A value that is of another kind is shown as it
    is. `decimals` are places after the point, of numbers and percents; the default is the kind's.
    `unit` stands behind a number: "kg", "€".
    """

    @property
    def kind(self) -> Kind: ...
    @property
    def decimals(self) -> int | None: ...
    @property
    def unit(self) -> str: ...


@dataclass(frozen=True)
class Column:
    """A column's heading, how its cells look (see `Shown`), and what stands under it, if anything.

    A `total` is of the numbers in the column; "count" is of all cells that are not empty.
    """

    name: str
    kind: Kind = "text"
    total: Total | None = None
    decimals: int | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        for problem in chain(misfits(self), self._misfits()):
            raise ValueError(f"Column {self.name!r}: {problem}.")

    def _misfits(self) -> Iterable[str]:
        if self.total is not None and self.total not in get_args(Total):
            yield f"total {self.total!r} is none of {get_args(Total)}"
        if self.total not in (None, "count") and self.kind not in NUMERIC:
            yield f"a column of {self.kind} has no {self.total}"


@dataclass(frozen=True)
class Figure:
    """One number that matters, with what it says: "Orders", 1,204. It looks as `Shown` says."""

    label: str
    value: Cell
    kind: Kind = "number"
    decimals: int | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        for problem in misfits(self):
            raise ValueError(f"Figure {self.label!r}: {problem}.")
        if not isinstance(self.value, get_args(Cell)):
            kind = type(self.value).__name__
            raise ValueError(f"Figure {self.label!r}: a report cannot show a {kind}.")


@dataclass(frozen=True)
class Chart:
    """Draws the first `limit` rows of a table; `labels` and `values` name its columns.

    Bars and lines may draw several columns of numbers, a pie draws one. Shares below zero have no
    place in a pie, so that one with such a row is drawn as bars.
    """

    title: str
    labels: str
    values: str | Sequence[str]
    kind: ChartKind = "bar"
    limit: int | None = None

    @property
    def series(self) -> Sequence[str]:
        return [self.values] if isinstance(self.values, str) else self.values

    @property
    def rows(self) -> int:
        return LIMITS[self.kind] if self.limit is None else self.limit


@dataclass(frozen=True)
class Table:
    """Rows as wide as `columns`, in a list or a tuple: they are read more than once.

    Raises `ValueError` for rows of another width, cells of another type than `Cell`, two columns of
    one name, more than a worksheet holds, or a chart that does not fit the columns.
    """

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    chart: Chart | None = None

    def __post_init__(self) -> None:
        for problem in chain(self._misfits(), self._chart_misfits()):
            raise ValueError(f"Table {self.name!r}: {problem}.")

    def totals(self) -> list[Cell] | None:
        """What stands under the columns, with a word for it where there is room; None if nothing
        does."""
        used = {column.total for column in self.columns if column.total}
        if not used:
            return None
        cells = [self._total(place) for place in range(len(self.columns))]
        if self.columns[0].total is None:
            cells[0] = TOTAL_LABELS[used.pop()] if len(used) == 1 else "Totals"
        return cells

    def chart_kind(self) -> ChartKind | None:
        """What the chart is drawn as."""
        if self.chart is None:
            return None
        if self.chart.kind != "pie":
            return self.chart.kind
        place = [column.name for column in self.columns].index(self.chart.series[0])
        shares = numbers(row[place] for row in islice(self.rows, self.chart.rows))
        return "pie" if all(share >= 0 for share in shares) else "bar"

    def _total(self, place: int) -> Cell:
        how, cells = self.columns[place].total, (row[place] for row in self.rows)
        if how is None:
            return None
        if how == "count":
            return sum(cell is not None for cell in cells)
        return TOTALS[how](numbers(cells))

    def _misfits(self) -> Iterable[str]:
        width = len(self.columns)
        if not 1 <= width <= MAX_COLUMNS:
            yield f"it has {width} columns, not 1 to {MAX_COLUMNS:,}"
        if twice := repeated(column.name for column in self.columns):
            yield f"two columns are named {twice!r}"
        if not isinstance(self.rows, list | tuple):
            yield "rows must be a list or a tuple, because they are read more than once"
        if len(self.rows) > MAX_ROWS:
            yield f"it has {len(self.rows):,} rows, more than the {MAX_ROWS:,} of a worksheet"
        yield from lone_rows(self.rows)
        for number, row in enumerate(self.rows):
            if len(row) != width:
                yield f"row {number} has {len(row)} cells for {width} columns"
        for kind in set(map(type, chain.from_iterable(self.rows))):
            if not issubclass(kind, get_args(Cell)):
                yield f"a cell is a {kind.__name__}, which a report cannot show"

    def _chart_misfits(self) -> Iterable[str]:
        if self.chart is None:
            return
        kinds = {column.name: column.kind for column in self.columns}
        for name in (self.chart.labels, *self.chart.series):
            if name not in kinds:
                yield f"its chart names a column {name!r} that it does not have"
        for name in self.chart.series:
            if kinds[name] not in NUMERIC:
                yield f"its chart draws {name!r}, which is not a column of numbers"
        if self.chart.kind not in LIMITS:
            yield f"its chart's kind {self.chart.kind!r} is none of {get_args(ChartKind)}"
        most = 1 if self.chart.kind == "pie" else MAX_SERIES
        if not 1 <= len(self.chart.series) <= most:
            yield f"its chart draws {len(self.chart.series)} columns, not 1 to {most}"
        if self.chart.rows < 1:
            yield "its chart has no room for a row"


@dataclass(frozen=True)
class Attachment:
    """A file that the step made and that the person may download: its bytes, or a path to them."""

    name: str
    content: bytes | Path

    def __post_init__(self) -> None:
        if not isinstance(self.content, bytes | Path):
            kind = type(self.content).__name__
            raise ValueError(
                f"Attachment {self.name!r}: its content is a {kind}. Give bytes, such as "
                "text.encode(), or a Path to a file."
            )
        if isinstance(self.content, Path) and not self.content.is_file():
            raise ValueError(f"Attachment {self.name!r}: {self.content} is not a file.")

    @property
    def size(self) -> int:
        """In bytes."""
        if isinstance(self.content, bytes):
            return len(self.content)
        return self.content.stat().st_size

    def open(self) -> BinaryIO:
        if isinstance(self.content, bytes):
            return io.BytesIO(self.content)
        return self.content.open("rb")


@dataclass(frozen=True)
class Report:
    """What the person gets.

    `figures` are the few numbers that matter, `notes` what to know, `warnings` what to mind.
    Raises `ValueError` for two tables or two files of one name, or a text in place of a list.
    """

    title: str
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    files: Sequence[Attachment] = ()
    figures: Sequence[Figure] = ()
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        for problem in lone_texts(notes=self.notes, warnings=self.warnings):
            raise ValueError(f"Report {self.title!r}: {problem}.")
        if twice := repeated(table.name for table in self.tables):
            raise ValueError(f"Two tables are named {twice!r}.")
        if len(self.files) > MAX_FILES:
            raise ValueError(f"{len(self.files):,} files are attached, more than {MAX_FILES:,}.")
        if twice := repeated(file.name for file in self.files):
            raise ValueError(f"Two files are named {twice!r}.")

    @property
    def has_workbook(self) -> bool:
        """Whether there is anything to write down; a report may be nothing but its files."""
        return bool(self.tables or self.figures or not self.files)


def misfits(shown: Shown) -> Iterable[str]:
    """What is wrong with how a value shall look."""
    if shown.kind not in get_args(Kind):
        yield f"kind {shown.kind!r} is none of {get_args(Kind)}"
    if shown.decimals is not None and shown.kind not in ("number", "percent"):
        yield f"only a number or a percent has decimals, not a {shown.kind}"
    if shown.decimals is not None and not 0 <= shown.decimals <= MAX_DECIMALS:
        yield f"{shown.decimals} decimals are not 0 to {MAX_DECIMALS}"
    if shown.unit and shown.kind not in ("integer", "number"):
        yield f"only a number has a unit, not a {shown.kind}"


def lone_texts(**lists: object) -> Iterable[str]:
    """What is wrong with a text in place of a list of texts: it would be one of letters."""
    for name, given in lists.items():
        if isinstance(given, str):
            yield f"{name} is a list of texts: write {name}=[{given!r}]"


def lone_rows(rows: Sequence[object]) -> Iterable[str]:
    """What is wrong with a text in place of a row: each letter would be a cell."""
    if any(issubclass(kind, str) for kind in set(map(type, rows))):
        row = next(row for row in rows if isinstance(row, str))
        yield f"a row is a list of cells: write [{row!r}]"


def repeated(names: Iterable[str]) -> str | None:
    """The first name that stands more than once, if any."""
    return next((name for name, count in Counter(names).items() if count > 1), None)
