"""How the app leaves the machine: as a wheel, in a container, through its workflow."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest
import yaml
from conftest import CHOICES, Bake, clean_environment, make
from serving import free_port, served


def test_the_wheel_holds_the_page_and_no_tests_and_serves_it(fresh: Path, tmp_path: Path) -> None:
    make(fresh, "wheel")
    [wheel] = (fresh / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    source = fresh / "src"
    ours = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    ours = {name for name in ours if "__pycache__" not in name}
    assert {name for name in names if ".dist-info/" not in name} == ours
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    for needed in ("static/app.js", "static/app.css", "templates/index.html", "py.typed"):
        assert f"acme_reports/{needed}" in names
    zipfile.ZipFile(wheel).extractall(tmp_path)
    page = get_page(fresh, tmp_path, "acme_reports")
    assert "<h1" in page


def get_page(fresh: Path, source: Path, package: str) -> str:
    """The page as an app below `source` answers it, in the fresh environment."""
    script = (
        f"import {package} as app; print(app.__file__);"
        "client = app.create_app({'SILO_RUNNER': 'thread'}).test_client();"
        "print(client.get('/').get_data(as_text=True))"
    )
    done = subprocess.run(
        [fresh / ".venv/bin/python", "-c", script],
        cwd=source,
        env=clean_environment(PYTHONPATH=str(source), PYTHONUTF8="1"),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    where, _, page = done.stdout.partition("\n")
    assert Path(where).is_relative_to(source)
    return page


@pytest.mark.parametrize(
    "name", ["It's \u201cOurs\u201d & <b>Theirs</b>", "表計算 😀", "a }} %} b"]
)
def test_the_page_shows_the_name_as_it_was_typed(bake: Bake, fresh: Path, name: str) -> None:
    project = bake(project_name=name, project_slug="named", package_name="named").project
    page = get_page(fresh, project / "src", "named")
    title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
    assert title
    assert html.unescape(title[1]).strip() == name
    assert "<b>Theirs" not in page


def test_the_container_is_healthy_only_while_the_app_answers(default: Path, fresh: Path) -> None:
    dockerfile = (default / "Dockerfile").read_text("utf-8")
    [check] = re.findall(r"HEALTHCHECK .*CMD (\[.*\])$", dockerfile, re.MULTILINE)
    python, *arguments = json.loads(check)
    assert python == "python"

    def healthy(port: str) -> bool:
        command = [argument.replace("8000", port) for argument in arguments]
        done = subprocess.run([fresh / ".venv/bin/python", *command], capture_output=True)
        return done.returncode == 0

    assert not healthy(str(free_port()))
    with served(fresh, "make", "run", "ARGS=--port $PORT") as url:
        deadline = time.monotonic() + 120
        while not healthy(url.rpartition(":")[2]):  # it gives a busy machine little time
            assert time.monotonic() < deadline
    shutil.rmtree(fresh / "instance")


@pytest.mark.parametrize("example", CHOICES["example"])
def test_the_first_visit_is_small_with_every_example(
    kept: Bake, fresh: Path, tmp_path: Path, example: str
) -> None:
    """As the app's own test has it, which only sees the page of the step that tests have."""
    source = kept(example=example).project / "src"
    command = [str(fresh / ".venv/bin/python"), "-m", "acme_reports.cli", "serve"]
    with served(tmp_path, *command, "--port", "$PORT", PYTHONPATH=str(source)) as url:
        page = answered(f"{url}/")
        parts = re.findall(r'<(?:link|script) .*?="(/static/.*?)"', page.decode())
        assert len(parts) == 4
        assert len(page) + sum(len(answered(url + part)) for part in parts) < 30_000


def answered(url: str) -> bytes:
    """An answer with its headers, as it comes over the line."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        head = [f"{name}: {value}\r\n" for name, value in answer.headers.items()]
        body: bytes = answer.read()
        return "".join(["HTTP/1.1 200 OK\r\n", *head, "\r\n"]).encode() + body


def test_the_container_starts_the_command_that_the_package_installs(default: Path) -> None:
    dockerfile = (default / "Dockerfile").read_text("utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    allowed = re.findall(r"^!(\S+)$", (default / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    assert sorted(" ".join(copied).split()) == sorted(allowed)
    assert all((default / name).exists() for name in allowed)
    assert '\nENTRYPOINT ["acme-reports"]\nCMD ["serve", "--host", "0.0.0.0", ' in dockerfile
    web = yaml.safe_load((default / "compose.yaml").read_text("utf-8"))["services"]["web"]
    assert web["read_only"] is True
    assert web["volumes"] == ["data:/data"]


def test_s39_the_image_takes_only_what_is_locked(default: Path) -> None:
    lines = (default / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    [locked, ours] = re.findall(r"pip install (.*)", lines)
    assert "--require-hashes --requirement requirements-all.lock" in locked
    assert "--no-deps --no-build-isolation ." in ours


def test_s41_the_container_runs_as_an_ordinary_user_whose_data_nobody_else_reads(
    default: Path,
) -> None:
    last = (default / "Dockerfile").read_text("utf-8").rpartition("\nFROM ")[2]
    before, _, after = last.partition("\nUSER 10001:10001\n")
    assert "groupadd --system --gid 10001 app " in before
    assert "useradd --system --uid 10001 --gid app --no-create-home app " in before
    assert "install -d -m 0700 -o app -g app /data" in before
    assert "\nCMD " in after
    assert not re.search(r"^(USER|RUN|COPY|ADD) ", after, re.MULTILINE)


def test_the_workflow_runs_make_test_on_each_python_with_few_rights(default: Path) -> None:
    workflow = yaml.safe_load((default / ".github/workflows/ci.yml").read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    job, audit = workflow["jobs"]["test"], workflow["jobs"]["audit"]
    assert [step["run"] for step in audit["steps"] if "run" in step] == ["make audit"]
    assert not any("continue-on-error" in step for step in [audit, *audit["steps"]])
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    [run] = [step["run"] for step in job["steps"] if "run" in step]
    assert run == 'make test ARGS="--tracing retain-on-failure"'  # what is uploaded below
    assert "${{ matrix.python }}" in str(job["steps"])


def test_the_commit_hooks_run_the_tools_of_the_environment(default: Path, fresh: Path) -> None:
    config = yaml.safe_load((default / ".pre-commit-config.yaml").read_text("utf-8"))
    entries = [hook["entry"].split()[0] for repo in config["repos"] for hook in repo["hooks"]]
    assert entries == [".venv/bin/ruff", ".venv/bin/ruff", ".venv/bin/mypy"]
    assert all(os.access(fresh / entry, os.X_OK) for entry in entries)
