"""What of an xlsx, xlsm or xlsb both readers get wrong, mended in a copy.

They look for its formats under the usual name of their part only, and take dates for numbers where
the workbook names another.
"""

from __future__ import annotations

from io import BytesIO
from os import PathLike
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from .archives import Archive, Damaged, normal
from .ooxml import related

_FOLDER = "xl/"


def mend(path: PathLike[str], archive: Archive, workbook: str) -> bytes | None:
    """A copy with the formats under their usual name too; nothing if they have no other."""
    part = related(archive, workbook, "/styles")
    usual = f"{_FOLDER}styles{Path(workbook).suffix}"
    if part == usual or part not in archive.parts:
        return None
    try:
        styles = archive.read(part)
    except Damaged:
        return None
    copy = BytesIO(Path(path).read_bytes())
    with ZipFile(copy, "a", ZIP_DEFLATED) as file:
        for info in [info for info in file.infolist() if normal(info.filename) == usual]:
            file.filelist.remove(info)
            file.NameToInfo.pop(info.filename, None)
        file.writestr(usual, styles)
    return copy.getvalue()
