"""Steps that keep to the contract, and steps that break it, told where and how to mend it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import {{ cookiecutter.package_name }}.pipeline as shipped
from {{ cookiecutter.package_name }} import contract

PACKAGE = contract.__package__
GOOD = f'''"""A step."""
from datetime import date
from enum import Enum
from typing import Literal
import pydantic
from pydantic import BaseModel, Field, field_serializer
from {PACKAGE}.report import Attachment, Report
from {PACKAGE}.step import Accepts, ColumnName

ACCEPTS = Accepts((".csv",))


class Colour(Enum):
    red = "red"
    blue = "blue"


class Options(BaseModel):
    """What to choose."""

    text: str = ""
    whole: int | None = Field(None, ge=1)
    number: float = 0.5
    truth: bool = False
    maybe: bool | None = None
    choice: Literal["a", "b"] = "a"
    colour: Colour = Colour.red
    choices: list[Literal["x", "y"]] = []
    several: set[Colour] = set()
    day: date | None = None
    column: ColumnName = ""
    needed: str


def process(inputs, options: Options, progress) -> Report | Attachment:
    """Does nothing."""
    return Report("R")
'''

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Write a module and import it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str) -> ModuleType:
        (tmp_path / "step_under_test.py").write_text(text)
        importlib.invalidate_caches()
        sys.modules.pop("step_under_test", None)
        return importlib.import_module("step_under_test")

    yield write
    sys.modules.pop("step_under_test", None)


def test_the_step_of_this_app_keeps_to_it() -> None:
    contract.demand(shipped)


def test_a_step_with_an_option_of_every_sort_keeps_to_it(load: Load) -> None:
    assert list(contract.check(load(GOOD))) == []


@pytest.mark.parametrize(
    ("old", "new", "marked", "sentence"),
    [
        (
            "class Options(BaseModel)",
            "class Options:  #",
            None,
            "There is no class Options(BaseModel).",
        ),
        ("def process(", "def run(", None, "There is no function process("),
        ("ACCEPTS = Accepts", "OTHERS = Accepts", None, "ACCEPTS = Accepts()"),
        ('    """What to choose."""\n', "", "class Options", "Options has no docstring."),
        ('    """Does nothing."""\n', "", "def process", "process has no docstring."),
        (
            '    text: str = ""',
            "    text: bytes = b''",
            "text:",
            "Options.text is of a type that the",
        ),
        ('    text: str = ""', "    text: list[str] = []", "text:", "Use str, int, float"),
        ('    text: str = ""', "    text: str | int = 1", "text:", "Options.text is of a type"),
        (
            '    text: str = ""',
            '    text: tuple[str, int] = ("", 1)',
            "text:",
            "Options.text is of a type",
        ),
        ('    text: str = ""', '    output: str = ""', "output:", "the command line needs"),
        ('    text: str = ""', '    files: str = ""', "files:", "the command line needs"),
        ("number: float = 0.5", "number: float = 'half'", "number:", "its own default 'half'"),
        ("number: float = 0.5", "number: float = float('inf')", "number:", "without end"),
        ("Field(None, ge=1)", "Field(0, ge=1)", "whole:", "Options.whole does not take its own"),
        ('text: str = ""', 'text: str = Field("", alias="t")', "text:", "has an alias"),
        (
            "    needed: str\n",
            '    @field_serializer("day")\n    def past(self, _): return "2020-01-01"\n',
            "class Options",
            "not the same after",
        ),
        (
            "    needed: str\n",
            '    @field_serializer("day")\n    def past(self, _): return "?"\n',
            "class Options",
            "not the same after",
        ),
        ("options: Options", "options: dict", "def process", "typed: `options: Options`"),
        ("options: Options", "options: 'Choices'", "def process", "Import it."),
        (" -> Report | Attachment", " -> 'pydantic.Raport'", "def process", "Import it."),
        ("options: Options", "options", "def process", "typed: `options: Options`"),
        ("inputs, options: Options, progress", "inputs", "def process", "(inputs, options, prog"),
        (" -> Report | Attachment", "", "def process", "must say that it returns a report"),
        (" -> Report | Attachment", " -> dict", "def process", "must say that it returns"),
        ("def process", "async def process", "async def process", "without `async` or `yield`"),
        ('return Report("R")', 'yield Report("R")', "def process", "without `async` or `yield`"),
        (
            "def process(inputs, options: Options, progress)",
            "process = lambda inputs, options, progress: Report('R')\ndef other()",
            "process =",
            "Make it a plain `def`",
        ),
    ],
)
def test_a_breach_is_told_with_its_line_and_how_to_mend_it(
    load: Load, old: str, new: str, marked: str | None, sentence: str
) -> None:
    text = GOOD.replace(old, new)
    assert text != GOOD
    found = list(contract.check(load(text)))
    assert found
    assert sentence in found[0].sentence
    lines = text.splitlines()
    expected = 1 if marked is None else next(n for n, t in enumerate(lines, 1) if marked in t)
    assert (found[0].file, found[0].line) == ("step_under_test.py", expected)
    with pytest.raises(contract.StepError, match=r"step_under_test\.py, line "):
        contract.demand(load(text))


FINISH = GOOD.replace("-> Report |", "-> Review |").replace(
    "import Attachment, Report", f"import Attachment, Report\nfrom {PACKAGE}.review import Review"
)
FINISH += '''

def finish(review: Review, options: Options) -> Report:
    """Does nothing, too."""
    return Report("R")
'''


def test_a_step_with_a_review_keeps_to_it(load: Load) -> None:
    assert list(contract.check(load(FINISH))) == []


@pytest.mark.parametrize(
    ("old", "new", "marked", "sentence"),
    [
        ("def finish(", "def others(", "def process", "Write finish(review, options)"),
        ("-> Review |", "-> Report |", "def finish", "finish is never called"),
        ("review: Review", "review", "def finish", "typed: `review: Review`"),
        ("(review: Review, options: Options)", "(review: Review, o: int)", "def finish", "`o: O"),
        ("(review: Review, options: Options)", "(review: Review)", "def finish", "Write finish("),
        ("-> Report:", "-> Review:", "def finish", "finish must say that it returns a report"),
        ('    """Does nothing, too."""\n', "", "def finish", "of the reviewed rows"),
        ("def finish", "async def finish", "async def finish", "without `async` or `yield`"),
    ],
)
def test_a_breach_of_finish_is_told_in_the_same_way(
    load: Load, old: str, new: str, marked: str, sentence: str
) -> None:
    text = FINISH.replace(old, new)
    assert text != FINISH
    [found] = contract.check(load(text))
    assert sentence in found.sentence
    assert marked in text.splitlines()[found.line - 1]


@pytest.mark.parametrize("default", ["100", "'half'"])
def test_a_wrong_default_is_told_once_and_in_one_way(
    load: Load, recwarn: pytest.WarningsRecorder, default: str
) -> None:
    text = GOOD.replace("number: float = 0.5", f"number: float = Field({default}, le=50)")
    [found] = contract.check(load(text.replace("    needed: str\n", "")))
    assert found.sentence.startswith("Options.number does not take its own default")
    assert not recwarn.list


def test_all_breaches_are_told_at_once(load: Load) -> None:
    text = GOOD.replace('"""What to choose."""', "pass").replace('"""Does nothing."""', "pass")
    assert len(list(contract.check(load(text)))) == 2
