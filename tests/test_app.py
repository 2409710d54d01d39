"""The generated app in an environment that its own Makefile made."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import subprocess
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
from conftest import CHOICES, SUMMARY, TEMPLATE, Bake, clean_environment, git, make
from pairs import each_answer
from serving import answers, report_of, served
from test_bake import EXPECTED
from test_hooks import complaints

README_STEP = re.compile(r"```python\n(.*?)```", re.DOTALL)
STEP = "src/acme_reports/pipeline.py"
TEST_OF_STEP = "tests/test_pipeline.py"


def test_the_apps_own_tests_pass_and_leave_nothing_to_commit(
    fresh: Path, own_tests: Future[tuple[str, float]]
) -> None:
    assert sorted(git(fresh, "ls-files").split()) == sorted(EXPECTED)
    said, seconds = own_tests.result()
    last = [line for line in said.splitlines() if re.search(r"\d+ passed", line)][-1]
    SUMMARY.append(f"`make test` of the app: {seconds:.0f} s: {last.strip('= ')}")
    assert " 0 passed" not in last
    assert git(fresh, "status", "--porcelain") == ""
    deadline = time.monotonic() + 60
    while left := programs_of(fresh):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def programs_of(project: Path) -> list[str]:
    """The commands that run from the project's environment, where /proc tells them."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            commands.append(path.read_text(errors="replace"))
    return [command for command in commands if f"{project}/.venv" in command]


def test_the_apps_own_tests_include_a_browser(listed: Future[list[str]]) -> None:
    in_one = [name for name in listed.result() if name.startswith("tests/e2e/")]
    assert sum("[chromium]" in name for name in in_one) >= 10


WHAT_FILES_TOUCH = ["test_docs", "test_pages", "test_supply", "security/test_list"]
WHAT_THE_STEP_TOUCHES = [
    *("test_pipeline", "test_contract", "test_cli", "web/test_events", "web/test_openapi"),
    *("web/test_process", "web/test_status", "web/test_upload"),
]
"""`make matrix` runs all tests of each; here those of the default example have run already."""


@pytest.mark.parametrize("row", each_answer(CHOICES)[1:], ids=lambda row: "-".join(row.values()))
def test_every_answer_leaves_an_app_whose_own_tests_pass(
    bake: Bake, fresh: Path, row: dict[str, str]
) -> None:
    project = bake(**row).project
    same = row["example"] == CHOICES["example"][0]
    names = WHAT_FILES_TOUCH + ([] if same else WHAT_THE_STEP_TOUCHES)
    files = [f"tests/{name}.py" for name in names]
    started = time.monotonic()
    done = subprocess.run(
        [fresh / ".venv/bin/python", "-m", "pytest", "-q", *files],
        cwd=project,
        env=clean_environment(PYTHONPATH=str(project / "src")),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    last = done.stdout.splitlines()[-1]
    SUMMARY.append(f"`{'-'.join(row.values())}`: {time.monotonic() - started:.0f} s: {last}")


def test_make_run_serves_and_reads_the_env_file(fresh: Path) -> None:
    (fresh / ".env").write_text('SILO_DATA_DIR="kept here"\n')
    try:
        with served(fresh, "make", "run", "ARGS=--port $PORT") as url:
            report = report_of(url, "sales.csv", b"Region,Amount\nNorth,2\nSouth,3\nNorth,5\n")
        rows = [row for table in report["tables"] for row in table["rows"]]
        assert any(row[0] == "North" and 7 in row for row in rows)
        assert (fresh / "kept here").is_dir()
    finally:
        (fresh / ".env").unlink()
        shutil.rmtree(fresh / "kept here", ignore_errors=True)


def test_make_run_starts_nothing_with_an_env_file_that_is_read_in_part(fresh: Path) -> None:
    (fresh / ".env").write_text("SILO_LIMIT_JOBS=5/10 minutes\nSILO_TTL=soon\n")
    try:
        run = subprocess.run(
            ["make", "run"],
            cwd=fresh,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode
        assert "minutes" in run.stderr
        assert "SILO_TTL" not in run.stderr
    finally:
        (fresh / ".env").unlink()


def test_every_name_in_the_environment_is_refused_as_an_answer(fresh: Path) -> None:
    [packages] = (fresh / ".venv/lib").glob("*/site-packages")
    folders = [path.name for path in packages.iterdir() if path.is_dir() or path.suffix == ".py"]
    modules = {
        name.removesuffix(".py") for name in folders if re.fullmatch(r"[a-z]\w*(\.py)?", name)
    }
    commands = {path.name for path in (fresh / ".venv/bin").iterdir()} - {fresh.name}
    assert {"flask", "pytest", "playwright"} < modules & commands
    assert [name for name in sorted(modules) if not complaints(package_name=name)] == []
    assert [name for name in sorted(commands) if not complaints(project_slug=name)] == []


@pytest.mark.parametrize("readme", ["README.md", "{{cookiecutter.project_slug}}/README.md"])
def test_the_step_in_the_readme_works_as_it_stands(
    copied: Path, fresh: Path, types: dict[str, str], readme: str
) -> None:
    snippets = README_STEP.findall((TEMPLATE / readme).read_text("utf-8"))
    [step] = [snippet for snippet in snippets if "def process(" in snippet]
    (copied / STEP).write_text(step, "utf-8")
    (copied / "sales.csv").write_text("Region,Amount\nNorth,2\nSouth,3\n")
    environment = clean_environment(PYTHONPATH=str(copied / "src"), **types)
    python = fresh / ".venv/bin/python"
    for arguments in (
        ["-m", "ruff", "check", STEP],
        ["-m", "ruff", "format", "--check", STEP],
        ["-m", "mypy", "src"],
        ["-m", "acme_reports.cli", "process", "sales.csv", "-o", "report.xlsx"],
    ):
        done = subprocess.run(
            [python, *arguments], cwd=copied, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    values = (
        "from openpyxl import load_workbook as w;"
        "print(*[[cell.value for cell in row] for row in w('report.xlsx')['Sheets']])"
    )
    read = subprocess.run([python, "-c", values], cwd=copied, capture_output=True, text=True)
    assert read.stdout == "['File', 'Sheet', 'Rows'] ['sales.csv', 'sales', 2]\n", read.stderr


def test_the_code_in_the_docs_is_as_clean_as_the_app_s(
    copied: Path, fresh: Path, types: dict[str, str]
) -> None:
    """And the tests in the docs, which are of the whole step there."""
    page = (copied / "docs/customising.md").read_text("utf-8")
    codes = README_STEP.findall(page)
    for number, code in enumerate(codes):
        if "def test_" not in code:
            (copied / f"src/acme_reports/of_the_docs_{number}.py").write_text(code, "utf-8")
    [tests] = [code for code in codes if "def test_" in code]
    [tested] = [code for code in codes if 'title="Leave out totals below"' in code]
    (copied / TEST_OF_STEP).write_text(tests, "utf-8")
    (copied / STEP).write_text(tested, "utf-8")
    for command in (
        ["ruff", "check", "src", TEST_OF_STEP],
        ["ruff", "format", "--check", "src", TEST_OF_STEP],
        ["mypy", "src", TEST_OF_STEP],
    ):
        done = subprocess.run(
            [fresh / ".venv/bin/python", "-m", *command],
            cwd=copied,
            env=clean_environment(**types),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_curl_commands_in_the_docs_upload_a_file(copied: Path, fresh: Path) -> None:
    page = (copied / "docs/http-api.md").read_text("utf-8")
    scripts = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    [script] = [each for each in scripts if "Upload-Offset" in each]
    file = copied / "a file.csv"
    file.write_bytes(b"Region,Amount\n" + b"North,2\n" * 100_000)
    python = str(fresh / ".venv/bin/python")
    command = [python, "-m", "acme_reports.cli", "serve", "--port", "$PORT"]
    with served(copied, *command, PYTHONPATH=str(copied / "src")) as url:
        done = subprocess.run(
            ["sh", "-eu", "-c", script],
            env={**clean_environment(), "URL": url, "FILE": str(file)},
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr
    [taken] = json.loads(done.stdout)["files"]
    assert taken["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_env_example_names_every_setting_with_its_default(default: Path, fresh: Path) -> None:
    text = (default / ".env.example").read_text("utf-8")
    written = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    script = (
        "import json; from acme_reports.config import Settings as S;"
        "print(json.dumps({n.upper(): str(f.default) for n, f in S.model_fields.items()}))"
    )
    done = subprocess.run(
        [fresh / ".venv/bin/python", "-c", script], capture_output=True, text=True, check=True
    )
    defaults = json.loads(done.stdout)
    assert len(written) > 10
    assert set(written) == set(defaults)
    for name, value in written.items():
        if value:
            told = defaults[name].removesuffix(".0")
            assert value == (told.lower() if told in ("True", "False") else told), name
        else:
            assert defaults[name] in ("", "()", "PydanticUndefined"), name


def test_make_demo_is_one_command_from_a_clean_copy(tmp_path: Path) -> None:
    """With pip: the environments of all other apps of these tests are made with uv."""
    copy = tmp_path / "template"
    leave = shutil.ignore_patterns(".git", ".venv", ".dev", ".demo", ".*_cache", "__pycache__")
    shutil.copytree(TEMPLATE, copy, ignore=leave)
    with served(copy, "make", "demo", "ARGS=--port $PORT", UV="") as url:
        assert answers(url)
        assert (copy / ".demo/report.xlsx").read_bytes().startswith(b"PK")


@pytest.mark.parametrize(
    ("lacks", "sentence"),
    [
        ("version_info", "Python 3.11 or newer is needed"),
        ("ensurepip", "On Debian or Ubuntu: apt install python3-venv"),
    ],
)
@pytest.mark.parametrize("target", ["template", "app"])
def test_make_says_what_python_lacks(
    tmp_path: Path, default: Path, target: str, lacks: str, sentence: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *{lacks}*) exit 1;; esac\n')
    python.chmod(0o755)
    shutil.copy((TEMPLATE if target == "template" else default) / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    done = subprocess.run(
        ["make", "test", f"PYTHON={python}"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert sentence in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_make_alone_lists_every_target(default: Path) -> None:
    for folder in (TEMPLATE, default):
        targets = re.findall(r"^([a-z]+):", (folder / "Makefile").read_text(), re.MULTILINE)
        listed = re.findall(r"^  make ([a-z]+)\t\S", make(folder), re.MULTILINE)
        assert listed == targets
        assert "test" in listed
