"""The pages of `docs`: what they say of settings, calls and sentences is the app's own."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.server import Server
from openpyxl import load_workbook

from {{ cookiecutter.package_name }} import __file__ as package_file
from {{ cookiecutter.package_name }}.cli import main
from {{ cookiecutter.package_name }}.config import Settings
from {{ cookiecutter.package_name }}.problems import STATUS_OF_CODE

ROOT = Path(__file__).parents[1]
PACKAGE = Path(package_file).parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
API = (ROOT / "docs" / "http-api.md").read_text("utf-8")


def test_what_is_reference_in_the_docs_is_as_the_code_has_it() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "docs.py"))["made"]
    stale = [path.name for path, text in made(ROOT) if path.read_text("utf-8") != text]
    assert stale == [], "run `make docs`"


def test_every_problem_is_told_with_its_status() -> None:
    told = re.findall(r"^\| (\d{3}) \| `(\w+)` \| .+ \| .+ \|$", API, re.M)
    assert {code: int(status) for status, code in told} == STATUS_OF_CODE


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_a_page_names_is_there(path: Path) -> None:
    text = path.read_text("utf-8")
    settings = {name.upper() for name in Settings.model_fields}
    options = {str(it.envvar) for command in main.commands.values() for it in command.params}
    assert set(re.findall(r"\bSILO_[A-Z_]+\b", text)) - {"SILO_"} <= settings | options
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(re.findall(r"`make ([a-z]+)", text)) <= set(targets)
    command = re.escape(".venv/bin/") + r"[\w-]+ ([a-z]+(?:-[a-z]+)?)\b"
    named = set(re.findall(command, text)) - {"install"}
    assert {name for name in named if name != "m"} <= set(main.commands)
    for target in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", text):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_link_into_a_page_meets_a_heading(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^):]*)#([^)]+)\)", path.read_text("utf-8")):
        other = path.parent / target if target else path
        headings = re.findall(r"^#+ (.+)$", other.read_text("utf-8"), re.M)
        assert anchor in [anchor_of(each) for each in headings], f"{target}#{anchor}"


def anchor_of(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_sentences_of_the_troubles_are_those_of_the_app() -> None:
    """What stands for a value is left out as `…`; the rest is what the app would say."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    quoted = re.findall(r"“([^”]+)”", page)
    assert len(quoted) > 20
    said = "\n".join(everything_said())
    for sentence in quoted:
        for part in filter(None, (each.strip() for each in sentence.split("…"))):
            assert part in said, sentence


def everything_said() -> Iterator[str]:
    """Every text in the code, and the page as it is written."""
    for path in [*PACKAGE.rglob("*.py"), ROOT / "tests" / "programs.py"]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for pattern in ("static/*.js", "templates/*.html"):
        for path in PACKAGE.glob(pattern):
            yield path.read_text("utf-8")
    yield (ROOT / "Makefile").read_text("utf-8")


# The journeys

SCRIPTS = re.findall(r"^```sh\n(.*?)^```$", API, re.M | re.S)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("docs") / "data", 1)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sales.csv"
    path.write_text("Region,Amount\nNorth,1\nSouth,2\n")
    return path


def run(script: str, server: Server, file: Path) -> str:
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        env={**os.environ, "URL": f"http://127.0.0.1:{server.port}", "FILE": str(file)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_the_journey_with_curl_ends_with_a_report(server: Server, sales: Path) -> None:
    heard = run(SCRIPTS[0], server, sales)
    assert "event: complete" in heard
    assert json.loads(Path("job.json").read_text())["status"] == "complete"
    assert json.loads(Path("report.json").read_text())["tables"]
    assert load_workbook("report.xlsx").sheetnames


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_the_upload_in_pieces_with_curl_is_taken(server: Server, sales: Path) -> None:
    [taken] = json.loads(run(SCRIPTS[1], server, sales))["files"]
    assert (taken["name"], taken["size"]) == ("sales.csv", sales.stat().st_size)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
def test_the_journey_with_python_ends_with_a_report(
    server: Server, sales: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = re.findall(r"^```python\n(.*?)^```$", API, re.M | re.S)
    exec(code.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{server.port}"), {})
    assert "100 %" in capsys.readouterr().out
    assert load_workbook("report.xlsx").sheetnames
