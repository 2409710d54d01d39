"""Every bake is clean (ruff, format, mypy strict), whatever was chosen and whatever its name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import CHOICES, Bake, clean_environment
from pairs import NAMES, covering


@pytest.mark.parametrize(
    "answers", [*covering(CHOICES), *NAMES], ids=lambda answers: "-".join(answers.values())[:40]
)
def test_a_bake_is_clean(
    kept: Bake, fresh: Path, types: dict[str, str], answers: dict[str, str]
) -> None:
    project = kept(**answers).project
    tools = fresh / ".venv/bin"
    for command in (
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--no-cache", "--check", "--diff", "."],
        ["mypy", f"--python-executable={tools}/python"],
    ):
        done = subprocess.run(
            [tools / command[0], *command[1:]],
            cwd=project,
            env=clean_environment(**types),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
