"""A template updater (cruft) creates an app and later brings it up to date, quietly."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TEMPLATE, clean_environment, files_of

LEFT_BEHIND = (".git", ".venv", ".dev", ".demo", ".*_cache", ".hypothesis", "__pycache__")
ANSWERS = {
    "project_name": "It's “Ours” & 表",
    "project_slug": "ours",
    "package_name": "ours",
    "description": 'a "b" \\ c',
    "ci": "none",
}
WHO = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")
SOMEONE = {f"GIT_{part}": "a@b" for part in WHO}


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(HOME=str(folder), GIT_CONFIG_NOSYSTEM="1", PYTHONUTF8="1", **SOMEONE),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(folder: Path) -> None:
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message=x")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / "template"
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    commit(folder)
    return folder


def cruft(folder: Path, *args: str) -> str:
    return run(folder, sys.executable, "-m", "cruft", *args)


def test_an_update_brings_the_change_and_nothing_else(tmp_path: Path, template: Path) -> None:
    said = cruft(
        tmp_path, "create", str(template), "--no-input", "--extra-context", json.dumps(ANSWERS)
    )
    app = tmp_path / "ours"
    commit(app)
    before = files_of(app / "src")

    readme = template / "{{cookiecutter.project_slug}}" / "README.md"
    readme.write_text(readme.read_text("utf-8") + "\nOne line more.\n", "utf-8")
    commit(template)
    said += cruft(app, "update", "--skip-apply-ask")

    changed = run(app, "git", "status", "--porcelain").split()
    assert changed == ["M", ".cruft.json", "M", "README.md"]
    assert (app / "README.md").read_text("utf-8").endswith("\nOne line more.\n")
    assert not (app / ".github").exists()
    assert files_of(app / "src") == before
    assert "make run" not in said, "an updater is told no next steps"
    cruft(app, "check")
