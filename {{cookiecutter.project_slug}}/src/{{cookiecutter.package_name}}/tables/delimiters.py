"""Which character separates the cells of a text file.

The file's first records are split at each candidate, quotes honoured. The candidate whose records
agree most often on their number of cells wins; of equals the rarer in ordinary text does, so that
the commas of `1,5;2,5` do not beat its semicolons. (`csv.Sniffer` guesses from characters, and one
cell can mislead it.)
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from itertools import islice

CANDIDATES = "\t;|,"
_RECORDS = 200


def choose(lines: Sequence[str], suffix: str) -> str:
    """The delimiter of the first `lines` of a file, which keep their line ends."""
    scores = {delimiter: _agreement(lines, delimiter) for delimiter in CANDIDATES}
    best = max(CANDIDATES, key=scores.__getitem__)
    if scores[best] > 0:
        return best
    return "\t" if suffix == ".tsv" else ","


def _agreement(lines: Sequence[str], delimiter: str) -> float:
    """The share of records with the commonest number of cells, if that is more than one."""
    records = csv.reader(iter(lines), delimiter=delimiter)
    widths = Counter(len(record) for record in islice(records, _RECORDS) if any(record))
    several = [(times, width) for width, times in widths.items() if width > 1]
    return max(several)[0] / widths.total() if several else 0.0


def declared(line: str) -> str | None:
    """The delimiter of a first line such as `sep=;`, which Excel writes and obeys."""
    text = line.strip().strip('"')
    return text[4] if len(text) == 5 and text.lower().startswith("sep=") else None
