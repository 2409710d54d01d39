"""What a bake writes: the expected files and only those, for every pair of choices."""

from __future__ import annotations

import html
import re
import runpy
import tomllib
from itertools import combinations, product
from pathlib import Path

import pytest
from conftest import CHOICES, QUESTIONS, SOURCE, TEMPLATE, Bake, files_of, run_cookiecutter
from cookiecutter.generate import is_copy_only_path
from pairs import Row, covering, each_answer

ROWS = covering(CHOICES)
EXPECTED = (Path(__file__).parent / "expected_files.txt").read_text("utf-8").split()
FOR_CONTAINERS = {
    ".dockerignore",
    "Dockerfile",
    "compose.distributed.yaml",
    "compose.yaml",
    "deploy/kubernetes.yaml",
    "tests/containers/__init__.py",
    "tests/containers/by_hand.py",
    "tests/containers/recipes.py",
    "tests/containers/test_by_hand.py",
    "tests/containers/test_recipes.py",
}
STATIC = "src/acme_reports/static"
SAMPLES_TO_MERGE = {f"{STATIC}/sample-january.csv", f"{STATIC}/sample-february.xlsx"}
SAMPLES_TO_RECONCILE = {f"{STATIC}/sample-ledger.xlsx", f"{STATIC}/sample-bank.csv"}
PARTS_OF_PROFILE = {
    f"{STATIC}/sample.xlsx",
    "src/acme_reports/columns.py",
    "src/acme_reports/findings.py",
    "tests/test_columns.py",
}
LEFT_OUT = {
    ("ci", "none"): {".github/workflows/ci.yml"},
    ("docker", "no"): FOR_CONTAINERS,
    ("example", "merge"): PARTS_OF_PROFILE,
    ("example", "reconcile"): PARTS_OF_PROFILE,
}
BROUGHT_IN = {
    ("example", "merge"): SAMPLES_TO_MERGE,
    ("example", "reconcile"): SAMPLES_TO_RECONCILE,
}
PACKAGE = "{{cookiecutter.package_name}}"


def label(row: Row) -> str:
    return "-".join(row.values())


def is_copied(name: str) -> bool:
    return bool(is_copy_only_path(name, {"cookiecutter": QUESTIONS}))


def test_rows_hold_every_pair_of_choices() -> None:
    held = {pair for row in ROWS for pair in combinations(sorted(row.items()), 2)}
    for (q1, answers1), (q2, answers2) in combinations(sorted(CHOICES.items()), 2):
        for answer1, answer2 in product(answers1, answers2):
            assert ((q1, answer1), (q2, answer2)) in held


def test_the_matrix_holds_every_answer_and_begins_with_the_defaults() -> None:
    rows = each_answer(CHOICES)
    assert rows[0] == {question: answers[0] for question, answers in CHOICES.items()}
    for question, answers in CHOICES.items():
        assert {row[question] for row in rows} == set(answers)


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_a_bake_holds_the_expected_files_and_only_those(kept: Bake, row: Row) -> None:
    baked = kept(**row)
    assert baked.code == 0, baked.out + baked.err
    unchosen = set().union(*(LEFT_OUT.get(answer, set()) for answer in row.items()))
    chosen = set().union(*(BROUGHT_IN.get(answer, set()) for answer in row.items()))
    assert sorted(files_of(baked.project)) == sorted((set(EXPECTED) - unchosen) | chosen)
    assert not [
        path for path in baked.project.rglob("*") if path.is_dir() and not any(path.iterdir())
    ]


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_a_bake_names_no_file_that_other_answers_bring(kept: Bake, row: Row) -> None:
    """Such as a sample of another example, which its own tests would then ask for."""
    files = files_of(kept(**row).project)
    every = set(EXPECTED).union(*LEFT_OUT.values(), *BROUGHT_IN.values())
    absent = {Path(name).name for name in every} - {Path(name).name for name in files}
    named = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, sorted(absent)))})(?![\w-])")
    for name, data in files.items():
        assert not named.search(data.decode("utf-8", "replace")), name


def test_two_bakes_are_the_same_bytes(bake: Bake, default: Path) -> None:
    assert files_of(bake().project) == files_of(default)


def test_unrendered_files_are_copied_byte_for_byte(default: Path) -> None:
    copied = {name: data for name, data in files_of(SOURCE).items() if is_copied(name)}
    baked = files_of(default)
    assert len(copied) > 20
    for name, data in copied.items():
        if re.search(r"/(pipeline_|sample-)", name):
            continue  # of another example
        assert baked[name.replace(PACKAGE, "acme_reports")] == data, name


@pytest.mark.parametrize("example", ["merge", "reconcile"])
def test_the_chosen_example_is_the_step_and_its_test_is_the_step_s(
    kept: Bake, default: Path, example: str
) -> None:
    project = kept(example=example).project
    for step, folder in (("pipeline", f"src/{PACKAGE}"), ("test_pipeline", "tests")):
        source = (SOURCE / folder / f"{step}_{example}.py").read_text("utf-8")
        name = folder.replace(PACKAGE, "acme_reports") + f"/{step}.py"
        text = source.replace("{{ cookiecutter.package_name }}", "acme_reports")
        assert (project / name).read_text("utf-8") == text
    own = {*PARTS_OF_PROFILE, "src/acme_reports/pipeline.py", "tests/test_pipeline.py"}
    others = {name: data for name, data in files_of(default).items() if name not in own}
    assert {name: files_of(project)[name] for name in others} == others


def test_the_rendered_surface_of_the_package_is_only_what_needs_an_answer() -> None:
    rendered = {
        name for name in files_of(SOURCE) if name.startswith("src/") and not is_copied(name)
    }
    assert rendered == {f"src/{PACKAGE}/about.py"}


def test_tests_use_the_template_language_to_name_the_package_alone() -> None:
    for path in (SOURCE / "tests").rglob("*.py"):
        text = path.read_text("utf-8").replace("{{ cookiecutter.package_name }}", "")
        assert not re.search(r"\{[{%#]", text), path


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_no_template_language_is_left(kept: Bake, row: Row) -> None:
    for name, data in files_of(kept(**row).project).items():
        assert b"cookiecutter." not in data, name
        assert PACKAGE not in name
        if not is_copied(name.replace("acme_reports", PACKAGE)):
            assert not re.search(rb"\{[{%#]", data), name


@pytest.mark.parametrize(
    ("licence", "first_line"),
    [
        ("MIT", "MIT License"),
        ("BSD-3-Clause", "BSD 3-Clause License"),
        ("Apache-2.0", "Apache License"),
        ("proprietary", "Copyright (c) Ann O'Neil & Söhne. All rights reserved."),
    ],
)
def test_the_licence_is_the_chosen_one(bake: Bake, licence: str, first_line: str) -> None:
    project = bake(license=licence, author_name="Ann O'Neil & Söhne").project
    text = (project / "LICENSE").read_text("utf-8")
    assert text.strip().splitlines()[0].strip() == first_line
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    if licence != "Apache-2.0":  # its text stays as it is; the README names the holder
        assert "Copyright (c) Ann O'Neil & Söhne" in text
    assert "Ann O'Neil & Söhne" in (project / "README.md").read_text("utf-8")
    declared = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    assert declared["license"] == {"proprietary": "LicenseRef-Proprietary"}.get(licence, licence)
    assert ("classifiers" in declared) == (licence == "proprietary")


def test_the_mit_licence_is_word_for_word_our_own(default: Path) -> None:
    ours, theirs = ((folder / "LICENSE").read_text("utf-8") for folder in (TEMPLATE, default))
    without_holder = re.compile(r"Copyright \(c\).*\n")
    assert without_holder.sub("", ours) == without_holder.sub("", theirs)


@pytest.mark.parametrize(
    "name",
    [
        "It's Ours & Theirs",
        "L’été – Ünïcode «Reports»",
        "表計算レポート",
        "😀 Smile 👨‍👩‍👧",
        "<b>Bold</b> #1 $HOME `x` %s",
        "'''",
        "x" * 60,
    ],
)
def test_the_name_comes_out_as_it_was_typed(bake: Bake, name: str) -> None:
    named = name if any(map(str.isalpha, name)) else f"{name}a"
    baked = bake(project_name=named, project_slug="app", package_name="pkg")
    assert baked.code == 0, baked.err
    about = runpy.run_path(str(baked.project / "src/pkg/about.py"))
    assert about["TITLE"] == named
    assert f"# {named}\n" in (baked.project / "README.md").read_text("utf-8")
    declared = tomllib.loads((baked.project / "pyproject.toml").read_text("utf-8"))["project"]
    assert declared["authors"] == [{"name": f"The {named} developers"}]


@pytest.mark.parametrize(
    "text",
    [
        r'back\slash, "quotes", \" both, \n no newline, \u0041',
        '"""',
        "'''",
        "ends with a backslash \\",
        "$(touch gone) `touch gone` ; touch gone # } %}",
        "]\ndependencies = []".replace("\n", " "),
        "tab-free, wide 表, emoji 😀, joined 👨‍👩‍👧, non-breaking\u00a0space",
        "d" * 200,
    ],
)
def test_free_text_reaches_every_file_as_data(bake: Bake, text: str) -> None:
    baked = bake(description=text, author_name=text)
    assert baked.code == 0, baked.err
    declared = tomllib.loads((baked.project / "pyproject.toml").read_text("utf-8"))["project"]
    assert declared["description"] == text
    assert declared["authors"] == [{"name": text}]
    assert "dependencies" in declared
    assert text in (baked.project / "README.md").read_text("utf-8")
    assert f"Copyright (c) {text}\n" in (baked.project / "LICENSE").read_text("utf-8")
    assert not list(baked.project.parent.rglob("gone"))


@pytest.mark.parametrize(
    ("name", "slug", "package"),
    [
        ("Acme Reports", "acme-reports", "acme_reports"),
        ("It's Ours", "its-ours", "its_ours"),
        ("Zoë’s Übersicht", "zoes-ubersicht", "zoes_ubersicht"),
        ("2024 Sales", "app-2024-sales", "app_2024_sales"),
        ("R&D -- Q1", "r-d-q1", "r_d_q1"),
        (
            "Quarterly Consolidated Statements of All Branches",
            "quarterly-consolidated-statements-of-all",
            "quarterly_consolidated_stateme",
        ),
    ],
)
def test_slug_and_package_follow_from_the_name(
    bake: Bake, name: str, slug: str, package: str
) -> None:
    baked = bake(project_name=name)
    assert baked.code == 0, baked.err
    assert baked.project.name == slug
    assert (baked.project / "src" / package / "about.py").is_file()


def test_a_name_that_no_slug_can_be_made_of_is_refused_by_our_own_sentence(bake: Bake) -> None:
    baked = bake(project_name="!!!")
    assert baked.code != 0
    assert "Nothing was written. Please change:" in baked.out + baked.err
    assert "project_name" in baked.out + baked.err


def test_pressing_enter_at_every_question_is_the_default_bake(
    tmp_path: Path, default: Path
) -> None:
    questions = [name for name in QUESTIONS if not name.startswith("_")]
    assert len(questions) <= 9
    done = run_cookiecutter(tmp_path, typed="\n" * len(questions))
    assert done.returncode == 0, done.stdout + done.stderr
    assert files_of(tmp_path / "acme-reports") == files_of(default)
    for question in questions:
        prompt = QUESTIONS["__prompts__"][question]
        sentence = prompt if isinstance(prompt, str) else prompt["__prompt__"]
        assert sentence in " ".join(html.unescape(done.stdout).split())


def test_typed_answers_are_data(tmp_path: Path) -> None:
    typed = ["Typed", "", "", "$(touch gone) `touch gone` \"'", "\\", "4", "2", "2", "3"]
    done = run_cookiecutter(tmp_path, typed="\n".join(typed) + "\n")
    assert done.returncode == 0, done.stdout + done.stderr
    project = tomllib.loads((tmp_path / "typed/pyproject.toml").read_text("utf-8"))["project"]
    assert project["description"] == typed[3]
    assert project["authors"] == [{"name": "\\"}]
    assert "reconciles" in (tmp_path / "typed/src/typed/pipeline.py").read_text("utf-8")
    assert not list(tmp_path.rglob("gone"))


@pytest.mark.parametrize("way", ["--replay", "--replay-file"])
def test_replay_bakes_the_same_again(tmp_path: Path, way: str) -> None:
    first = run_cookiecutter(
        tmp_path,
        "--no-input",
        "-o",
        "first",
        "project_name=It's \\o/".replace("\\", "|"),
        "ci=none",
    )
    assert first.returncode == 0, first.stderr
    replayed = [*tmp_path.glob(".cookiecutter_replay/*.json")]
    assert len(replayed) == 1
    args = [way] if way == "--replay" else [way, str(replayed[0])]
    second = run_cookiecutter(tmp_path, *args, "-o", "second")
    assert second.returncode == 0, second.stdout + second.stderr
    assert files_of(tmp_path / "first") == files_of(tmp_path / "second")
    assert len(files_of(tmp_path / "second")) > 20


def test_a_bake_into_a_folder_that_exists_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "acme-reports").mkdir()
    (tmp_path / "acme-reports" / "mine.txt").write_text("kept")
    assert run_cookiecutter(tmp_path, "--no-input").returncode == 1
    assert files_of(tmp_path / "acme-reports") == {"mine.txt": b"kept"}
