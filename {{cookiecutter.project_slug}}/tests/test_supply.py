"""What is installed: locked for every system, and free of flaws that are known."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-all.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
CORE: list[str] = PROJECT["dependencies"]
ALL = [*CORE, *(each for extra, needs in EXTRAS.items() if extra != "dev" for each in needs)]
DEV = [*ALL, *EXTRAS["dev"]]


def audit(*locks: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools/audit.py"), *map(str, locks)]
    return subprocess.run(command, capture_output=True, text=True)


def locked(name: str) -> dict[str, Version]:
    """The version of each package; the last where Pythons differ."""
    found = re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    return {canonicalize_name(package): Version(version) for package, version in found}


@pytest.mark.parametrize("name", LOCKS)
def test_s39_what_is_locked_has_no_known_flaw(name: str) -> None:
    done = audit(ROOT / name)
    assert done.returncode == 0, done.stdout
    pins = re.findall("^[a-z].*==", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    assert f"{len(pins)} locked versions" in done.stdout


PLANTED = [
    "werkzeug==3.0.0",
    "Werkzeug==3.1.5",
    "jinja2==3.1.5",
    "gunicorn==21.2.0",
    "flask==3.1.2",
]


@pytest.mark.parametrize("name", LOCKS)
@pytest.mark.parametrize("old", PLANTED)
def test_s39_an_old_version_that_somebody_locks_is_found(
    tmp_path: Path, name: str, old: str
) -> None:
    package = old.partition("=")[0].lower()
    lock, count = re.subn(
        rf"^{package}==[^ ;\\]+", old, (ROOT / name).read_text("utf-8"), flags=re.MULTILINE
    )
    assert count == 1
    (tmp_path / name).write_text(lock, "utf-8")
    done = audit(tmp_path / name)
    assert done.returncode == 1
    assert re.search(rf"^{package} {old.rpartition('=')[2]} has CVE-", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "flask>=3.1\n", "flask\n", "flask==new\n", None]
)
def test_s39_what_locks_nothing_is_not_taken_for_flawless(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "lock").write_text(text)
    assert audit(tmp_path / "lock").returncode == 2
    assert audit().returncode == 2


@pytest.mark.parametrize(("name", "wanted"), [*zip(LOCKS, (CORE, ALL, DEV), strict=True)])
def test_s39_all_that_the_project_asks_for_is_locked(name: str, wanted: list[str]) -> None:
    versions = locked(name)
    for requirement in map(Requirement, wanted):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not locked: make lock"
        assert version in requirement.specifier, f"{requirement} is not what is locked: make lock"


def test_s39_the_locks_name_the_same_versions() -> None:
    core, more, dev = map(locked, LOCKS)
    assert core.items() < more.items() < dev.items()


def test_the_app_alone_needs_no_package_of_an_extra() -> None:
    extra = {canonicalize_name(Requirement(each).name) for each in set(ALL) - set(CORE)}
    assert not extra & locked(LOCKS[0]).keys()


@pytest.mark.parametrize("name", LOCKS)
def test_s39_every_version_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.fullmatch(
            r"[a-z0-9.-]+==[^ ;]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", entry
        ), entry
    assert not re.search(r"//|@ |file:|--(extra-)?index|/home|/tmp", text)


def test_s39_no_floor_admits_a_version_with_a_known_flaw(tmp_path: Path) -> None:
    lowest = [
        f"{requirement.name}=={specifier.version}"
        for requirement in map(Requirement, DEV)
        for specifier in requirement.specifier
    ]
    (tmp_path / "lowest").write_text("\n".join(lowest))
    done = audit(tmp_path / "lowest")
    assert done.returncode == 0, done.stdout
