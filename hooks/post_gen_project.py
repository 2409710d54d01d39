"""Remove what was not chosen and say what comes next.

It needs no network and does the same every time, because template updaters run it too: they bake
old and new versions into temporary folders and compare the two.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

FOR_CONTAINERS = [
    ".dockerignore",
    "Dockerfile",
    "compose.distributed.yaml",
    "compose.yaml",
    "deploy/kubernetes.yaml",
    "tests/containers",
]
STATIC = "src/{package_name}/static/"
SAMPLES_TO_MERGE = [STATIC + "sample-january.csv", STATIC + "sample-february.xlsx"]
SAMPLES_TO_RECONCILE = [STATIC + "sample-ledger.xlsx", STATIC + "sample-bank.csv"]
PARTS_OF_PROFILE = [
    STATIC + "sample.xlsx",
    "src/{package_name}/columns.py",
    "src/{package_name}/findings.py",
    "tests/test_columns.py",
]
UNCHOSEN = {
    ("ci", "none"): [".github"],
    ("docker", "no"): FOR_CONTAINERS,
    ("example", "profile"): [*SAMPLES_TO_MERGE, *SAMPLES_TO_RECONCILE],
    ("example", "merge"): [*PARTS_OF_PROFILE, *SAMPLES_TO_RECONCILE],
    ("example", "reconcile"): [*PARTS_OF_PROFILE, *SAMPLES_TO_MERGE],
}
EXAMPLES = ("merge", "reconcile")
"""Those that lie beside `pipeline.py` and its test, and take their place when they are chosen."""

NEXT_STEPS = """
Your app is ready. Next:

  cd {project_slug}
  make run     start it in your browser (the first time installs it into .venv)
  make test    prove that it works, a real browser included

The one file to change: src/{package_name}/pipeline.py
"""


def prune(project: Path, answers: dict[str, str]) -> None:
    for (question, answer), names in UNCHOSEN.items():
        for name in names if answers[question] == answer else []:
            path = project / name.format_map(answers)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def put_in_place(project: Path, answers: dict[str, str]) -> None:
    for example in EXAMPLES:
        for name in ("src/{package_name}/pipeline", "tests/test_pipeline"):
            stem = name.format_map(answers)
            path = project / f"{stem}_{example}.py"
            if not path.exists():
                continue
            if answers["example"] == example:
                path.replace(project / f"{stem}.py")
            else:
                path.unlink()


def main(answers: dict[str, str]) -> None:
    prune(Path.cwd(), answers)
    put_in_place(Path.cwd(), answers)
    # Cookiecutter itself says where it writes; an updater does not, and wants no next steps.
    if "_output_dir" in answers:
        print(NEXT_STEPS.format_map(answers))


if __name__ == "__main__":
    # As in pre_gen_project.py: the answers arrive as data, never as code.
    main(json.loads({{cookiecutter | jsonify | jsonify}}))  # type: ignore[name-defined, arg-type]  # noqa: F821
