"""Which character separates the cells of a text file.

The file's first records are split at each candidate, quotes honoured. The candidate whose records
agree most often on their number of cells wins; of equals the rarer in ordinary text does, so that
the commas of `1,5;2,5` do not beat its semicolons. (`csv.Sniffer` guesses from characters, and one
cell can mislead it.) A file whose first line has no comma, and every other one decimal number
with one, is a single column. A candidate that merely fills the cells or the lines of another up,
as the tabs of `123\t,4\t` do, has no say.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

CANDIDATES = "\t;|,"
_RECORDS = 200
_DECIMAL = re.compile(r"\s*\"?-?\d+(?:[.\s]\d{3})*,\d+\"?\s*")


def choose(lines: Sequence[str], suffix: str) -> str:
    """The delimiter of the first `lines` of a file, which keep their line ends."""
    if _is_one_column(lines):
        return "\t"
    scores = {delimiter: _agreement(lines, delimiter) for delimiter in CANDIDATES}
    for delimiter in CANDIDATES:
        others = (other for other in CANDIDATES if other != delimiter and 2 * scores[other] > 1)
        if any(_is_padding(lines, delimiter, other) for other in others):
            scores[delimiter] = 0.0
    best = max(CANDIDATES, key=scores.__getitem__)
    if scores[best] > 0:
        return best
    return "\t" if suffix == ".tsv" else ","


def _is_one_column(lines: Sequence[str]) -> bool:
    head, *others = [line for line in lines if line.strip()] or [""]
    single = not any(delimiter in head for delimiter in CANDIDATES)
    return single and bool(others) and all(map(_DECIMAL.fullmatch, others))


def _agreement(lines: Sequence[str], delimiter: str) -> float:
    """The share of records with the commonest number of cells, if that is more than one."""
    records = csv.reader(iter(lines), delimiter=delimiter)
    widths = Counter(len(record) for record in islice(records, _RECORDS) if any(record))
    several = [(times, width) for width, times in widths.items() if width > 1]
    return max(several)[0] / widths.total() if several else 0.0


def _is_padding(lines: Sequence[str], delimiter: str, other: str) -> bool:
    """Whether `delimiter` stands only where `other` or the line's end follows.

    At lines' ends alone it is padding if `other` divides the first line: else the file may be one
    column, whose texts have an `other` in them (`name;`, `Smith, John;`).
    """
    sample = [line.strip(" \r\n") for line in lines[:_RECORDS]]
    behind = {rest.lstrip(" ")[:1] for line in sample for rest in line.split(delimiter)[1:]}
    first = next(filter(None, sample), "")
    return behind == {other} or behind == {"", other} or (behind == {""} and other in first)


def declared(line: str) -> str | None:
    """The delimiter of a first line such as `sep=;`, which Excel writes and obeys."""
    text = line.strip(" \r\n").strip('"')  # but not a tab
    return text[4] if len(text) == 5 and text.lower().startswith("sep=") else None
