"""Puts `known_step.py` where the app looks for its step, so that no test depends on `pipeline.py`.

In the tests' own process `load_app` does so while it loads the app. Processes that tests start
have this folder on their module path, where Python finds `sitecustomize.py` and runs it before
anything else. The app itself knows nothing of it, and `from ….pipeline import process` in a test
is the step that ships.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
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


def load_app() -> None:
    """Load the app with the known step, in this process and in those that it starts.

    Nothing happens if that is so already. What imports the step by itself, before or later, as its
    own tests do, has the app's own.
    """
    if f"{PACKAGE}.app" in sys.modules:
        return
    package, own = import_module(PACKAGE), sys.modules.pop(PIPELINE, None)
    vars(package).pop("pipeline", None)
    for_good()
    import_module(f"{PACKAGE}.app")
    del sys.meta_path[0], sys.modules[PIPELINE], vars(package)["pipeline"]
    if own:
        sys.modules[PIPELINE] = vars(package)["pipeline"] = own
    os.environ["PYTHONPATH"] = os.pathsep.join([FOLDER, os.environ.get("PYTHONPATH", "")])


def unload_path() -> None:
    """Have processes that start from here on find the app's own step again."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path != FOLDER)


def shipped_path() -> str:
    """A PYTHONPATH for a process that shall have the app's own step."""
    return os.pathsep.join(path for path in sys.path if path and path != FOLDER)
