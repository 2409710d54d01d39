"""A step that cannot be loaded: every command says so, with the line, and without a traceback."""

from __future__ import annotations

import pytest
from copied import STEP, Copy

CLASS = """from pydantic import BaseModel, Field
class Options(BaseModel):
    \"\"\"Something that Pydantic does not know.\"\"\"
    first: object()
"""


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("x = 1\ny = (\n", 2, "SyntaxError: '(' was never closed"),
        ("import os\nimport no_such_module\n", 2, "ModuleNotFoundError: No module named 'no_s"),
        ("from .report import Reprot\n", 1, "ImportError: cannot import name 'Reprot'"),
        (CLASS, 2, "PydanticSchemaGenerationError: Unable to generate"),
        ("\n\nraise ValueError('no')\n", 3, "ValueError: no"),
        ("def f():\n    1 / 0\nf()\n", 2, "ZeroDivisionError: division by zero"),
        ("raise SystemExit\n", 1, "SystemExit: "),
        ("from .step import Accepts\nACCEPTS = Accepts(('.csv'))\n", 2, "ValueError: suffixes are"),
        ("from .report import Column\nname = Column('a', 'int')\n", 2, "ValueError: Column 'a'"),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else None,
)
def test_check_tells_the_line(copy: Copy, text: str, line: int, sentence: str) -> None:
    copy.change("pipeline.py", text)
    done = copy.run("check")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(
        f"Error: pipeline.py, line {line}: It cannot be loaded: {sentence}"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["serve"], ["process", "a.csv"], ["process", "--help"]])
def test_every_command_that_needs_the_step_tells_it(copy: Copy, arguments: list[str]) -> None:
    (copy.folder / "a.csv").write_text("A\n1\n")
    copy.change("pipeline.py", STEP + "\n)")
    done = copy.run(*arguments)
    assert done.returncode == 1
    assert "It cannot be loaded: SyntaxError: unmatched ')'\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_needs_no_step_works_without_one(copy: Copy) -> None:
    copy.change("pipeline.py", "")
    assert copy.run("--help").returncode == 0
    assert copy.run("encryption-key").returncode == 0


def test_a_module_that_the_step_is_made_of_is_named(copy: Copy) -> None:
    copy.change("pipeline.py", "from . import mine\n")
    copy.change("mine.py", "\nprint(unknown)\n")
    assert "mine.py, line 2: It cannot be loaded: NameError" in copy.run("check").stderr


def test_jobs_do_without_the_web(copy: Copy) -> None:
    done = copy.python(
        "-c",
        f"import sys, {copy.package.name}.silo.tasks.child, {copy.package.name}.jobs;"
        "print({'flask', 'werkzeug', 'gunicorn', 'click'} & {*sys.modules})",
    )
    assert done.stdout == "set()\n", done.stderr
