"""The hooks: every answer is data, all problems are said at once, the rest is removed quietly."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import CHOICES, QUESTIONS, SOURCE, TEMPLATE, Bake, run_cookiecutter
from cookiecutter.utils import create_env_with_context
from hypothesis import given, settings
from hypothesis import strategies as st

GOOD = {
    "project_name": "Acme Reports",
    "project_slug": "acme-reports",
    "package_name": "acme_reports",
    "description": "A sentence.",
    "author_name": "Ann",
    "license": "MIT",
    "ci": "github",
    "docker": "yes",
    "example": "profile",
    "__description_toml": "A sentence.",
    "__author_name_toml": "Ann",
}
HOSTILE = [
    '"""',
    "'''",
    "\\",
    "\\'",
    '\\"',
    "a\nb",
    "\r",
    "\x00",
    "\x1b[31m",
    "\u2028",
    "\ud800",
    "\udcff\ud83d",
    "😀",
    "{{ 7*7 }}",
    "{% raw %}",
    "{# gone #}",
    "{{ cookiecutter.__class__.__mro__ }}",
    "'); import os; os.abort() #",
    '"""); raise SystemExit(0) #',
    "../../etc",
    "\N{RIGHT-TO-LEFT OVERRIDE}",
]


def rendered(hook: str, answers: dict[str, Any]) -> str:
    """A hook as Cookiecutter writes it for these answers."""
    context = {"cookiecutter": answers}
    source = (TEMPLATE / "hooks" / hook).read_text("utf-8")
    return str(create_env_with_context(context).from_string(source).render(**context))


def loaded(hook: str) -> ModuleType:
    module = ModuleType("hook")
    exec(compile(rendered(hook, GOOD), hook, "exec"), module.__dict__)
    return module


PRE = loaded("pre_gen_project.py")


def complaints(**answers: str) -> list[str]:
    """What the check says of good answers with these in their place."""
    given = GOOD | answers
    for question in ("description", "author_name"):
        given[f"__{question}_toml"] = PRE.in_toml(given[question])
    return [sentence for sentences in PRE.check(given).values() for sentence in sentences]


def embedded(hook: str, answers: dict[str, Any]) -> Any:
    """The literal that stands in the rendered hook, read back without running the hook."""
    call = ast.parse(rendered(hook, answers).encode("utf-8").decode("utf-8")).body[-1]
    loads = [
        n for n in ast.walk(call) if isinstance(n, ast.Call) and ast.unparse(n.func) == "json.loads"
    ]
    assert len(loads) == 1
    return json.loads(ast.literal_eval(loads[0].args[0]))


@pytest.mark.parametrize("hook", ["pre_gen_project.py", "post_gen_project.py"])
@pytest.mark.parametrize("answer", HOSTILE, ids=ascii)
def test_an_answer_reaches_a_hook_as_it_was_typed(hook: str, answer: str) -> None:
    assert embedded(hook, {"description": answer}) == {"description": answer}


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=()))))
def test_any_text_reaches_a_hook_as_data(answers: dict[str, str]) -> None:
    # JSON joins two surrogates that stand side by side; the text is the same in UTF-16.
    def joined(text: str) -> bytes:
        return text.encode("utf-16", "surrogatepass")

    back = embedded("pre_gen_project.py", answers)
    assert {joined(k): joined(v) for k, v in back.items()} == {
        joined(k): joined(v) for k, v in answers.items()
    }


def test_good_answers_pass() -> None:
    assert complaints() == []


@pytest.mark.parametrize(
    "name",
    [
        "A",
        "é",
        "x" * 60,
        "It's & <b>",
        "表 計算",
        "😀 a",
        "👨‍👩‍👧 a",
        "a\u00a0b",
        "a } %} #} b",
        "100 % a",
    ],
)
def test_a_name_may_hold(name: str) -> None:
    assert complaints(project_name=name) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("x" * 61, "at most 60 characters and has 61"),
        ("123 😀", "at least one letter"),
        ('say "a"', "double quote"),
        ("a\\b", "backslash"),
        ("a\nb", "one line"),
        ("a\tb", "one line"),
        ("a\u2028b", "one line"),
        ("a\u202eb", "printable"),
        ("a\ud800", "printable"),
        ("a\x7f", "printable"),
        ("a {{ 7 }}", "template mark"),
        ("a {% x %}", "template mark"),
        ("a {# x", "template mark"),
    ],
)
def test_a_name_must_not_hold(name: str, problem: str) -> None:
    said = complaints(project_name=name)
    assert any(problem in sentence for sentence in said), said
    assert all(sentence.startswith(f"project_name is {name!r}: it ") for sentence in said)


@pytest.mark.parametrize("question", ["description", "author_name"])
@pytest.mark.parametrize("text", ["a \"b\" \\ 'c'", "x" * 200, "}} %} #}", "$(x) `y`", "é 😀"])
def test_free_text_may_hold(question: str, text: str) -> None:
    assert complaints(**{question: text}) == []


@pytest.mark.parametrize("question", ["description", "author_name"])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("x" * 201, "at most 200"),
        ("a\nb", "one line"),
        ("a\rb", "one line"),
        ("a\x85b", "one line"),
        ("a\x00b", "one line"),
        ("{{ x }}", "template mark"),
        ("{% x", "template mark"),
        ("{#", "template mark"),
    ],
)
def test_free_text_must_not_hold(question: str, text: str, problem: str) -> None:
    said = complaints(**{question: text})
    assert any(problem in sentence for sentence in said), said


@pytest.mark.parametrize("slug", ["a", "a1-b2", "x" * 40, "calendar", "app"])
def test_a_slug_may_be(slug: str) -> None:
    assert complaints(project_slug=slug) == []


@pytest.mark.parametrize(
    ("slug", "problem"),
    [
        ("", "lower case"),
        ("A", "lower case"),
        ("é", "lower case"),
        ("1a", "start with a letter"),
        ("-a", "start with a letter"),
        ("a-", "single hyphens"),
        ("a--b", "single hyphens"),
        ("a_b", "single hyphens"),
        ("a.b", "single hyphens"),
        ("a b", "single hyphens"),
        ("a\n", "single hyphens"),
        ("..", "start with a letter"),
        ("../a", "start with a letter"),
        ("a/b", "single hyphens"),
        ("/etc", "start with a letter"),
        ("x" * 41, "at most 40"),
        ("con", "device"),
        ("lpt1", "device"),
        ("flask", "installs"),
        ("python-calamine", "installs"),
        ("flask-cors", "installs"),
        ("python", "installs"),
        ("pip", "installs"),
    ],
)
def test_a_slug_must_not_be(slug: str, problem: str) -> None:
    said = complaints(project_slug=slug)
    assert any(problem in sentence for sentence in said), said


@pytest.mark.parametrize("package", ["a", "a_1", "x" * 30, "reports", "match"])
def test_a_package_may_be(package: str) -> None:
    assert complaints(package_name=package) == []


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        ("", "lower case"),
        ("A", "lower case"),
        ("é", "lower case"),
        ("_a", "start with a letter"),
        ("1a", "start with a letter"),
        ("a-b", "underscores"),
        ("a.b", "underscores"),
        ("a b", "underscores"),
        ("a\n", "underscores"),
        ("../a", "start with a letter"),
        ("x" * 31, "at most 30"),
        ("class", "keyword"),
        ("lambda", "keyword"),
        ("json", "standard library"),
        ("calendar", "standard library"),
        ("distutils", "standard library"),
        ("compression", "standard library"),
        ("nul", "device"),
        ("flask", "installs"),
        ("python_calamine", "installs"),
        ("tests", "installs"),
        ("silo", "installs"),
        ("celery", "installs"),
    ],
)
def test_a_package_must_not_be(package: str, problem: str) -> None:
    said = complaints(package_name=package)
    assert any(problem in sentence for sentence in said), said


def test_every_dependency_is_a_taken_name() -> None:
    text = rendered_pyproject()
    project = tomllib.loads(text)["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert len(requirements) > 15
    for requirement in requirements:
        name = requirement.split(">")[0]
        assert complaints(project_slug=name), name
        assert complaints(package_name=name.replace("-", "_")), name


def test_every_locked_package_is_a_taken_name() -> None:
    """By the name under which it is installed; what it is imported as is not told there."""
    locks = [path.read_text("utf-8") for path in SOURCE.glob("requirements*.lock")]
    names = {name for lock in locks for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    assert len(names) > 50
    assert {name.lower().replace("-", "_").replace(".", "_") for name in names} <= PRE.TAKEN


def test_every_package_of_the_app_s_tests_is_a_taken_name() -> None:
    packages = [path.parent.name for path in (SOURCE / "tests").glob("*/__init__.py")]
    assert len(packages) > 5
    for name in packages:
        assert complaints(package_name=name), name


def rendered_pyproject() -> str:
    context = {"cookiecutter": {**QUESTIONS, **GOOD}}
    text = (SOURCE / "pyproject.toml").read_text("utf-8")
    return str(create_env_with_context(context).from_string(text).render(**context))


def test_the_choices_checked_are_the_choices_offered() -> None:
    assert {question: list(answers) for question, answers in PRE.CHOICES.items()} == CHOICES
    for question in CHOICES:
        assert complaints(**{question: "other"}) == [
            f"{question} is 'other': it must be one of {', '.join(CHOICES[question])}."
        ]


def test_an_answer_that_is_missing_or_no_text_is_refused() -> None:
    assert PRE.check({**GOOD, "ci": 7}) == {"ci": ["ci is 7: it must be text."]}
    assert list(PRE.check({})) == list(PRE.CHECKS)


@pytest.mark.parametrize("derived", ["__description_toml", "__author_name_toml"])
def test_a_derived_value_cannot_be_given(derived: str) -> None:
    assert list(PRE.check({**GOOD, derived: '"\nevil = 1'})) == [derived]


def test_everything_wrong_is_said_at_once_and_nothing_is_left(bake: Bake) -> None:
    baked = bake(
        project_name='Say "hi"', project_slug="../up", package_name="import", description="\x07"
    )
    assert baked.code == 1
    for said in (
        "project_name is 'Say \"hi\"': it must not contain a double quote",
        "project_slug is '../up': it must be lower case letters",
        "package_name is 'import': it is a keyword of Python.",
        "description is '\\x07': it must be one line of printable characters.",
    ):
        assert said in baked.err
    assert "Traceback" not in baked.err
    assert not baked.project.exists()


def test_the_command_it_prints_asks_again_with_the_good_answers_filled_in(tmp_path: Path) -> None:
    refused = run_cookiecutter(
        tmp_path, "--no-input", "project_name=Bob's $HOME", "package_name=class", "docker=no"
    )
    assert refused.returncode == 1
    [command] = [line for line in refused.stderr.splitlines() if "cookiecutter " in line]
    assert "package_name=" not in command
    script = command.strip().replace("cookiecutter", f"'{sys.executable}' -m cookiecutter", 1)
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONUTF8": "1"}
    answers = ["", "", "my_package", *[""] * 6]
    again = subprocess.run(
        ["sh", "-c", script],
        input="\n".join(answers) + "\n",
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert again.returncode == 0, again.stdout + again.stderr
    project = tmp_path / "bobs-home"
    assert 'TITLE = "Bob\'s $HOME"' in (project / "src/my_package/about.py").read_text("utf-8")
    assert not (project / "Dockerfile").exists()


@pytest.mark.parametrize("answer", ["{{ 7*7 }}", "{% set x = 1 %}", "{# x #}"])
def test_template_marks_typed_at_a_prompt_are_refused_and_not_rendered(
    tmp_path: Path, answer: str
) -> None:
    done = run_cookiecutter(tmp_path, typed="\n" * 3 + f"{answer}\n" + "\n" * 5)
    assert done.returncode == 1
    assert f"description is {answer!r}: it must not contain a template mark" in done.stderr
    assert not (tmp_path / "acme-reports").exists()


def run_hook(hook: str, folder: Path, **answers: str) -> subprocess.CompletedProcess[str]:
    script = folder.parent / hook
    script.write_text(rendered(hook, GOOD | answers), "utf-8")
    environment = {"PATH": "", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    return subprocess.run(
        [sys.executable, script], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".github" / "workflows").mkdir(parents=True)
    for name in (
        ".github/workflows/ci.yml",
        "Dockerfile",
        "compose.yaml",
        ".dockerignore",
        "LICENSE",
    ):
        (folder / name).write_text("x")
    return folder


def test_what_was_not_chosen_is_removed_and_a_second_run_changes_nothing(project: Path) -> None:
    for _ in range(2):
        done = run_hook(
            "post_gen_project.py", project, ci="none", docker="no", license="proprietary"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert [path.name for path in project.iterdir()] == ["LICENSE"]


@pytest.mark.parametrize("example", ["profile", "merge", "reconcile"])
def test_the_example_takes_the_place_of_the_step_once(project: Path, example: str) -> None:
    package = project / "src" / "acme_reports"
    for folder, name in ((package, "pipeline"), (project / "tests", "test_pipeline")):
        folder.mkdir(parents=True)
        for other in ("", "_merge", "_reconcile"):
            (folder / f"{name}{other}.py").write_text(other)
    (package / "columns.py").write_text("of the profile")
    for _ in range(2):
        assert run_hook("post_gen_project.py", project, example=example).returncode == 0
        expected = "" if example == "profile" else f"_{example}"
        assert (package / "pipeline.py").read_text() == expected
        assert (project / "tests" / "test_pipeline.py").read_text() == expected
        assert (package / "columns.py").exists() == (example == "profile")
        assert not [*project.rglob("*pipeline_*")]


def test_what_was_chosen_stays(project: Path) -> None:
    before = sorted(project.rglob("*"))
    assert run_hook("post_gen_project.py", project).returncode == 0
    assert sorted(project.rglob("*")) == before


def test_next_steps_are_plain_ascii_and_name_the_one_file_to_change(project: Path) -> None:
    done = run_hook("post_gen_project.py", project, project_name="Ünï", _output_dir="/x")
    assert done.stdout.isascii()
    for line in (
        "  cd acme-reports\n",
        "  make run ",
        "  make test ",
        "src/acme_reports/pipeline.py",
    ):
        assert line in done.stdout


def test_an_updater_sees_no_next_steps(project: Path) -> None:
    assert run_hook("post_gen_project.py", project).stdout == ""
