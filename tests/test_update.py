"""An app follows this template: `cruft update` brings what changed, and keeps what people did."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import SUMMARY, TEMPLATE, clean_environment, files_of, run_cookiecutter
from earlier import make_earlier, without_example

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
MADE_UP = "an earlier version"
TESTS = [
    *(
        "tests/test_pipeline.py",
        "tests/test_config.py",
        "tests/test_cli.py",
        "tests/test_client.py",
    ),
    *("tests/web/test_process.py", "tests/web/test_upload.py", "tests/web/test_openapi.py"),
]
STEP = '''"""A step of one's own."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from .report import Report
from .step import Accepts, InputFile, Progress

ACCEPTS = Accepts()


class Options(BaseModel):
    """Nothing to choose."""

    model_config = ConfigDict(extra="forbid")


def process(inputs: Sequence[InputFile], options: Options, progress: Progress) -> Report:
    """Greet."""
    progress(1, 1, "Done")
    return Report(f"Hello to {len(inputs)}", [])
'''
TEST_OF_STEP = '''"""It greets."""

from ours.pipeline import Options, process
from ours.step import SilentProgress


def test_it_greets() -> None:
    assert process([], Options(), SilentProgress()).title == "Hello to 0"
'''


def run(folder: Path, *command: str, typed: str = "") -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(HOME=str(folder), GIT_CONFIG_NOSYSTEM="1", PYTHONUTF8="1", **SOMEONE),
        input=typed,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(folder: Path) -> str:
    """Commit all that is there, and say which commit that is."""
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message=x")
    return run(folder, "git", "rev-parse", "HEAD").strip()


def documented(page: Path, command: str, **found: str) -> list[str]:
    """A command of cruft as a page tells it, with what its reader looks up."""
    start = f"pipx run cruft {command} "
    lines = [line.strip() for line in page.read_text("utf-8").splitlines()]
    [line] = [line for line in lines if line.startswith(start)]
    words = shlex.split(line, comments=True)[3:]
    assert {*found} <= {*words}
    return [found.get(word, word) for word in words]


def cruft(folder: Path, *args: str, typed: str = "") -> str:
    """Run cruft; whatever it asks beyond `typed` finds no answer, and fails."""
    return run(folder, sys.executable, "-m", "cruft", *args, typed=typed)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) >= 1, f"{path.name} has no {old!r}"
    path.write_text(text.replace(old, new, 1), "utf-8")


def work_on(app: Path) -> None:
    """What people do with an app: a step of their own, and a little in many files."""
    package = app / "src/ours"
    (package / "pipeline.py").write_text(STEP, "utf-8")
    (app / "tests/test_pipeline.py").write_text(TEST_OF_STEP, "utf-8")
    (package / "greeting.py").write_text('"""Ours."""\n', "utf-8")
    (app / "docs/attacks.md").unlink()
    change(app / "README.md", "## Two commands\n", "Ask Ada when in doubt.\n\n## Two commands\n")
    change(app / "pyproject.toml", 'version = "0.1.0"', 'version = "1.2.3"')
    change(app / "Makefile", ".DEFAULT_GOAL", "GREETING := hello\n.DEFAULT_GOAL")
    change(app / ".env.example", "#SECRET_KEY=", "#GREETING=hello\n#SECRET_KEY=")
    setting = '    greeting: str = Field("hello", description="What the page says.")\n'
    change(package / "config.py", "    silo_ttl:", setting + "    silo_ttl:")
    [renamed_since] = package.glob("*headings.py")
    change(renamed_since, "from __future__", "# Ours.\nfrom __future__")


def releases() -> list[str]:
    """The last release's tag, where the history is there: a shallow clone has none."""
    command = ["git", "tag", "--list", "v*", "--sort=-version:refname"]
    return subprocess.run(command, cwd=TEMPLATE, capture_output=True, text=True).stdout.split()[:1]


@pytest.fixture
def template(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A repository that holds an earlier version of this template: a made-up one, or a tag's."""
    folder = tmp_path / "template"
    tag = getattr(request, "param", MADE_UP)
    if tag == MADE_UP:
        bring(folder)
        make_earlier(folder)
    else:
        run(tmp_path, "git", "init", "--quiet", str(folder))
        run(folder, "git", "fetch", "--quiet", "--depth=1", str(TEMPLATE), "tag", tag)
        run(folder, "git", "checkout", "--quiet", tag, "--", ".")
    commit(folder)
    return folder


def bring(folder: Path) -> None:
    """Make a folder hold this template as it is now."""
    leave = shutil.ignore_patterns(*LEFT_BEHIND)
    shutil.copytree(TEMPLATE, folder, ignore=leave, dirs_exist_ok=True)


def release(template: Path) -> None:
    """Commit this template as it is now on top of the earlier version."""
    run(template, "git", "rm", "--quiet", "-r", ".")
    bring(template)
    commit(template)


def answers_with(example: str) -> dict[str, str]:
    return {**ANSWERS, "example": example}


def create(template: Path, answers: dict[str, str]) -> Path:
    """An app of the earlier version that follows the template, committed and then worked on."""
    command = documented(TEMPLATE / "README.md", "create", ADDRESS=str(template))
    cruft(template.parent, *command, "--no-input", "--extra-context", json.dumps(answers))
    return template.parent / "ours"


def worked_on(app: Path) -> Path:
    """The app committed as it was baked, then changed as people do, and committed again."""
    commit(app)
    work_on(app)
    commit(app)
    return app


def expected(folder: Path, answers: dict[str, str]) -> dict[str, bytes]:
    """The files of an app baked now, on which people did the same work."""
    done = run_cookiecutter(folder, "--no-input", *(f"{k}={v}" for k, v in answers.items()))
    assert done.returncode == 0, done.stderr
    work_on(folder / "ours")
    return files_of(folder / "ours")


def files_of_app(app: Path) -> dict[str, bytes]:
    files = files_of(app)
    return {
        name: data for name, data in files.items() if not name.startswith((".git/", ".cruft.json"))
    }


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


def update(app: Path, template: Path) -> str:
    """Bring an app to this template's present version, commit that, and return what was said."""
    release(template)
    said = cruft(app, "update", "--skip-apply-ask")
    commit(app)
    return said


@pytest.mark.parametrize("template", [MADE_UP, *releases()], indirect=True)
@pytest.mark.parametrize("example", ["profile", "merge", "reconcile"])
def test_an_update_makes_an_app_what_it_would_be_if_it_were_made_today(
    tmp_path: Path, template: Path, example: str
) -> None:
    answers = answers_with(example)
    app = worked_on(create(template, answers))
    said = update(app, template)
    assert differing(files_of_app(app), expected(tmp_path / "now", answers)) == set()
    assert "make run" not in said, "an updater is told no next steps"


def test_an_app_from_before_a_question_is_updated_with_its_default(
    tmp_path: Path, template: Path
) -> None:
    without_example(template)
    commit(template)
    app = worked_on(create(template, ANSWERS))
    update(app, template)
    assert differing(files_of_app(app), expected(tmp_path / "now", ANSWERS)) == set()


def test_a_second_update_changes_nothing(template: Path) -> None:
    app = worked_on(create(template, answers_with("merge")))
    update(app, template)
    cruft(app, "check")
    cruft(app, "update", "--skip-apply-ask")
    cruft(app, "update", "--skip-apply-ask", "--refresh-private-variables")
    assert run(app, "git", "status", "--porcelain") == ""


def test_another_answer_may_be_given_later(tmp_path: Path, template: Path) -> None:
    app = worked_on(create(template, answers_with("profile")))
    release(template)
    cruft(app, "update", "-y", "--variables-to-update", json.dumps({"docker": "no"}))
    answers = {**answers_with("profile"), "docker": "no"}
    assert differing(files_of_app(app), expected(tmp_path / "now", answers)) == set()


def test_what_both_changed_is_marked_and_keeps_both_texts(template: Path) -> None:
    app = worked_on(create(template, answers_with("profile")))
    change(app / "Makefile", "# An earlier comment.", "# Our comment.")
    commit(app)
    release(template)
    cruft(app, "update", "-y")
    states = run(app, "git", "status", "--porcelain").splitlines()
    assert [state for state in states if state.startswith("U")] == ["UU Makefile"]
    assert not list(app.rglob("*.rej"))
    assert "# Our comment.\n=======\n" in (app / "Makefile").read_text("utf-8")
    run(app, "git", "checkout", "--ours", "Makefile")
    assert "# Our comment.\nwheel:" in (app / "Makefile").read_text("utf-8")


def test_an_app_made_without_cruft_can_follow_later(tmp_path: Path, template: Path) -> None:
    earlier = run(template, "git", "rev-parse", "HEAD").strip()
    answers = answers_with("profile")
    done = run_cookiecutter(
        tmp_path, "--no-input", *(f"{k}={v}" for k, v in answers.items()), template=template
    )
    assert done.returncode == 0, done.stderr
    app = worked_on(tmp_path / "ours")
    release(template)
    typed = "\n".join([*list(ANSWERS.values())[:4], "", "", "2", "", "", ""]) + "\n"
    command = documented(app / "docs/updating.md", "link", ADDRESS=str(template), COMMIT=earlier)
    cruft(app, *command, typed=typed)
    assert run(app, "git", "status", "--porcelain").split() == ["??", ".cruft.json"]
    commit(app)
    cruft(app, "update", "--skip-apply-ask")
    assert differing(files_of_app(app), expected(tmp_path / "now", answers)) == set()


def test_an_updated_app_passes_its_own_tests(
    fresh: Path, template: Path, types: dict[str, str]
) -> None:
    app = worked_on(create(template, answers_with("merge")))
    update(app, template)
    started = time.monotonic()
    python = str(fresh / ".venv/bin/python")
    for tool in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"], ["pytest", *TESTS]):
        done = subprocess.run(
            [python, "-m", *tool],
            cwd=app,
            env=clean_environment(PYTHONPATH=str(app / "src"), **types),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    last = done.stdout.splitlines()[-1].strip("= ")
    SUMMARY.append(f"an updated app: {time.monotonic() - started:.0f} s: {last}")
