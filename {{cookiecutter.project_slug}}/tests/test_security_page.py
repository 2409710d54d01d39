"""`docs/security.md` promises what is tested, and what is tested is promised."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")


def test_each_promise_has_its_tests_and_each_such_test_its_promise() -> None:
    promised = re.findall(r"^\| S(\d+) \|", PAGE, re.MULTILINE)
    code = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    tested = re.findall(r"^ *def test_s(\d\d)_", code, re.MULTILINE)
    assert [int(number) for number in promised] == list(range(1, 43))
    assert {int(number) for number in tested} == set(range(1, 43))
