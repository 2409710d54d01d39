"""Every budget of the reader, and the arithmetic behind it.

The numbers are measured against the child process's default memory limit of 1024 MB: a file within
them is read inside that limit, a file beyond them gets a sentence instead of a killed process.
"""

from __future__ import annotations

import sys

MAX_ROWS = 1_048_576
"""Rows of one sheet: a spreadsheet's own limit."""

MAX_COLUMNS = 16_384
"""Columns of one sheet: a spreadsheet's own limit."""

MAX_TEXT_CELLS = 10_000_000
"""Cells of one csv or tsv file; a million rows of eight columns take about 700 MB at worst."""

MAX_SHEET_CELLS = 5_000_000
"""Cells of one spreadsheet file, blank ones between filled ones included: the native reader
lays each sheet out as a full rectangle beside its list of cells. See `sheet_cells`."""

MEASURED = 1024 * 1024 * 1024
"""The bytes of memory that these budgets are for."""

MAX_TEXT = 1_000_000
"""Characters in one cell. Spreadsheets stop at 32,767; a csv cell may be longer."""

MAX_INFLATED = 512 * 1024 * 1024
"""Bytes of all parts of a zip container together, once inflated."""

MAX_RATIO = 200
"""How many times larger than its compressed form a part may become, above `RATIO_FLOOR` bytes."""

RATIO_FLOOR = 64 * 1024 * 1024

MAX_PARTS = 10_000
"""Entries of a zip container."""

MAX_DIRECTORY = 4 * 1024 * 1024
"""Bytes of a zip container's list of entries, looked at before the list is read."""

MAX_INDEX_PART = 16 * 1024 * 1024
"""Bytes of a part that is read whole to find the sheets (workbook, relationships)."""

MAX_DEPTH = 64
"""Nesting of XML elements; spreadsheets need about ten."""

HEAD = 64 * 1024
"""Bytes at the start of a file that decide what it is."""


def sheet_cells() -> int:
    """`MAX_SHEET_CELLS`, or in proportion more where this process is allowed more memory."""
    if sys.platform == "win32":
        return MAX_SHEET_CELLS
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed == resource.RLIM_INFINITY:
        return MAX_SHEET_CELLS
    return MAX_SHEET_CELLS * max(MEASURED, allowed) // MEASURED
