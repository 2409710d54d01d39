"""What pages say of figures is what was measured: each comes from the file that holds it."""

from __future__ import annotations

from pathlib import Path

import pytest
import quotes
import report
from goals import Goal, Rows, Word, glance
from growth import growth

ROWS: Rows = {
    "ours, two": {"s": 0.5, "said": "complete"},
    "ours, one": {"s": 9.0, "said": "lost"},
    "flask-silo": {"s": 1.0, "said": "not started"},
    "Gradio": {"": "it has no page"},
}


def test_the_page_of_figures_is_what_the_figures_make_of_it() -> None:
    assert report.PAGE.read_text("utf-8") == report.page(), "python benchmarks/report.py writes it"


@pytest.mark.parametrize("page", quotes.PLACES, ids=lambda page: page.name)
def test_figures_that_a_page_quotes_are_those_of_the_files(page: Path) -> None:
    assert page.read_text("utf-8") == quotes.filled(page), "python benchmarks/report.py writes it"


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("at most", 0.5), True),
        (Goal("under", 0.5), False),
        (Goal("at least", 0.5), True),
        (Goal("at most", 0.5, "flask-silo"), True),
        (Goal("at most", 0.4, "flask-silo"), False),
        (Goal("at least", 1.5, "flask-silo"), False),
        (Goal("at most", 1, "Gradio"), False),
    ],
)
def test_a_goal_is_met_by_the_first_way_of_ours_alone(goal: Goal, met: bool) -> None:
    assert goal.met(ROWS, "s") is met
    assert not goal.met({"ours": {"": "could not run"}}, "s")
    assert not goal.met({}, "s")


def test_a_word_is_met_by_itself_alone() -> None:
    assert Word("complete").met(ROWS, "said")
    assert not Word("complete").met(
        {"ours": {"said": "complete (2 times), lost (1 times)"}}, "said"
    )


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    *_, bake, make_test = glance({"bake": {"ours": {"p50 (s)": 0.5}}})
    assert bake.endswith("| 0.5 | - | - | - | - | - | under 1 | met |")
    assert make_test.endswith("| not measured |")


def test_growth_is_of_the_largest_number_beside_the_smallest() -> None:
    rows: Rows = {
        f"{n:,} rows, csv": {"µs a row": cost} for n, cost in ((1000, 8.0), (10_000, 4.0))
    }
    rows["1,000,000 rows, csv"] = {"refused": "too many"}
    assert growth({"growth": rows})[0] == "| of so many | 1,000 | 10,000 | last / first |"
    assert growth({"growth": rows})[-1].endswith("| 8.0 | 4.0 | 0.5 |")
    assert growth({}) == []
