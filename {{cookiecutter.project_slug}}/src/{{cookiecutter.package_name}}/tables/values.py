"""The type of a text column, and its cells as values of that type.

A column is typed as a whole. It is a number column if at least half of its cells are numbers, cells
that stand for "missing" (NA, n/a, -) not counted; date and boolean columns likewise. What is not of
the column's type stays the text it is, so nothing is lost.

- A number is digits, with a decimal point and an exponent if it has a sign or a point (`1e-05`).
  A float of a file is a float here (`2.0`), an integer an integer.
- Decimal commas (`1.234,56`) are read where every number of the column fits them, groups of three
  by comma (`1,234.5`) likewise. Two groups or more tell which they are (`1.234.567`), and with them
  what `1.234` or `1,234` beside them means; where another number contradicts, these stay text.
- Where a column has no numbers but such as `1.234` or `1,234`, the other columns tell what the mark
  is, if they agree (`decimal_mark`). If they tell nothing, `1.234` has a decimal point, and `1,234`
  means 1234 in a comma file, 1.234 in a semicolon file, and stays text in another.
- A number with a leading zero or beyond 2**53 makes its whole column text: it names something, and
  neither a spreadsheet nor a browser would keep it exact.
- ISO dates and points in time become dates, those of one column alike; with a UTC offset they stay
  text, as do NaN, infinity, 1e400, percentages, currencies and digits that are not ASCII.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime
from math import isfinite

from ..values import MAX_WHOLE, Cell

_CACHED = 20_000
_CACHED_IN_ALL = 160_000
"""Values that the columns of a sheet keep together, if they are more than eight."""

_KINDS = re.compile(
    r"""
      (?P<identifier> -?0\d+(?:[.,]\d+)? )
    | (?P<integer> -?\d+ )
    | (?P<groups> -?[1-9]\d{0,2}(?:\.\d{3}){2,} )
    | (?P<thousand> -?[1-9]\d{0,2}\.\d{3} )
    | (?P<float> -?(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)? | -?\d+[eE][+-]\d+ )
    | (?P<comma_groups> -?[1-9]\d{0,2}(?:,\d{3}){2,} )
    | (?P<commas> -?[1-9]\d{0,2},\d{3} )
    | (?P<commas_point> -?[1-9]\d{0,2}(?:,\d{3})+\.\d+ )
    | (?P<comma> -?\d+,\d+ )
    | (?P<points_comma> -?[1-9]\d{0,2}(?:\.\d{3})+,\d+ )
    | (?P<date> \d{4}-\d\d-\d\d )
    | (?P<datetime> \d{4}-\d\d-\d\d[T\ ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,6})?)? )
    | (?P<boolean> true|false )
    | (?P<missing> na|n/a|\#n/a|nan|null|none|nil|-|--|\.|\? )
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)

_DATES = frozenset(("date", "datetime"))
_PLAIN = frozenset(("integer", "float", "thousand"))
_COMMA_GROUPS = _PLAIN | {"commas", "comma_groups", "commas_point"}
_COMMA_DECIMAL = frozenset(("integer", "thousand", "groups", "commas", "comma", "points_comma"))
_NUMBERS = _COMMA_GROUPS | _COMMA_DECIMAL
_COMMA_MARK = frozenset(("comma", "points_comma", "groups"))
_POINT_MARK = frozenset(("float", "commas_point", "comma_groups"))
"""The kinds that are numbers by one decimal mark alone."""
_WHOLE = frozenset(("integer", "groups", "comma_groups"))
_GROUPED = str.maketrans("", "", ".,")
_LONGEST = 64
"""Characters; a longer text is no number that can be kept, and no date."""

Convert = Callable[[str], Cell]


def classify(text: str) -> str:
    """The kind of one cell by its text alone: `blank`, `text`, or a group of the pattern."""
    text = text.strip()
    if not text:
        return "blank"
    if len(text) > _LONGEST:
        return "identifier" if text.isascii() and text.isdigit() else "text"
    match = _KINDS.fullmatch(text)
    kind = match.lastgroup if match else None
    if kind in _WHOLE and len(text) > 15 and abs(int(text.translate(_GROUPED))) > MAX_WHOLE:
        return "identifier"
    if kind in ("float", "thousand") and not _is_float(text):
        return "text"
    if kind in _DATES and _moment(text) is None:
        return "text"
    return kind or "text"


def _is_float(text: str) -> bool:
    """Whether a float can hold the number: neither infinity nor a zero that is none."""
    number = float(text)
    return isfinite(number) and (number != 0 or not re.search("[1-9]", re.split("[eE]", text)[0]))


def _moment(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        return None


class Cache(dict[str, Cell]):
    """Values by their text, made once for each; bounded, because a column may hold no two alike.

    The more caches there are of a sheet, the fewer values each keeps.
    """

    __slots__ = ("_convert", "_most")

    def __init__(self, convert: Convert, caches: int = 1) -> None:
        super().__init__()
        self._convert = convert
        self._most = min(_CACHED, max(1, _CACHED_IN_ALL // caches))

    def __missing__(self, text: str) -> Cell:
        if len(self) >= self._most:
            self.clear()
        value = self[text] = self._convert(text)
        return value


def decimal_mark(tallies: Iterable[Counter[Cell]]) -> str:
    """The decimal mark that the columns of a sheet prove, `,` or `.`; none if they disagree.

    A file is written by one convention, so that the `3,50` of one column tells what the `1.234` of
    another is. Columns of names and of text are no witnesses, nor are those that contradict
    themselves.
    """
    marks = set(map(_own_mark, tallies)) - {""}
    return marks.pop() if len(marks) == 1 else ""


def _own_mark(tally: Counter[Cell]) -> str:
    """The decimal mark that the numbers of one column prove by themselves."""
    typed = _typed(tally)
    if tally["identifier"] or 2 * sum(tally[kind] for kind in _NUMBERS) < typed:
        return ""
    commas, points = (any(tally[kind] for kind in kinds) for kinds in (_COMMA_MARK, _POINT_MARK))
    if commas == points:
        return ""
    return "," if commas else "."


def _typed(tally: Counter[Cell]) -> int:
    """How many cells of a column have something to read."""
    return tally.total() - tally["blank"] - tally["missing"]


def converter(tally: Counter[Cell], delimiter: str, mark: str = "") -> Convert:
    """How the cells of a column become values, given how many of each kind it has.

    `mark` is the sheet's `decimal_mark`, for a column that does not tell its own.
    """
    typed = _typed(tally)
    kinds, parse = _numbers(tally, delimiter, mark)
    for family, make in ((kinds, parse), (_DATES, _date(tally)), (_BOOLEAN, _boolean)):
        if typed and 2 * sum(tally[kind] for kind in family) >= typed:
            pure = typed == tally.total() - tally["blank"] == sum(tally[kind] for kind in family)
            return _sure(make) if pure else _convert(family, make)
    return _text


def _numbers(tally: Counter[Cell], delimiter: str, mark: str) -> tuple[frozenset[str], Convert]:
    """The kinds that are numbers in this column, and how their text is read."""
    if tally["identifier"]:
        return frozenset(), _plain
    if mark and not any(tally[kind] for kind in _COMMA_MARK | _POINT_MARK):
        return (_COMMA_DECIMAL, _comma_decimal) if mark == "," else (_COMMA_GROUPS, _comma_groups)
    comma_groups = tally["commas_point"] + tally["comma_groups"]
    point_groups = tally["points_comma"] + tally["groups"]
    decimal = tally["comma"] + point_groups
    points = tally["float"] + comma_groups + (0 if point_groups else tally["thousand"])
    if not points and (decimal or (tally["commas"] and delimiter == ";")):
        return _COMMA_DECIMAL, _comma_decimal
    if not decimal and (comma_groups or delimiter == ","):
        return _COMMA_GROUPS, _comma_groups
    return _PLAIN - {"thousand"} if point_groups else _PLAIN, _plain


def _convert(kinds: frozenset[str], parse: Convert) -> Convert:
    def convert(text: str) -> Cell:
        if classify(text) not in kinds:
            return _text(text)
        try:
            return parse(text.strip())
        except ValueError:
            return text

    return convert


def _sure(parse: Convert) -> Convert:
    """The same for a column in which every cell is blank or of its type."""

    def convert(text: str) -> Cell:
        text = text.strip()
        return parse(text) if text else None

    return convert


def _text(text: str) -> Cell:
    return text if text and not text.isspace() else None


def _plain(text: str) -> Cell:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _comma_groups(text: str) -> Cell:
    return _plain(text.replace(",", ""))


def _comma_decimal(text: str) -> Cell:
    return _plain(text.replace(".", "").replace(",", "."))


_BOOLEAN = frozenset(("boolean",))


def _boolean(text: str) -> Cell:
    return text.lower() == "true"


def _date(tally: Counter[Cell]) -> Convert:
    """Dates, or points in time if the column holds one: the two cannot be compared."""
    return datetime.fromisoformat if tally["datetime"] else date.fromisoformat
