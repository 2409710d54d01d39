"""`docs/attacks.md` tells what was tried; here it is held to what there is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = ROOT / "docs" / "attacks.md"
NODE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
PROMISE = re.compile(r"^test_(?:s\d\d_)+")
FEWEST = 60


def plain(name: str) -> str:
    """A test's name without the promises that it is named after."""
    return PROMISE.sub("test_", name)


def names_in(path: str) -> set[str]:
    return {plain(name) for name in re.findall(r"def (test_\w+)", (ROOT / path).read_text())}


def test_every_test_of_the_list_exists() -> None:
    named = NODE.findall(LIST.read_text())
    assert len(named) >= FEWEST
    assert [(path, name) for path, name in named if plain(name) not in names_in(path)] == []


def test_every_attempt_says_what_shows_it() -> None:
    tables = LIST.read_text().partition("## Looked at by hand")[0]
    rows = [line for line in tables.splitlines() if line.startswith("|")]
    heads = tables.count("| Attempt |") * 2
    assert len(rows) - heads == len(NODE.findall(tables))


def test_every_test_of_this_folder_is_in_the_list() -> None:
    folder = Path(__file__).parent
    shown = {name for _, name in NODE.findall(LIST.read_text())}
    here = {
        name
        for path in folder.glob("test_*.py")
        if path != Path(__file__)
        for name in names_in(f"tests/security/{path.name}")
    }
    assert here - {plain(name) for name in shown} == set()
