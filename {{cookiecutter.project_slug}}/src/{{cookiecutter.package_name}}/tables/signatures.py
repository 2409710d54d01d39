"""What a file is, by its name and its first bytes."""

from __future__ import annotations

import re

from ..step import TABLES, Accepts, UserError, suffix

TEXT_SUFFIXES = (".csv", ".tsv")
ZIP_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".ods")
SUFFIXES = TABLES

ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

BOMS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""Byte order marks, the longer before the shorter that begin alike."""

_WEB_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_WEB_TABLE = re.compile(
    rb"<(table|thead|tbody|tr|td|th|meta|style|script|div)\b(?![^<>]*>[,;|\t])|mime-version:",
    re.IGNORECASE,
)
"""A part of a web page; but some programs write the names of columns as `<DATE>,<TR>`."""
_COMMENTS = re.compile(rb"(?:<!--.*?-->\s*)+", re.DOTALL)
_NO_TABLES = {
    re.compile(rb"<\?xml\b", re.IGNORECASE): (
        "is XML, not a table of text. Export the table as .csv, or open it in a spreadsheet and "
        "save it as .xlsx."
    ),
    re.compile(rb"\{\\rtf"): (
        "is a document (RTF), not a table of text. Copy its table into a spreadsheet and save that "
        "as .xlsx."
    ),
    re.compile(rb'(?:\[\s*)?\{\s*"[^"]*"\s*:'): (
        "is JSON, not a table of text: data, or the error of a program. Export the table as .csv."
    ),
}
"""How other texts begin, and what to say of them."""
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def byte_order_mark(head: bytes) -> str | None:
    """The encoding that a byte order mark at the start of `head` declares."""
    return next((encoding for mark, encoding in BOMS.items() if head.startswith(mark)), None)


def check_signature(name: str, head: bytes) -> None:
    """Check that the suffix of `name` is known and that the file's first bytes, `head`, fit it.

    A few kilobytes are enough. Raises `UserError` with one sentence that says what the file is and
    what to do instead. It is cheap and proves little: `read` looks at the whole file.
    """
    kind = suffix(name)
    if unknown := Accepts(SUFFIXES).refusal([name]):
        raise UserError(unknown)
    if not head:
        raise UserError(f"{name} is empty.")
    if kind in TEXT_SUFFIXES:
        problem = _text_problem(kind, head)
    elif kind in ZIP_SUFFIXES:
        problem = None if head.startswith(ZIP) else _zip_problem(kind, head)
    else:
        problem = None if head.startswith(OLE) else _ole_problem(kind, head)
    if problem:
        raise UserError(f"{name} {problem}")


def _text_problem(kind: str, head: bytes) -> str | None:
    if head.startswith((ZIP, OLE)):
        return (
            f"is named {kind} but is a spreadsheet or another binary file, not text. Give it its "
            f"true suffix, or save it as {kind}."
        )
    opening = _opening(head)
    if _WEB_PAGE.match(opening) or _WEB_TABLE.match(opening):
        return "is a web page, not a table of text. Download the data itself, or save it as .csv."
    if head.startswith(b"%PDF-") or (b"\0" in head and not byte_order_mark(head)):
        return f"is named {kind} but is not text. Save the table as {kind} (UTF-8)."
    return next((said for begins, said in _NO_TABLES.items() if begins.match(opening)), None)


def _zip_problem(kind: str, head: bytes) -> str:
    if head.startswith(OLE):
        if _ENCRYPTED in head:
            return "is password-protected. Remove the password and upload it again."
        return (
            f"is password-protected, or an older .xls workbook that was renamed to {kind}. "
            "Remove the password, or save it as .xlsx, and upload it again."
        )
    return _not_binary(kind, head)


def _ole_problem(kind: str, head: bytes) -> str:
    if head.startswith(ZIP):
        return (
            "is named .xls but is a newer workbook. Give it its true suffix, most likely .xlsx, "
            "and upload it again."
        )
    return _not_binary(kind, head)


def _not_binary(kind: str, head: bytes) -> str:
    """Say what a file is that has a spreadsheet's name and no spreadsheet's bytes."""
    opening = _opening(head)
    if _WEB_PAGE.search(opening) or _WEB_TABLE.match(opening):
        return f"is named {kind} but is a web page (HTML). Open it and save it as .xlsx."
    if opening.startswith(b"<"):
        return f"is named {kind} but is an XML export. Open it and save it as .xlsx."
    if b"\0" not in head or byte_order_mark(head):
        return (
            f"is named {kind} but is plain text. If its cells are separated by commas or tabs, "
            "rename it to .csv or .tsv; else save it as .xlsx."
        )
    return f"is not a {kind} workbook, or is damaged. Open it and save it again as .xlsx."


def _opening(head: bytes) -> bytes:
    """The first visible bytes, no comment of a web page among them.

    UTF-16 loses its zero bytes, which is enough to know a tag.
    """
    encoding = byte_order_mark(head)
    if encoding in ("utf-16", "utf-32"):
        head = head.replace(b"\0", b"")
    head = head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    comments = _COMMENTS.match(head)
    return head[comments.end() :] if comments else head
