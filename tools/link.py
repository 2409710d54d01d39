"""Bake the template with its defaults and link the unrendered files back to the template.

    python tools/link.py FOLDER [EXAMPLE]

The result is a working app in FOLDER whose unrendered files are symbolic links, so that an edit
in either place is the same edit: ruff, mypy and pytest run there and report on the template's own
files. Rendered files are written anew at every call. EXAMPLE is the step that the app begins with,
`profile` if none is named.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cookiecutter.generate import is_copy_only_path
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parent.parent
SOURCE = TEMPLATE / "{{cookiecutter.project_slug}}"


def unlink(folder: Path) -> None:
    """Remove the links of an earlier call: a bake would write through them, into the template."""
    for path in folder.rglob("*"):
        if path.is_symlink() and path.resolve().is_relative_to(SOURCE):
            path.unlink()


def main(folder: str, example: str = "profile") -> None:
    unlink(Path(folder))
    context = {"cookiecutter": json.loads((TEMPLATE / "cookiecutter.json").read_text())}
    baked = Path(
        cookiecutter(
            str(TEMPLATE),
            no_input=True,
            output_dir=folder,
            overwrite_if_exists=True,
            default_config=True,
            extra_context={"example": example},
        )
    )
    for source in sorted(SOURCE.rglob("*")):  # pipeline.py before the example in its place
        inside = source.relative_to(SOURCE).as_posix()
        name = inside.replace("{{cookiecutter.package_name}}", "acme_reports")
        target = baked / name.replace(f"pipeline_{example}.py", "pipeline.py")
        if target.is_file() and is_copy_only_path(inside, context):
            target.unlink()
            target.symlink_to(source)
    print(baked)


if __name__ == "__main__":
    main(*sys.argv[1:])
