"""What a release says of itself: one version in all places, and what it asks of an app."""

from __future__ import annotations

import re
import tomllib
from datetime import date

from conftest import QUESTIONS, TEMPLATE

CHANGELOG = (TEMPLATE / "CHANGELOG.md").read_text("utf-8")
SECTIONS = re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", CHANGELOG, re.MULTILINE)
RELEASE = re.compile(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)")


def test_the_changelog_begins_with_what_is_not_released_and_dates_what_is() -> None:
    [unreleased, *releases] = [title for title, _ in SECTIONS]
    assert unreleased == "[Unreleased]"
    told = [release for title in releases if (release := RELEASE.fullmatch(title))]
    assert len(told) == len(releases)
    days = [date.fromisoformat(release[2]) for release in told]
    assert days == sorted(days, reverse=True)


def test_every_version_says_what_to_do_in_an_app() -> None:
    for title, text in SECTIONS:
        assert re.search(r"^### In your app\n\n\S", text, re.MULTILINE), title


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((TEMPLATE / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert QUESTIONS["_version"] == version
    released = [release[1] for title, _ in SECTIONS if (release := RELEASE.fullmatch(title))]
    assert version in released[:1] or not released
