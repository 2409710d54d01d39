"""Every piece of code in the docs, run as it stands."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import click
import pytest

from {{ cookiecutter.package_name }} import __name__ as package
from {{ cookiecutter.package_name }} import choices, cli, contract, controls
from {{ cookiecutter.package_name }}.config import Settings, load_settings
from {{ cookiecutter.package_name }}.metrics import METRICS
from {{ cookiecutter.package_name }}.report import Attachment, Report
from {{ cookiecutter.package_name }}.report_json import to_json
from {{ cookiecutter.package_name }}.review import Review
from {{ cookiecutter.package_name }}.step import SilentProgress
from {{ cookiecutter.package_name }}.workbook import write_workbook

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "customising.md").read_text("utf-8")
SCALING = (DOCS / "scaling.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```$", PAGE, re.M | re.S)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
STEPS = [text for text in PYTHON if "def process(" in text]
TESTS = [text for text in PYTHON if "def test_" in text]
PARTS = [text for text in PYTHON if text not in STEPS + TESTS]
WHOLE = STEPS[1]
ORDERS = ["Customer", "Region", "Amount"], ["Ann", "North", 20], ["Bob", "North", 90]


class Loaded:
    """Code of the docs as modules of the package, where `from .report import ...` works."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder, self._patch = folder, patch

    def __call__(self, text: str, name: str = "from_the_docs") -> ModuleType:
        path = self._folder / f"{name}.py"
        path.write_text(text, "utf-8")
        spec = spec_from_file_location(f"{package}.{name}", path)
        assert spec
        assert spec.loader
        module = module_from_spec(spec)
        self._patch.setitem(sys.modules, spec.name, module)
        self._patch.setattr(sys.modules[package], name, module, raising=False)
        spec.loader.exec_module(module)
        return module


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    return Loaded(tmp_path, monkeypatch)


def test_the_page_has_what_is_looked_for() -> None:
    assert (len(STEPS), len(TESTS), len(PARTS)) == (4, 1, 3)


@pytest.mark.parametrize("text", STEPS, ids=range(len(STEPS)))
def test_a_step_keeps_to_its_contract_and_makes_a_report(
    load: Loaded, spreadsheet: Any, tmp_path: Path, text: str
) -> None:
    step = load(text)
    assert list(contract.check(step)) == []
    made = step.process([spreadsheet("a.csv", *ORDERS)], step.Options(), SilentProgress())
    if isinstance(made, Review):
        made = step.finish(made, step.Options())
    if isinstance(made, Attachment):
        assert b"ANN" in bytes(made.content)
    else:
        assert to_json(made)["title"]
        write_workbook(made, tmp_path / "report.xlsx")


@pytest.mark.parametrize("text", PARTS, ids=range(len(PARTS)))
def test_a_part_works_by_itself(load: Loaded, tmp_path: Path, text: str) -> None:
    module = load(text)
    options, report = getattr(module, "Options", None), getattr(module, "report", None)
    if options:
        schema = options.model_json_schema()
        kinds = [controls.control(option) for _, option in controls.properties(schema)]
        assert set(kinds) == set(get_args(controls.Control))
        assert schema["required"] == ["needed"]
    elif report:
        assert isinstance(report, Report)
        assert to_json(report)["files"][0]["name"] == "letters.txt"
        write_workbook(report, tmp_path / "report.xlsx")
    else:
        assert module.ACCEPTS.count == "Choose exactly 2 files."


def test_the_tests_pass_with_the_step_they_are_of(
    load: Loaded, request: pytest.FixtureRequest
) -> None:
    load(WHOLE, "pipeline")
    [text] = TESTS
    names: dict[str, Any] = {}
    exec(compile(text, "test_pipeline.py", "exec"), names)
    tests = [each for name, each in names.items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        test(*map(request.getfixturevalue, inspect.signature(test).parameters))


def test_the_fixtures_that_it_tells_of_are_there(request: pytest.FixtureRequest) -> None:
    section = PAGE.partition("| fixture |")[2].partition("\n\n")[0]
    named = [name for cell in re.findall(r"^\| (`.*?) \|", section, re.M) for name in words(cell)]
    assert {"spreadsheet", "client", "clock"} <= set(named)
    for name in named:
        request.getfixturevalue(name)


def words(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_the_commands_are_those_of_the_command_line(
    load: Loaded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    step = load(WHOLE)
    monkeypatch.setattr(contract, "load", lambda: step)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orders.csv").write_text("Customer,Amount\nAnn,2\n")
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    assert len(lines) == 3
    for line in lines:
        name, *arguments = shlex.split(line)[1:]
        command = cli.main.commands[name]
        assert isinstance(command.make_context(name, arguments), click.Context)


def test_the_way_to_many_machines_names_commands_that_there_are() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", SCALING, re.M | re.S)
    commands = [shlex.split(line)[1:] for text in blocks for line in text.splitlines()]
    assert commands.pop(0) == ["instance/secret_key"]
    assert [name for name, *_ in commands] == ["check", "migrate"]
    for name, *arguments in commands:
        assert cli.main.commands[name].make_context(name, arguments)
    for name in re.findall(r"command `(\w+)`", SCALING):
        assert name in cli.main.commands


def test_the_way_to_many_machines_names_metrics_that_there_are() -> None:
    told = set(re.findall(r"\bsilo_[a-z_]+", SCALING))
    assert told
    assert told <= {metric.name for metric in METRICS}


def test_the_settings_of_many_machines_go_together() -> None:
    [text] = re.findall(r"^```ini\n(.*?)^```$", SCALING, re.M | re.S)
    given = dict(line.split("=", 1) for line in text.splitlines())
    named = {name: value for name, value in given.items() if name.lower() in Settings.model_fields}
    assert list(choices.broken(load_settings(named | {"SECRET_KEY": "b1946ac92492d2347c62"}))) == []
