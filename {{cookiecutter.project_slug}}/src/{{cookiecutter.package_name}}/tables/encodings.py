"""Which encoding a text file has, and what to tell the person about the choice.

A byte order mark decides, else UTF-8 if every byte fits. A file with half as many sound UTF-8
sequences as broken ones is a broken UTF-8 file, and an error. Any other comes from an older
program: charset-normalizer guesses from the lines that are not ASCII, and is believed where it is
good (text in which most such bytes stand together, as in Cyrillic or Japanese; languages of central
Europe); else the file is Windows-1252, the commonest by far. Where that leaves bytes without
meaning, or hardly a letter in its place, it is one of the encodings of DOS and Macintosh in which
nearly all are: Excel still offers them as kinds of CSV.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from charset_normalizer import CharsetMatch, from_bytes

from ..step import UserError
from .signatures import byte_order_mark

_BLOCK = 1024 * 1024
_SAMPLE = 32 * 1024
_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]{2,}")
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")

_CENTRAL = frozenset(
    ("Croatian", "Czech", "Hungarian", "Polish", "Romanian", "Slovak", "Slovene", "Turkish")
)
_COHERENT = 0.4
_FEW = 60
"""Bytes beyond ASCII of which less tell too little of a language to be sure of its encoding."""
_DOUBT = " Some letters may be wrong: save it as CSV UTF-8 if they are."
_CANDIDATES = [
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949", "cp874"),
]
_OLDER = ("cp850", "cp866", "mac_roman", "mac_cyrillic")
_REAL, _UNREAL = 0.9, 0.5
"""Shares of letters in their place above which a text is one, and below which it is none."""

_SIGNS = "ƒµπΩ"
"""Letters that stand for something else than a sound."""

_NAMES = {
    "cp1252": "Windows-1252 (western Europe)",
    "cp1250": "Windows-1250 (central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp932": "Shift JIS (Japanese)",
    "latin_1": "ISO 8859-1 (western Europe)",
    "cp850": "code page 850 (MS-DOS, western Europe)",
    "cp866": "code page 866 (MS-DOS, Cyrillic)",
    "mac_roman": "Mac Roman (Macintosh, western Europe)",
    "mac_cyrillic": "Mac Cyrillic (Macintosh)",
}


@dataclass(frozen=True)
class Choice:
    """An encoding by Python's name, and sentences if it is not the expected UTF-8."""

    encoding: str
    told: list[str]


def choose(path: PathLike[str], name: str) -> Choice:
    """Find the encoding of a whole file. Raises `UserError` if it is broken."""
    with Path(path).open("rb") as file:
        marked = byte_order_mark(file.read(4))
    encoding = marked or "utf-8"
    line = _broken_line(path, encoding)
    if line is None:
        return Choice(encoding, [] if "8" in encoding else [_decoded(encoding)])
    sample = _sample(path)
    if marked or _is_broken_utf8(sample):
        raise UserError(
            f"{name} is broken: near line {line:,} it holds bytes that are not {_label(encoding)}. "
            "Save it again as CSV UTF-8."
        )
    guess = _guess(sample)
    fits = _broken_line(path, guess) is None
    if not fits or (guess == "cp1252" and _letters(sample, guess) < _UNREAL):
        guess = _older(path, sample) or (guess if fits else "latin_1")
    doubt = _DOUBT if guess == "latin_1" or len(_HIGH.findall(sample)) < _FEW else ""
    return Choice(guess, [f"The file is not UTF-8. {_decoded(guess)}{doubt}"])


def _broken_line(path: PathLike[str], encoding: str) -> int | None:
    """The number of the first line that does not decode, from 1; None if all do."""
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    with Path(path).open("rb") as file:
        while True:
            block = file.read(_BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return line + _lines(error.object[: error.start].decode(encoding, "replace"))
            line += _lines(text)
            if not block:
                return None


def _is_broken_utf8(sample: bytes) -> bool:
    """Whether half as many sound sequences as broken ones or more: by chance there are few."""
    broken = sample.decode("utf-8", "replace").count("\N{REPLACEMENT CHARACTER}")
    return 2 * len(_UTF8.findall(sample)) >= broken


def _lines(text: str) -> int:
    return max(text.count("\n"), text.count("\r"))


def _sample(path: PathLike[str]) -> bytes:
    """The first lines that are not ASCII, from anywhere in the file."""
    found = bytearray()
    with Path(path).open("rb") as file:
        while len(found) < _SAMPLE and (block := file.read(_BLOCK)):
            lines = block.splitlines(keepends=True)
            found += b"".join(line for line in lines if not line.isascii())
    return bytes(found[:_SAMPLE])


def _guess(sample: bytes) -> str:
    best = from_bytes(sample, cp_isolation=_CANDIDATES).best()
    if best and (_stands_together(sample) or _is_central(best)):
        return best.encoding
    return "cp1252"


def _older(path: PathLike[str], sample: bytes) -> str | None:
    """The encoding of an older system that makes real text of the file."""
    shares = {encoding: _letters(sample, encoding) for encoding in _OLDER}
    best = max(shares, key=shares.__getitem__)
    real = shares[best] >= _REAL and _broken_line(path, best) is None
    return best if real else None


def _letters(sample: bytes, encoding: str) -> float:
    """The share of the characters beyond ASCII that are letters in their place."""
    text = f" {sample.decode(encoding, 'replace')} "
    beyond = [at for at, character in enumerate(text) if not character.isascii()]
    fitting = sum(_fits(text[at - 1], text[at], text[at + 1]) for at in beyond)
    return fitting / max(1, len(beyond))


def _fits(before: str, letter: str, after: str) -> bool:
    """Whether a letter stands beside letters of its alphabet, and a capital first or among
    capitals: as in `Über`, `MÜLLER` and `Müller`, but not in `M3ller` or `MŸller`."""
    beside = [character for character in (before, after) if character.isalpha()]
    cased = letter.lower() != letter.upper() and letter not in _SIGNS
    if not beside or not cased or any(_is_latin(each) != _is_latin(letter) for each in beside):
        return False
    if letter.isupper():
        return not before.isalpha() or (before.isupper() and not after.islower())
    return not after.isupper()


def _is_latin(letter: str) -> bool:
    return letter < "\N{GREEK CAPITAL LETTER HETA}"


def _stands_together(sample: bytes) -> bool:
    """Whether most bytes beyond ASCII have one beside them: no script of western Europe does."""
    return sum(map(len, _HIGH_RUN.findall(sample))) > 0.6 * len(_HIGH.findall(sample))


def _is_central(best: CharsetMatch) -> bool:
    return best.language in _CENTRAL and best.coherence >= _COHERENT


def _decoded(encoding: str) -> str:
    return f"It was decoded as {_label(encoding)}."


def _label(encoding: str) -> str:
    return _NAMES.get(encoding) or encoding.removesuffix("-sig").upper().replace("_", "-")
