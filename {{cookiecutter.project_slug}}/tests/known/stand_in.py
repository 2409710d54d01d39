"""Puts `known_step.py` where the app looks for its step, so that no test depends on `pipeline.py`.

In the tests' own process `support.py` does so while it loads the app. Processes that tests start
have this folder on their module path, where Python finds `sitecustomize.py` and runs it before
anything else. The app itself knows nothing of it, and `from ….pipeline import process` in a test
is the step that ships.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

PACKAGE = "{{ cookiecutter.package_name }}"
PIPELINE = f"{PACKAGE}.pipeline"
FOLDER = str(Path(__file__).parent)


class KnownStep(MetaPathFinder, Loader):
    """Finds the module `known_step` under the name of the app's step."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == PIPELINE else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return import_module("known_step")

    def exec_module(self, module: ModuleType) -> None:
        """It was executed under its own name."""


def for_good() -> None:
    """From here on in this process, and in those that it starts."""
    sys.meta_path.insert(0, KnownStep())


@contextmanager
def while_loading() -> Iterator[None]:
    """The app that is loaded meanwhile has the known step; what is imported later has its own."""
    assert f"{PACKAGE}.app" not in sys.modules, "the app was loaded before with its own step"
    package, own = import_module(PACKAGE), sys.modules.pop(PIPELINE, None)
    vars(package).pop("pipeline", None)
    for_good()
    yield
    del sys.meta_path[0]
    sys.modules.pop(PIPELINE, None)
    if own:  # for a test of it, which was loaded before
        sys.modules[PIPELINE] = vars(package)["pipeline"] = own
    os.environ["PYTHONPATH"] = os.pathsep.join([FOLDER, os.environ.get("PYTHONPATH", "")])


def shipped_path() -> str:
    """A PYTHONPATH for a process that shall have the app's own step."""
    return os.pathsep.join(path for path in sys.path if path and path != FOLDER)
