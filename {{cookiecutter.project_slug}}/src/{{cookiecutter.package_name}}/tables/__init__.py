"""Reading any table safely: xlsx, xlsm, xls, xlsb, ods, csv and tsv.

    for sheet in read(path).sheets:
        print(sheet.name, sheet.header, len(sheet.rows), sheet.skipped)

What a file holds that is not in `rows` is named in `skipped`; nothing is lost in silence. Files
are hostile until read: call `read` in a child process with limits on memory and time, because some
small files make a native reader abort its process.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..step import InputFile, UserError, suffix
from ..values import Cell
from . import csvs, limits, workbooks
from .model import Sheet, Workbook
from .progress import nobody
from .signatures import SUFFIXES, TEXT_SUFFIXES, check_signature

__all__ = ["SUFFIXES", "Cell", "Sheet", "Workbook", "check_signature", "read"]


def read(file: InputFile, progress: Callable[[float], None] | None = None) -> Workbook:
    """Read every sheet of a file whose type its `name` tells.

    `progress` is called now and then with the fraction that is done, 0 to 1; what it raises ends
    the reading. Raises `UserError`, one sentence that names the file, for whatever cannot be read:
    empty, damaged, protected by a password, of another type than its name says, without any data,
    beyond a budget of `limits`, or made to do harm.
    """
    with Path(file).open("rb") as opened:
        check_signature(file.name, opened.read(limits.HEAD))
    kind = suffix(file.name)
    reader = csvs.read if kind in TEXT_SUFFIXES else workbooks.read
    try:
        with _uncollected():
            return reader(file, file.name, kind, progress or nobody)
    except MemoryError as error:
        raise UserError(
            f"{file.name} needs more memory than there is for one file. "
            "Split it into smaller files."
        ) from error


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python's collector of cycles from running: rows have none, and as they grow it would
    walk through all of them again and again, which takes a third of the time of a million."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
