"""What of an .ods the native reader gets wrong, mended in a copy.

- It refuses a file without the parts that name its type and its parts, and white space between
  cells, which programs put there to make the XML easier to read.
- It loses tabs and line breaks in text, and the text of cells that do not say what type they are.
- It knows elements by the usual prefixes of their names only.
- It takes the 0 or the text that some programs save with an error for a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from os import PathLike
from typing import IO
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_DEFLATED, ZipFile

from . import ods
from .archives import open_archive

_BREAKS = {ods.TEXT + "tab": "\t", ods.TEXT + "line-break": "\n"}
_CELL = ods.CELLS[0]
_REPEATED = ods.TABLE + "number-columns-repeated"
_PARAGRAPH = ods.TEXT + "p"


def mend(path: PathLike[str], name: str, broken: Sequence[int] = ()) -> bytes:
    """A workbook with the same tables, for the native reader.

    `broken` are the cells to leave blank, in order, by how many cells stand before them.
    """
    copy = BytesIO()
    with open_archive(path, name) as archive, ZipFile(copy, "w", ZIP_DEFLATED) as file:
        file.writestr("mimetype", ods.MIME_TYPE)
        file.writestr("META-INF/manifest.xml", "<manifest/>")
        with file.open("content.xml", "w", force_zip64=True) as content:
            writer = _Writer(content, broken)
            for chunk in archive.inflate(archive.parts[ods.CONTENT]):
                writer(chunk)
    return copy.getvalue()


class _Writer:
    """Writes the elements of `content.xml` again; of cells, only the text that is theirs."""

    def __init__(self, file: IO[bytes], broken: Sequence[int]) -> None:
        self._file = file
        self._broken = iter(broken)
        self._next = next(self._broken, -1)
        self._cells = 0
        self._blank = False
        self._open: list[str] = []
        self._cell: dict[str, str] | None = None
        self._skipped = self._text = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def __call__(self, chunk: bytes) -> None:
        self._parser.Parse(chunk)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        inside = self._open[-1] if self._open else ""
        self._open.append(tag)
        broken = tag in ods.CELLS and self._is_broken()
        if self._skipped or (inside in ods.CELLS and (self._blank or tag != _PARAGRAPH)):
            self._skipped += 1
        elif tag in ods.CELLS:
            self._flush()
            self._blank = broken
            self._cell = _blank(attributes) if broken else dict(attributes)
            self._open[-1] = _CELL
        else:
            if tag == _PARAGRAPH and self._cell is not None:
                self._cell.setdefault(ods.OFFICE + "value-type", "string")
            self._flush()
            self._text += tag == _PARAGRAPH
            self._write(tag, attributes)

    def _end(self, _tag: str) -> None:
        tag = self._open.pop()
        if self._skipped:
            self._skipped -= 1
        else:
            self._flush()
            self._text -= tag == _PARAGRAPH
            if tag not in _BREAKS:
                self._file.write(f"</{_named(tag)}>".encode())

    def _is_broken(self) -> bool:
        """Whether the cell that starts is the next to be left blank."""
        found = self._cells == self._next
        self._cells += 1
        if found:
            self._next = next(self._broken, -1)
        return found

    def _flush(self) -> None:
        """Write the start of a cell, once it is known whether text follows."""
        if self._cell is not None:
            cell, self._cell = self._cell, None
            self._write(_CELL, cell)

    def _write(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in _BREAKS:
            self._file.write(_BREAKS[tag].encode())
            return
        known = ((_named(name), value) for name, value in attributes.items())
        told = "".join(f" {name}={quoteattr(value)}" for name, value in known if ":" in name)
        self._file.write(f"<{_named(tag)}{told}>".encode())

    def _characters(self, text: str) -> None:
        if self._text and not self._skipped:
            self._file.write(escape(text, {"\r": "&#13;"}).encode())


def _blank(attributes: dict[str, str]) -> dict[str, str]:
    """What a cell without a value keeps: how often it repeats."""
    return {name: value for name, value in attributes.items() if name == _REPEATED}


def _named(name: str) -> str:
    """A name with its usual prefix; without any if the reader does not know it."""
    namespace, space, local = name.rpartition(" ")
    prefix = ods.PREFIXES.get(namespace + space)
    return f"{prefix}:{local}" if prefix else local
