"""Every bake is clean (ruff, format, mypy strict), whatever was chosen and whatever its name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import CHOICES, Bake
from pairs import NAMES, covering


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of types for all bakes: they differ in little."""
    return tmp_path_factory.mktemp("types")


@pytest.mark.parametrize(
    "answers", [*covering(CHOICES), *NAMES], ids=lambda answers: "-".join(answers.values())[:40]
)
def test_a_bake_is_clean(bake: Bake, fresh: Path, cache: Path, answers: dict[str, str]) -> None:
    project = bake(**answers).project
    tools = fresh / ".venv/bin"
    for command in (
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--no-cache", "--check", "--diff", "."],
        ["mypy", f"--python-executable={tools}/python", f"--cache-dir={cache}"],
    ):
        done = subprocess.run(
            [tools / command[0], *command[1:]], cwd=project, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
