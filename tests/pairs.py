"""A small set of answers in which every pair of choices occurs."""

from __future__ import annotations

from itertools import combinations, product

Row = dict[str, str]


def pairs_in(row: Row) -> set[tuple[tuple[str, str], ...]]:
    return set(combinations(sorted(row.items()), 2))


def covering(choices: dict[str, list[str]]) -> list[Row]:
    """Rows, one answer a question, that hold every pair of answers to two questions.

    Greedy: the row that brings the most new pairs comes next. Not always the fewest rows, but
    the same rows every time.
    """
    rows = [dict(zip(choices, answers, strict=True)) for answers in product(*choices.values())]
    missing = set().union(*map(pairs_in, rows))
    chosen = []
    while missing:
        best = max(rows, key=lambda row: len(pairs_in(row) & missing))
        chosen.append(best)
        missing -= pairs_in(best)
    return chosen
