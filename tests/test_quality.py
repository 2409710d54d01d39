"""Every bake is clean (ruff, format, mypy strict), whatever was chosen and whatever its name."""

from __future__ import annotations

import hashlib
import subprocess
import tomllib
from pathlib import Path

import pytest
from conftest import CHOICES, Bake, clean_environment, files_of
from pairs import NAMES, covering


@pytest.fixture(scope="module")
def clean() -> set[str]:
    """The Python that has been looked at: many answers lead to the same."""
    return set()


def python_of(project: Path) -> str:
    """Of all that the tools look at, and of how they are set, as a hash."""
    tools = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["tool"]
    files = [each for each in files_of(project).items() if each[0].endswith(".py")]
    return hashlib.sha256(repr([tools, *sorted(files)]).encode()).hexdigest()


@pytest.mark.parametrize(
    "answers", [*covering(CHOICES), *NAMES], ids=lambda answers: "-".join(answers.values())[:40]
)
def test_a_bake_is_clean(
    kept: Bake, fresh: Path, types: dict[str, str], clean: set[str], answers: dict[str, str]
) -> None:
    project = kept(**answers).project
    python = python_of(project)
    if python in clean:
        return
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
    clean.add(python)
