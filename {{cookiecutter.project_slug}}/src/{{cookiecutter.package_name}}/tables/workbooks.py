"""Spreadsheets: looked through first, then read by one reader or the other, then laid out."""

from __future__ import annotations

from os import PathLike

from ..step import UserError
from . import native, ods, ods_copy
from .grid import Grid, Unreadable
from .inspection import Inspection, check_depth, inspect, look_for_signs
from .layout import lay_out
from .model import Sheet, Workbook
from .progress import Fraction, part
from .survey import Survey, match

_TWO_READERS = (".xlsx", ".xlsm")


def read(path: PathLike[str], name: str, suffix: str, progress: Fraction) -> Workbook:
    """Read a spreadsheet whole. Raises `UserError`."""
    found = inspect(path, name, suffix, part(progress, 0, 0.3))
    grids = _grids(path, name, suffix, found, part(progress, 0.3, 0.95))
    if not grids:
        raise UserError(f"{name} holds no sheets. It may be damaged: open it and save it again.")
    _refuse_namesakes(name, [grid.name for grid in grids])
    sheets: list[Sheet] = []
    skipped = _unmatched(grids, found.surveys)
    matched = match(found.surveys, [grid.name for grid in grids])
    for grid, survey in zip(grids, matched, strict=True):
        survey.errors = max(survey.errors, grid.errors)
        told = survey.sentences()
        if grid.rows:
            sheets.append(_sheet(name, grid, told))
        else:
            skipped += [_not_read(grid, survey), *(f"Sheet “{grid.name}”: {line}" for line in told)]
    if not sheets:
        raise UserError(f"{name} holds no data. {' '.join(skipped)}")
    progress(1.0)
    return Workbook(sheets, skipped)


def _refuse_namesakes(file: str, names: list[str]) -> None:
    """Readers look a sheet up by its name: of two they give one twice and lose the other."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UserError(
                f"{file} has two sheets named “{name}”, which cannot be told apart. Open it in a "
                "spreadsheet program, give each a name of its own, and save it again."
            )
        seen.add(name)


def _unmatched(grids: list[Grid], surveys: list[Survey]) -> list[str]:
    """Sentences about sheets that the file lists and no reader gave."""
    if len(surveys) <= len(grids):
        return []
    given = {grid.name for grid in grids}
    return [
        f"Sheet “{survey.name}” could not be found in the file: not read."
        for survey in surveys
        if survey.name not in given
    ]


def _sheet(file: str, grid: Grid, told: list[str]) -> Sheet:
    return lay_out(file, grid.name, grid.rows, blank=grid.blank, told=told, hidden=grid.hidden)


def _not_read(grid: Grid, survey: Survey) -> str:
    if grid.kind:
        return f"Sheet “{grid.name}” is a {grid.kind} and holds no table: not read."
    if survey.filled and not survey.errors:
        return f"Sheet “{grid.name}” seems to hold cells, but none could be read."
    return f"Sheet “{grid.name}” is empty."


def _grids(
    path: PathLike[str], name: str, suffix: str, found: Inspection, progress: Fraction
) -> list[Grid]:
    """The sheets by the native reader; by the second all if the first fails, or those it misses."""
    grids: list[Grid] | None = None
    missed: set[str] | None = None
    try:
        if found.native:
            grids = _native(path, name, suffix, found, part(progress, 0, 0.9))
            missed = _missed(grids, found.surveys)
            if suffix not in _TWO_READERS or missed == set():
                return grids
    except Unreadable as error:
        if suffix not in _TWO_READERS:
            raise _unreadable(name, suffix) from error
    check_depth(path, name)
    from . import second  # here: few files need it, and no web process, which would load openpyxl

    try:
        others = second.read(found.mended or path, name, progress, missed)
    except Unreadable as error:
        if grids is not None:
            return grids
        raise _unreadable(name, suffix) from error
    return _both(grids or [], others, found.surveys)


def _native(
    path: PathLike[str], name: str, suffix: str, found: Inspection, progress: Fraction
) -> list[Grid]:
    """The sheets by the native reader; twice where it took negative times for times of day."""
    if suffix == ".ods":
        return _open_document(path, name, found, progress)
    source = found.mended or path
    grids = native.read(source, name, found.surveys, part(progress, 0, 0.9))
    times = any(grid.times for grid in grids)
    if suffix in _TWO_READERS and times and look_for_signs(path, name, found.surveys):
        del grids
        grids = native.read(source, name, found.surveys, part(progress, 0.9, 1))
    return grids


def _open_document(
    path: PathLike[str], name: str, found: Inspection, progress: Fraction
) -> list[Grid]:
    """The sheets by the native reader, of a mended copy if it would lose text or gives up."""
    try:
        if found.lossy:
            raise Unreadable
        grids = native.read(path, name, found.surveys, part(progress, 0, 0.5))
    except Unreadable:
        copy = ods_copy.mend(path, name, found.broken)
        grids = native.read(copy, name, found.surveys, part(progress, 0.5, 1))
    for grid in grids:
        ods.read_durations(grid.rows)
    return grids


def _missed(grids: list[Grid], surveys: list[Survey]) -> set[str] | None:
    """The names of the sheets that hold cells of which the native reader gave none; `None`: all."""
    if not any(grid.rows for grid in grids):
        return None
    pairs = zip(grids, surveys, strict=False)
    return {
        grid.name for grid, survey in pairs if survey.filled and not grid.rows and not grid.kind
    }


def _both(grids: list[Grid], others: list[Grid], surveys: list[Survey]) -> list[Grid]:
    """The sheets of the native reader, with those of the second in the place of missed ones.

    A sheet of which both give nothing holds only blanks, or text without a visible character.
    """
    given = {grid.name: grid for grid in others}
    for survey in surveys:
        if survey.name in given and not given[survey.name].rows:
            survey.filled = False
    if not any(grid.rows for grid in grids):
        return others or grids
    return [given.get(grid.name, grid) for grid in grids]


def _unreadable(name: str, suffix: str) -> UserError:
    return UserError(
        f"{name} could not be read: it is damaged, or not a real {suffix} workbook. Open it in a "
        "spreadsheet program, save it again as .xlsx, and upload that."
    )
