"""What `pipeline.py` keeps to, so that the form, the API and the command line can follow from it.

`check` finds what it does not, each with the line and how to mend it. The app does not start with
such a step, and the command `check` tells of it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import traceback
import typing
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError

from .controls import NoControl, control, properties
from .report import Attachment, Report
from .review import Review
from .step import Accepts

RESERVED = ("files", "help", "output")
"""What the command line calls something else by."""


BUILT_WITH = ("step.py", "report.py", "review.py")
"""What the step builds its parts with, and which refuses those that are wrong."""

WHAT = {"process": "files", "finish": "reviewed rows"}
"""What is made into a report."""


class StepError(Exception):
    """A step that breaks its contract; its text has a line for each breach."""


@dataclass(frozen=True)
class Breach:
    """What is wrong where, and how to mend it. Line 1 stands for the whole file."""

    file: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.sentence}"


def load() -> ModuleType:
    """The processing step, imported when it is needed. Raises StepError."""
    try:
        return importlib.import_module(".pipeline", __package__)
    except (Exception, SystemExit) as error:
        raise StepError(str(unloadable(error))) from error


def demand(module: ModuleType) -> None:
    """Raises StepError if the module breaks the contract."""
    if breaches := list(check(module)):
        raise StepError("\n".join(map(str, breaches)))


def check(module: ModuleType) -> Iterator[Breach]:
    """What is wrong with a module as a processing step; nothing if all is well."""
    source = Source(module)
    options = getattr(module, "Options", None)
    if not (inspect.isclass(options) and issubclass(options, BaseModel)):
        yield source.breach(
            "", "There is no class Options(BaseModel). Write one, empty if need be."
        )
    else:
        yield from check_options(source, options)
    process = getattr(module, "process", None)
    if not callable(process):
        yield source.breach("", "There is no function process(inputs, options, progress).")
    else:
        yield from check_process(source, process, options)
        yield from check_finish(source, getattr(module, "finish", None), process, options)
    accepts = getattr(module, "ACCEPTS", None)
    if not isinstance(accepts, Accepts):
        yield source.breach(
            "ACCEPTS", "ACCEPTS must say which files are taken: ACCEPTS = Accepts()."
        )


def unloadable(error: BaseException) -> Breach:
    """What is wrong with a module that cannot even be loaded; the line is the step's own."""
    frames = traceback.extract_tb(error.__traceback__)
    name, line = "pipeline.py", 1
    if isinstance(error, SyntaxError) and error.filename:
        name, line = Path(error.filename).name, error.lineno or 1
    elif mine := list(filter(_is_own, frames)):
        name, line = Path(mine[-1].filename).name, mine[-1].lineno or 1
    said = getattr(error, "msg", None) or getattr(error, "message", None) or error
    return Breach(name, line, f"It cannot be loaded: {type(error).__name__}: {said}")


def _is_own(frame: traceback.FrameSummary) -> bool:
    """Whether a line is of a module that the step is made of.

    This one loads the step, and a function of what it is built with refuses what the step says.
    """
    path, own = Path(frame.filename), Path(__file__)
    refuses = path.name in BUILT_WITH and frame.name != "<module>"
    return path.is_relative_to(own.parent) and path != own and not refuses


class Source:
    """A module's text, to find lines in."""

    def __init__(self, module: ModuleType) -> None:
        path = Path(module.__file__ or module.__name__)
        self.file = path.name
        self.lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

    def breach(self, name: str, sentence: str, after: int = 0) -> Breach:
        """A breach at the line that makes a name: `name:`, `name =`, `class name`, `def name`."""
        made = re.compile(rf"\s*(?:(?:async\s+)?(?:def|class)\s+)?{re.escape(name)}\s*[:=(]")
        found = (
            n for n, line in enumerate(self.lines, 1) if n > after and name and made.match(line)
        )
        return Breach(self.file, next(found, max(after, 1)), sentence)

    def line(self, name: str) -> int:
        return self.breach(name, "").line


def check_options(source: Source, options: type[BaseModel]) -> Iterator[Breach]:
    top = source.line("Options")
    if not (options.__doc__ or "").strip():
        yield source.breach(
            "Options", 'Options has no docstring. Say what a person chooses: """…""".'
        )
    try:
        schema = options.model_json_schema()
    except PydanticUserError as error:
        said = f"Options has no JSON Schema, which the form is made of: {error.message}"
        yield source.breach("Options", said)
        return
    for name, option in properties(schema):
        if name in RESERVED:
            said = f"Options.{name} has a name that the command line needs. Choose another."
            yield source.breach(name, said, top)
        try:
            control(option)
            json.dumps(option, allow_nan=False)
        except NoControl as error:
            yield source.breach(name, f"Options.{name} {error}", top)
        except ValueError:
            said = f"Options.{name} has a number without end, which JSON cannot say. Use None."
            yield source.breach(name, said, top)
    wrong = list(check_defaults(source, options, top))
    yield from wrong or check_travel(source, options, top)


def check_defaults(source: Source, options: type[BaseModel], top: int) -> Iterator[Breach]:
    """A default that its own rules refuse would fail whoever leaves it as it is."""
    for name, field in options.model_fields.items():
        if field.is_required():
            continue
        default = field.get_default(call_default_factory=True, validated_data={})
        try:
            options.__pydantic_validator__.validate_assignment(
                options.model_construct(), name, default
            )
        except ValidationError as error:
            said = next(
                (each["msg"] for each in error.errors() if each["loc"][:1] == (name,)), None
            )
            if said:
                mend = f"Options.{name} does not take its own default {default!r}: {said}."
                yield source.breach(name, mend, top)


def check_travel(source: Source, options: type[BaseModel], top: int) -> Iterator[Breach]:
    """Options travel to the job's process as JSON, each under its own name."""
    for name, field in options.model_fields.items():
        if field.alias or field.validation_alias:
            mend = f"Options.{name} has an alias, which the form does not know. Use title instead."
            yield source.breach(name, mend, top)
            return
    try:
        chosen = options()
    except ValidationError:
        return  # something must be chosen
    try:
        same = options.model_validate(chosen.model_dump(mode="json")) == chosen
    except ValueError:  # of Pydantic's own, too
        same = False
    if not same:
        said = "Options are not the same after they have been written as JSON and read again."
        yield source.breach("Options", f"{said} Do without serializers of your own.")


def check_process(source: Source, process: Callable[..., Any], options: Any) -> Iterator[Breach]:
    hints = yield from check_function(source, process, "process", "inputs, options, progress")
    if hints is None:
        return
    second, hint = hints[1]
    if hint is not options:
        yield source.breach(
            "process", f"The second parameter of process must be typed: `{second}: Options`."
        )
    if not returns(hints[-1][1], Report, Attachment, Review):
        yield source.breach(
            "process", "process must say that it returns a report: `-> Report` or `-> Attachment`."
        )


def check_finish(source: Source, finish: Any, process: Any, options: Any) -> Iterator[Breach]:
    """A step has it if it may return a review, and only then."""

    def wrong(sentence: str) -> Breach:
        return source.breach("finish" if finish else "process", sentence)

    if not returns_review(process):
        if finish is not None:
            yield wrong("finish is never called: let process return a Review, `-> Review`.")
        return
    if not callable(finish):
        yield wrong("process returns a Review. Write finish(review, options) for the report of it.")
        return
    hints = yield from check_function(source, finish, "finish", "review, options")
    if hints is None:
        return
    for (name, hint), wanted, said in zip(
        hints, (Review, options), ("Review", "Options"), strict=False
    ):
        if hint is not wanted:
            yield wrong(f"This parameter of finish must be typed: `{name}: {said}`.")
    if not returns(hints[-1][1], Report, Attachment):
        yield wrong("finish must say that it returns a report: `-> Report` or `-> Attachment`.")


def check_function(
    source: Source, function: Callable[..., Any], name: str, parameters: str
) -> Generator[Breach, None, list[tuple[str, Any]] | None]:
    """What both functions keep to. Gives the types of their parameters, and last of the result."""

    def wrong(sentence: str) -> Breach:
        return source.breach(name, sentence)

    owner = sys.modules.get(getattr(function, "__module__", ""))
    found = getattr(owner, getattr(function, "__qualname__", ""), None)
    if not inspect.isfunction(function) or found is not function:
        yield wrong(
            f"{name} cannot be found by its name in another process. Make it a plain `def`."
        )
        return None
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        yield wrong(f"{name} must return its report: write `def`, without `async` or `yield`.")
    if not (function.__doc__ or "").strip():
        yield wrong(f'{name} has no docstring. Say what it makes of the {WHAT[name]}: """…""".')
    try:
        inspect.signature(function).bind(*parameters.split(", "))
        hints = typing.get_type_hints(function)
    except TypeError:
        yield wrong(f"{name} takes other parameters. Write {name}({parameters}).")
        return None
    except (NameError, AttributeError) as error:
        yield wrong(f"A type of {name} is unknown: {error}. Import it.")
        return None
    names = list(inspect.signature(function).parameters)
    return [(each, hints.get(each)) for each in (*names, "return")]


def returns_review(process: Any) -> bool:
    """Whether a step says that it may return a review."""
    try:
        hint = typing.get_type_hints(process).get("return")
    except (NameError, AttributeError, TypeError):
        return False
    return any(inspect.isclass(kind) and issubclass(kind, Review) for kind in alternatives(hint))


def returns(hint: Any, *wanted: type) -> bool:
    return all(inspect.isclass(kind) and issubclass(kind, wanted) for kind in alternatives(hint))


def alternatives(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) or (hint,)
