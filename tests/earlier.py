"""A version of this template as it may have been: what an app is made from before it is updated.

Made by known edits and not taken from the history, so that a shallow clone has it, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

PROJECT = "{{cookiecutter.project_slug}}"
PACKAGE = f"{PROJECT}/src/{{{{cookiecutter.package_name}}}}"
IMPORTS = "from __future__ import annotations\n"


def before(place: str, text: str) -> Callable[[str], str]:
    return lambda content: content.replace(place, text + place, 1)


def without(pattern: str) -> Callable[[str], str]:
    return lambda content: re.sub(pattern, "", content, flags=re.MULTILINE)


CHANGED = {
    f"{PROJECT}/README.md": before("## Where to go next\n", "An earlier sentence.\n\n"),
    f"{PROJECT}/Makefile": before("wheel:", "# An earlier comment.\n"),
    f"{PROJECT}/.env.example": without(r"^#SILO_LOG_FORMAT=.*\n"),
    f"{PROJECT}/.github/workflows/ci.yml": before("permissions:", "# An earlier comment.\n"),
    f"{PROJECT}/Dockerfile": before("FROM", "# An earlier comment.\n"),
    f"{PROJECT}/pyproject.toml": before('    "click>=', '    "earlier>=1.0",\n'),
    f"{PROJECT}/docs/attacks.md": before("## ", "An earlier sentence.\n\n"),
    f"{PROJECT}/tests/test_pipeline.py": before(IMPORTS, "# An earlier comment.\n"),
    f"{PACKAGE}/config.py": before(IMPORTS, "# An earlier comment.\n"),
    f"{PACKAGE}/pipeline.py": before(IMPORTS, "# An earlier comment.\n"),
    f"{PACKAGE}/pipeline_merge.py": before(IMPORTS, "# An earlier comment.\n"),
    f"{PACKAGE}/silo/records.py": before(IMPORTS, "# An earlier comment.\n"),
    f"{PACKAGE}/static/app.css": before("@media", "/* An earlier comment. */\n"),
    f"{PACKAGE}/views.py": before(IMPORTS, "# An earlier comment.\n"),
}
ADDED_SINCE = [
    f"{PROJECT}/docs/security.md",
    f"{PROJECT}/tests/test_client.py",
    f"{PACKAGE}/client.py",
    f"{PACKAGE}/static/sample.xlsx",
]
REMOVED_SINCE = [f"{PACKAGE}/silo/earlier.py", f"{PROJECT}/tests/test_earlier.py"]
RENAMED_SINCE = {f"{PACKAGE}/headings.py": f"{PACKAGE}/earlier_headings.py"}


def make_earlier(template: Path) -> None:
    """Turn a copy of this template into an earlier version of it."""
    for name, change in CHANGED.items():
        text = (template / name).read_text("utf-8")
        assert change(text) != text, f"{name} has nothing to change"
        (template / name).write_text(change(text), "utf-8")
    for name in ADDED_SINCE:
        (template / name).unlink()
    for name in REMOVED_SINCE:
        (template / name).write_text('"""Gone since."""\n', "utf-8")
    for name, earlier in RENAMED_SINCE.items():
        (template / name).rename(template / earlier)


def without_example(template: Path) -> None:
    """Take the question `example` away, as if it had come later: every app began with `profile`."""
    path = template / "cookiecutter.json"
    questions = json.loads(path.read_text("utf-8"))
    del questions["example"], questions["__prompts__"]["example"]
    path.write_text(json.dumps(questions, indent=2), "utf-8")
    for hook in (template / "hooks").iterdir():
        answers = without(r'^    \(?"example".*\n')
        hook.write_text(answers(hook.read_text("utf-8")), "utf-8")
    for pattern in ("sample-*", "pipeline_*.py", "test_pipeline_*.py"):
        for file in list(template.glob(f"{PROJECT}/**/{pattern}")):
            file.unlink()
