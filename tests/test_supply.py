"""What a bake locks, and what this template's own environment holds: free of known flaws."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.metadata import distributions
from pathlib import Path

import pytest
from conftest import SOURCE, Bake, clean_environment, make

LOCKS = ("requirements.lock", "requirements-all.lock", "requirements-dev.lock")
COMES_WITH_PYTHON = ("pip", "setuptools")


def audit(fresh: Path, project: Path, *locks: str) -> subprocess.CompletedProcess[str]:
    """The bake's own audit, in an environment that a bake has made."""
    command = [str(fresh / ".venv/bin/python"), "tools/audit.py", *locks]
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


@pytest.mark.parametrize("lock", LOCKS)
def test_s39_an_old_pin_fails_the_audit(copied: Path, fresh: Path, lock: str) -> None:
    assert audit(fresh, copied, *LOCKS).returncode == 0
    path = copied / lock
    old, count = re.subn(r"^werkzeug==\S+", "werkzeug==3.0.0", path.read_text(), flags=re.M)
    assert count == 1
    path.write_text(old)
    done = audit(fresh, copied, *LOCKS)
    assert done.returncode == 1
    assert "werkzeug 3.0.0 has CVE-2023-46136; version 3.0.1 has it no more." in done.stdout


@pytest.mark.parametrize("target", ["test", "audit"])
def test_s39_the_app_s_tests_and_its_audit_look_at_every_lock(fresh: Path, target: str) -> None:
    assert f"tools/audit.py {' '.join(LOCKS)}\n" in make(fresh, "--dry-run", target)


def test_s39_an_audit_that_gets_no_answer_fails(fresh: Path) -> None:
    """As from an index that keeps no advisories: what was left out must not count as flawless."""
    make(fresh, ".venv/.audit")
    [asks] = re.findall(r"^\S+pip-audit (.*)", said_at_once(fresh, "audit"), re.MULTILINE)
    done = subprocess.run(
        [fresh / ".venv/audit/bin/pip-audit", *asks.split()],
        cwd=fresh,
        env=clean_environment(HTTPS_PROXY="http://127.0.0.1:9", XDG_CACHE_HOME=str(fresh / "none")),
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "No known vulnerabilities found" not in done.stdout + done.stderr


def said_at_once(project: Path, target: str) -> str:
    """What make would do, a command a line."""
    return make(project, "--dry-run", target).replace("\\\n", " ")


def test_s39_this_environment_has_no_known_flaw(fresh: Path, tmp_path: Path) -> None:
    ours = {each.name: each.version for each in distributions()}
    pins = [f"{n}=={v}\n" for n, v in ours.items() if n not in COMES_WITH_PYTHON]
    (tmp_path / "installed").write_text("".join(pins))
    done = audit(fresh, SOURCE, str(tmp_path / "installed"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_s39_the_locks_are_the_same_whatever_was_answered(bake: Bake, default: Path) -> None:
    other = bake(project_name="Other", license="proprietary", ci="none", docker="no").project
    for lock in LOCKS:
        assert (other / lock).read_bytes() == (default / lock).read_bytes()


def test_s39_make_lock_writes_what_the_project_asks_for(copied: Path) -> None:
    text = (copied / "pyproject.toml").read_text("utf-8")
    assert "tabulate" not in (copied / LOCKS[0]).read_text()
    more = text.replace('"click>=', '"tabulate>=0.9",\n    "click>=')
    (copied / "pyproject.toml").write_text(more)
    make(copied, "lock")
    for lock in LOCKS:
        assert re.search(r"^tabulate==[\d.]+ ", (copied / lock).read_text(), re.MULTILINE)
        assert "://" not in (copied / lock).read_text()
    shutil.rmtree(copied / ".venv")
