"""xlsx, xlsm and xlsb: where the sheets are, and what xlsx sheets hold (ECMA-376).

Sheets are looked through with regular expressions, not a parser: a few percent of the reader's own
time instead of a multiple. What they count is named to the person; no value is taken from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from posixpath import join, normpath
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from . import limits
from .archives import Archive, Damaged, normal
from .survey import Survey

CONTENT_TYPES = "[content_types].xml"

_TAG = rb"<(?:\w+:)?"
_CELL = re.compile(
    _TAG + rb"c\s(?:[^>]*?\s)?r\s*=\s*[\"']([A-Za-z]{1,3})(\d{1,7})[\"'][^>]*>\s*"
    rb"<(?:\w+:)?(?:v>|v\s|is|f)"
)
_VALUE = re.compile(_TAG + rb"(?:v|t)(?:\s[^>]*)?>[^<]")
_ERROR = re.compile(_TAG + rb"c\s[^>]*?\bt\s*=\s*[\"']e[\"']")
_UNSAVED = re.compile(
    _TAG + rb"c(\s[^>]*)?>\s*"
    rb"<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_TEXT = re.compile(rb"\bt\s*=\s*[\"']str[\"']")
_STRINGS = re.compile(_TAG + rb"sst\b[^>]*?\buniqueCount\s*=\s*[\"'](\d+)")
_LONGEST_CELL = 4 * 1024 * 1024


@dataclass(frozen=True)
class Place:
    """Where one sheet of the workbook lies: the normal name of its part."""

    name: str
    part: str


def main_part(archive: Archive) -> str | None:
    """The normal name of the container's main part: the workbook, in a workbook."""
    for target, kind in relationships(archive, "").values():
        if kind.endswith("/officeDocument"):
            return target
    return None


def places(archive: Archive, workbook: str) -> list[Place]:
    """The sheets of an xlsx workbook in its order; none if its parts make no sense."""
    targets = relationships(archive, workbook)
    root = _tree(archive, workbook)
    if root is None:
        return []
    found = []
    for sheet in root.iter():
        if local(sheet.tag) == "sheet":
            ids = [value for key, value in sheet.attrib.items() if key.endswith("}id")]
            target, _kind = targets.get(ids[0] if ids else "", ("", ""))
            found.append(Place(sheet.get("name", ""), target))
    return found


def relationships(archive: Archive, part: str) -> dict[str, tuple[str, str]]:
    """Target (a normal name) and type of each relationship of a part; of the package for ""."""
    folder, _slash, file = part.rpartition("/")
    root = _tree(archive, join(folder, "_rels", f"{file}.rels"))
    if root is None:
        return {}
    found = {}
    for item in root.iter():
        target = item.get("Target")
        if target:
            target = target.replace("\\", "/")
            base = "" if target.startswith("/") else folder
            whole = normal(normpath(join(base, target.lstrip("/"))))
            found[item.get("Id", "")] = (whole, item.get("Type", ""))
    return found


def local(tag: object) -> str:
    """A tag without its namespace: strict and transitional workbooks differ in nothing else."""
    return str(tag).rpartition("}")[2]


def _tree(archive: Archive, part: str) -> Element | None:
    try:
        root: Element = fromstring(archive.read(part), forbid_dtd=True)
    except (KeyError, Damaged, ParseError, DefusedXmlException, ValueError):
        return None
    return root


class SheetScan:
    """Looks through one worksheet part, chunk by chunk; call `close` after the last."""

    def __init__(self) -> None:
        self.survey = Survey()
        self._rest = b""

    def __call__(self, chunk: bytes) -> None:
        data = self._rest + chunk
        cut = max(_last_cell(data), len(data) - _LONGEST_CELL)
        self._rest = data[cut:]
        self._look(data[:cut])

    def close(self) -> Survey:
        self._look(self._rest)
        self._rest = b""
        return self.survey

    def _look(self, data: bytes) -> None:
        survey = self.survey
        found = _CELL.findall(data)
        if found:
            columns, rows = map(set, zip(*found, strict=True))
            survey.cover(map(int, rows), map(column_number, columns))
        survey.filled = survey.filled or bool(_VALUE.search(data))
        if b'"e"' in data or b"'e'" in data:
            survey.errors += len(_ERROR.findall(data))
        if b"f>" in data or b"f " in data:
            cells = _UNSAVED.findall(data)
            survey.unsaved += sum(1 for attributes in cells if not _TEXT.search(attributes))


def _last_cell(data: bytes) -> int:
    """Where the last cell starts, so that no cell is looked at in two halves."""
    plain = data.rfind(b"<c ")
    if plain >= 0:
        return plain
    return max(0, data.rfind(b"<", 0, max(0, data.rfind(b":c "))))


def column_number(letters: bytes) -> int:
    """`A` is 0, `XFD` is 16383."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number - 1


class StringsScan:
    """Compares how many shared strings the part declares with how many it has room for.

    The native reader reserves memory for as many as are declared; a lie kills the process.
    """

    def __init__(self) -> None:
        self._declared = 0
        self._size = 0
        self._head = b""

    def __call__(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if len(self._head) < limits.HEAD:
            self._head += chunk[: limits.HEAD]
            found = _STRINGS.search(self._head)
            self._declared = int(found[1]) if found else 0

    @property
    def honest(self) -> bool:
        return self._declared * len(b"<si/>") <= self._size
