"""Small sets of answers: in one each answer occurs, in the other each pair of answers."""

from __future__ import annotations

from itertools import combinations, product

Row = dict[str, str]


NAMES: list[Row] = [
    {"project_name": "W" * 60, "project_slug": "x" * 40, "package_name": "y" * 30},
    {"project_name": "A", "project_slug": "a", "package_name": "a"},
    {"project_name": "表" * 60, "project_slug": "zz", "package_name": "zz"},
    {"project_name": "L’été – It's & <b>", "project_slug": "d-1", "package_name": "t_1"},
]
"""The longest, the shortest, the widest and the most awkward names."""


def each_answer(choices: dict[str, list[str]]) -> list[Row]:
    """As few rows as hold every answer of every question; the first has the defaults."""
    most = max(map(len, choices.values()))
    return [
        {question: answers[number % len(answers)] for question, answers in choices.items()}
        for number in range(most)
    ]


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
