"""A spreadsheet looked through before a reader sees it: what it is, weighs and holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from os import PathLike
from xml.parsers import expat

from ..step import UserError
from . import limits, ods, ooxml, ooxml_copy, xls, xlsb
from .archives import NOT_XML, Archive, Damaged, damaged, open_archive
from .progress import Fraction
from .survey import Survey


@dataclass
class Inspection:
    """One survey a sheet, in order, and whether the native reader can stand the file.

    `mended` is what is read instead of a file that would be read wrong, `lossy` tells of an .ods
    that would be, too; `broken` are its cells that hold an error and look like others.
    """

    surveys: list[Survey] = field(default_factory=list)
    native: bool = True
    mended: bytes | None = None
    lossy: bool = False
    broken: Sequence[int] = ()


def inspect(path: PathLike[str], name: str, suffix: str, progress: Fraction) -> Inspection:
    """Look the whole file through. Raises `UserError` for what no reader should see."""
    if suffix == ".xls":
        surveys, mended = xls.survey(path, name)
        found = Inspection(surveys, mended=mended)
    else:
        with open_archive(path, name) as archive:
            found = _look_inside(path, archive, suffix, progress)
    for survey in found.surveys:
        if survey.area > limits.sheet_cells():
            found.native = False
    if not found.native and suffix not in (".xlsx", ".xlsm"):
        raise over_budget(name)
    return found


def look_for_signs(path: PathLike[str], name: str, surveys: list[Survey]) -> bool:
    """Note the negative times of an xlsx, as the surveys of other types do; whether it has any."""
    with open_archive(path, name) as archive:
        workbook = _main_part(archive, ".xlsx")
        dates = ooxml.dates(archive, workbook)
        for place, survey in zip(ooxml.places(archive, workbook), surveys, strict=True):
            if dates and place.part in archive.parts:
                scan = ooxml.SignScan(survey, dates)
                for chunk in archive.inflate(archive.parts[place.part]):
                    scan(chunk)
                scan.close()
    return any(survey.negative for survey in surveys)


def over_budget(name: str) -> UserError:
    """The sentence for a spreadsheet with more cells than can be read."""
    return UserError(
        f"{name} spans more than {limits.sheet_cells():,} cells, which is more than can be read. "
        "Split it into smaller files, or save the sheet as .csv."
    )


def _look_inside(
    path: PathLike[str], archive: Archive, suffix: str, progress: Fraction
) -> Inspection:
    if suffix == ".ods":
        return _open_document(archive, progress)
    workbook = _main_part(archive, suffix)
    look = _binary if suffix == ".xlsb" else _open_xml
    found = look(archive, workbook, progress)
    found.mended = ooxml_copy.mend(path, archive, workbook)
    return found


def _main_part(archive: Archive, suffix: str) -> str:
    """The part that lists the sheets, if it is of the kind that the suffix promises."""
    names = archive.parts
    if ooxml.CONTENT_TYPES not in names:
        if ods.CONTENT in names:
            raise UserError(
                f"{archive.name} is named {suffix} but is an OpenDocument file. Give it its true "
                "suffix, .ods, and upload it again."
            )
        raise UserError(f"{archive.name} is a zip archive, but not a {suffix} workbook.")
    main = ooxml.main_part(archive) or "xl/workbook.xml"
    true = ".xlsb" if main.endswith(".bin") else ".xlsx"
    if main not in names or not main.rpartition("/")[2].startswith("workbook"):
        raise UserError(f"{archive.name} is an Office file, but not a workbook.")
    if (suffix == ".xlsb") != (true == ".xlsb"):
        raise UserError(
            f"{archive.name} is named {suffix} but is a {true} workbook. Give it its true suffix "
            "and upload it again."
        )
    return main


def _open_xml(archive: Archive, workbook: str, progress: Fraction) -> Inspection:
    places = ooxml.places(archive, workbook)
    stale = ooxml.is_stale(archive, workbook)
    scans = {place.part: ooxml.SheetScan(stale=stale) for place in places}
    strings = ooxml.StringsScan()
    kinds = ooxml.relationships(archive, workbook).values()
    shared = {part: strings for part, kind in kinds if kind.endswith("/sharedStrings")}
    archive.weigh({**shared, **scans}, progress)
    return Inspection(_named(places, scans), native=strings.honest and not archive.wide)


def _binary(archive: Archive, workbook: str, progress: Fraction) -> Inspection:
    places = xlsb.places(archive, workbook)
    dates = xlsb.dates(archive, workbook)
    scans = {place.part: xlsb.SheetScan(dates) for place in places}
    archive.weigh(scans, progress)
    return Inspection(_named(places, scans))


def _named(
    places: list[ooxml.Place], scans: Mapping[str, ooxml.SheetScan | xlsb.SheetScan]
) -> list[Survey]:
    """The survey of each sheet under its name, in the workbook's order."""
    surveys = {part: scan.close() for part, scan in scans.items()}
    return [replace(surveys[place.part], name=place.name) for place in places]


def _open_document(archive: Archive, progress: Fraction) -> Inspection:
    name = archive.name
    if ods.CONTENT not in archive.parts:
        raise UserError(f"{name} is a zip archive, but not an .ods workbook.")
    try:
        declared = _text(archive, "mimetype")
        if declared and not declared.startswith(ods.MIME_TYPE):
            raise UserError(f"{name} is an OpenDocument file, but not a spreadsheet.")
        if "encryption-data" in _text(archive, "meta-inf/manifest.xml"):
            raise UserError(f"{name} is password-protected. Remove the password first.")
    except Damaged as error:
        raise damaged(name) from error
    scan = ods.ContentScan()
    archive.weigh({ods.CONTENT: scan}, progress)
    scan.close()
    if not scan.sound:
        raise damaged(name)
    if scan.depth > limits.MAX_DEPTH:
        raise _too_deep(name)
    if scan.spaces > limits.MAX_TEXT:
        raise UserError(f"{name} has a cell with more than {limits.MAX_TEXT:,} spaces.")
    return Inspection(scan.surveys, lossy=scan.lossy or not declared, broken=scan.broken)


def _text(archive: Archive, part: str) -> str:
    """A small part as text, nothing without it."""
    return archive.read(part).decode("utf-8", "replace") if part in archive.parts else ""


def _too_deep(name: str) -> UserError:
    return UserError(
        f"{name} nests its contents deeper than a spreadsheet does. It is damaged or made to do "
        "harm, and was not read."
    )


def check_depth(path: PathLike[str], name: str) -> None:
    """Refuse XML that is nested too deeply for the second reader, which builds it as a tree."""
    with open_archive(path, name) as archive:
        for part, info in archive.parts.items():
            if part.endswith((".xml", ".rels")) and not _is_shallow(archive.inflate(info)):
                raise _too_deep(name)


class _Depth:
    """Counts open elements, and stops the parser at one too many."""

    def __init__(self) -> None:
        self.open = 0
        self.exceeded = False

    def start(self, _tag: str, _attributes: object) -> None:
        self.open += 1
        if self.open > limits.MAX_DEPTH:
            self.exceeded = True
            raise StopIteration

    def end(self, _tag: str) -> None:
        self.open -= 1


def _is_shallow(chunks: Iterator[bytes]) -> bool:
    depth, parser = _Depth(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = depth.start, depth.end
    with suppress(StopIteration, *NOT_XML):
        for chunk in chunks:
            parser.Parse(chunk)
    return not depth.exceeded
