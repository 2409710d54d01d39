"""A copy of the app, whose code a test may change while it is served."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from stand_in import shipped_path
from test_serve import Server

from {{ cookiecutter.package_name }} import __name__ as package
from {{ cookiecutter.package_name }} import cli

STEP = '''
from pathlib import Path
from time import sleep

from pydantic import BaseModel

from .report import Report
from .step import Accepts

ACCEPTS = Accepts()


class Options(BaseModel):
    """Nothing."""

    first: str = ""


def process(inputs, options: Options, progress) -> Report:
    """Wait for a file, if there shall be one."""
    progress(1, 2, "Half-way")
    while Path("wait").exists():
        sleep(0.01)
    return Report("The first")
'''
FAILING = STEP.replace('return Report("The first")', 'raise ValueError("<b>in a step</b>")')


class Copy:
    """A copy of the app, whose step may be changed; `serve` serves it until the test ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = importlib.util.find_spec(package)
        assert found
        assert found.origin
        self.package = folder / "copy" / package
        shutil.copytree(Path(found.origin).parent, self.package)
        self.change("pipeline.py", STEP)
        self.servers: list[Server] = []

    def change(self, name: str, text: str) -> None:
        (self.package / name).write_text(text)

    @property
    def path(self) -> str:
        """A module path that finds the copy first."""
        return os.pathsep.join([str(self.package.parent), shipped_path()])

    def serve(self, *arguments: str, **settings: str) -> Server:
        self.servers.append(Server(self.folder, *arguments, PYTHONPATH=self.path, **settings))
        return self.servers[-1]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the copy, to its end."""
        return self.python("-m", cli.__name__, *arguments)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": self.path}
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
