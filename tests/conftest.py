"""Bakes through the real `cookiecutter` command, and one environment made by a bake's Makefile."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

TEMPLATE = Path(__file__).resolve().parent.parent
SOURCE = TEMPLATE / "{{cookiecutter.project_slug}}"
QUESTIONS: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
CHOICES: dict[str, list[str]] = {k: v for k, v in QUESTIONS.items() if isinstance(v, list)}
CHOICES.pop("_copy_without_render")

TIES = ("PYTHON", "PYTEST", "VIRTUAL_ENV", "MAKE", "MFLAGS", "SILO_")
SUMMARY: list[str] = []
BAKE_SECONDS: list[float] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if BAKE_SECONDS:
        middle, slowest = statistics.median(BAKE_SECONDS), max(BAKE_SECONDS)
        SUMMARY.insert(
            0,
            f"bake time: {middle:.2f} s median, {slowest:.2f} s slowest of {len(BAKE_SECONDS)}, "
            "the start of the command included",
        )
    if SUMMARY:
        terminalreporter.section("measured")
        for line in SUMMARY:
            terminalreporter.line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for the app's own tests comes last: they run beside all others."""
    items.sort(key=waits_for_own_tests)


def waits_for_own_tests(item: pytest.Item) -> bool:
    return not {"listed", "own_tests"}.isdisjoint(getattr(item, "fixturenames", ()))


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment without whatever ties a child to this Python, make or terminal."""
    ours = Path(sys.prefix) / "bin"
    env = {
        name: value
        for name, value in os.environ.items()
        if name == "SILO_SAMPLE_INPUTS" or not name.startswith(TIES)
    }
    folders = env["PATH"].split(os.pathsep)
    env["PATH"] = os.pathsep.join(folder for folder in folders if Path(folder) != ours)
    # The Python below our environment: a bake makes an environment of its own from it.
    env["PYTHON"] = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    env["UV"] = str(ours / "uv")  # by its path, since that folder is off theirs
    return env | changes


for name in ("no_proxy", "NO_PROXY"):
    # Apps are served here, whatever stands between this machine and others.
    os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))


@dataclass(frozen=True)
class Baked:
    """What one run of the command left behind; `project` is missing when it was refused."""

    project: Path
    code: int
    out: str
    err: str


Bake = Callable[..., Baked]


def run_cookiecutter(
    folder: Path, *args: str, typed: str = "", template: Path = TEMPLATE
) -> subprocess.CompletedProcess[str]:
    """Run the command with a home of its own, so that no replay or configuration leaks."""
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(template), *args],
        cwd=folder,
        env=clean_environment(HOME=str(folder), PYTHONUTF8="1"),
        input=typed,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )


@pytest.fixture(scope="session")
def bake(tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Bake with `--no-input` and the given answers into a new folder."""

    def run(**answers: str) -> Baked:
        folder = tmp_path_factory.mktemp("bake")
        started = time.monotonic()
        done = run_cookiecutter(folder, "--no-input", *(f"{k}={v}" for k, v in answers.items()))
        if done.returncode == 0:
            BAKE_SECONDS.append(time.monotonic() - started)
        projects = [path for path in folder.iterdir() if not path.name.startswith(".")]
        project = projects[0] if len(projects) == 1 else folder / "nothing"
        return Baked(project, done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def kept(bake: Bake) -> Bake:
    """The same for tests that only read: each set of answers is baked once."""
    return cache(bake)


@pytest.fixture(scope="session")
def types(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings by which mypy keeps what it has found, for all bakes: they differ in little."""
    return {"MYPY_CACHE_DIR": str(tmp_path_factory.mktemp("types"))}


@pytest.fixture(scope="session")
def default(kept: Bake) -> Path:
    baked = kept()
    assert baked.code == 0, baked.out + baked.err
    return baked.project


@pytest.fixture
def copied(default: Path, tmp_path: Path) -> Path:
    """The default bake once more, to be changed."""
    return shutil.copytree(default, tmp_path / default.name)


@pytest.fixture(scope="session")
def fresh(bake: Bake) -> Iterator[Path]:
    """A bake, committed, whose Makefile has made `.venv` with the app and its tools in it."""
    project = bake().project
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message=x")
    make(project, ".venv/.dev")
    yield project
    shutil.rmtree(project)


@pytest.fixture(scope="session")
def aside() -> Iterator[ThreadPoolExecutor]:
    """Does what takes long beside the tests, one after the other."""
    with ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture(scope="session")
def listed(fresh: Path, aside: ThreadPoolExecutor) -> Future[list[str]]:
    """The names of the fresh app's own tests.

    They are looked up first, since that leaves byte code: the processes that run them, which begin
    at the same moment, would each make it for themselves.
    """

    def look_up() -> list[str]:
        done = subprocess.run(
            [fresh / ".venv/bin/python", "-m", "pytest", "--collect-only", "-q"],
            cwd=fresh,
            env=clean_environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.splitlines()

    return aside.submit(look_up)


@pytest.fixture(scope="session")
def own_tests(
    fresh: Path, types: dict[str, str], aside: ThreadPoolExecutor, listed: Future[list[str]]
) -> Future[tuple[str, float]]:
    """`make test` of the fresh app, once it has ended: what it said, and its seconds."""

    def run() -> tuple[str, float]:
        listed.result()
        started = time.monotonic()
        return make(fresh, "test", **types), time.monotonic() - started

    return aside.submit(run)


@pytest.fixture(scope="session", autouse=True)
def beside(request: pytest.FixtureRequest) -> None:
    """Begin the app's own tests, which take longest, before any other test."""
    if any(map(waits_for_own_tests, request.session.items)):
        request.getfixturevalue("own_tests")


def make(folder: Path, *args: str, **environment: str) -> str:
    """Run make in a clean environment and return what it printed; fail with that if it fails."""
    done = subprocess.run(
        ["make", *args],
        cwd=folder,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=5400,
    )
    assert done.returncode == 0, what_failed(done.stdout)
    return done.stdout


def what_failed(said: str) -> str:
    """The names of the tests that failed, and what was said of them, or the end of all."""
    names = [line for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    _, _, failures = said.rpartition("= FAILURES =")
    return "\n".join([*names, failures[-20_000:]])


def git(project: Path, *args: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", *identity, *args], cwd=project, capture_output=True, text=True, check=True
    )
    return done.stdout


def files_of(project: Path) -> dict[str, bytes]:
    """Every file under a folder by its relative name."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file()
    }
