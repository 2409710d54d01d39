"""Calls of an app whose files are in a bucket: what they cost there, and what is said of links."""

from __future__ import annotations

import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import obstore
import pytest
from flask import Flask
from servers.swift import Swift

from .conftest import MakeApp
from .person import Person

CALLS = ("put", "get", "list", "list_with_delimiter", "delete", "sign")


@pytest.fixture
def bucket(swift: Swift, tmp_path: Path) -> dict[str, str]:
    """Settings that put an app's files there."""
    url = f"s3://{swift.bucket}/{tmp_path.name}"
    return {"SILO_FILES_URL": url, "SILO_FILES_ENDPOINT": swift.endpoint, "SILO_RUNNER": "thread"}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often which call was made on a bucket in this process."""
    counts: Counter[str] = Counter()

    def counted(name: str, call: Any) -> Any:
        def count(*given: Any, **more: Any) -> Any:
            counts[name] += 1
            return call(*given, **more)

        return count

    for name in CALLS:
        monkeypatch.setattr(obstore, name, counted(name, getattr(obstore, name)))
    return counts


def reporting(app: Flask) -> Person:
    person = Person(app)
    person.has_report()
    return person


def test_no_call_on_the_way_to_a_report_lists_the_bucket(
    make_app: MakeApp, bucket: dict[str, str], called: Counter[str]
) -> None:
    person = Person(make_app(**bucket))
    app_began = called["list_with_delimiter"]
    person.has_report()
    for path in ("/api/status", "/api/progress", "/api/report", "/api/report.xlsx", "/metrics"):
        person.get(path)
    assert called["list"] == 0
    assert called["list_with_delimiter"] - app_began <= 1, "the sweep at the start"
    called.clear()
    person.get("/api/report.xlsx")
    assert called == {"get": 2}, "what the report says, and the workbook"


def test_with_a_limit_on_all_files_the_bucket_is_listed_now_and_then(
    make_app: MakeApp, bucket: dict[str, str], called: Counter[str]
) -> None:
    person = Person(make_app(**bucket, SILO_TOTAL_QUOTA_MB=1))
    for _ in range(3):
        person.upload()
    assert called["list"] <= 1 + 2, "once for the limit, and for each file that was replaced"


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, 200),
        ({"SILO_FILES_LINKS": "true"}, 307),
        ({"SILO_FILES_LINKS": "true", "SILO_FILES_URL": "", "SILO_FILES_ENDPOINT": ""}, 200),
    ],
    ids=["streamed", "by a link", "in a folder"],
)
def test_a_report_comes_by_a_link_if_that_is_wanted_and_can_be(
    make_app: MakeApp, bucket: dict[str, str], settings: dict[str, str], status: int
) -> None:
    person = reporting(make_app(**{**bucket, **settings}))
    answer = person.get("/api/report.xlsx")
    assert answer.status_code == status
    assert (status == 307) == ("Location" in answer.headers)
    if status == 307:
        url = answer.headers["Location"]
        assert person.sid not in url
        assert (answer.data, answer.headers["Cache-Control"]) == (b"", "no-store")
        with urllib.request.urlopen(url) as there:
            assert there.read().startswith(b"PK")


def test_s04_a_link_is_given_after_all_checks_alone(
    make_app: MakeApp, bucket: dict[str, str], called: Counter[str]
) -> None:
    person = reporting(app := make_app(**bucket, SILO_FILES_LINKS="true"))
    link = person.post("/api/report/link").json["url"]
    stranger = Person(app)
    assert stranger.get(link).status_code == 307
    called.clear()
    assert stranger.get("/api/report.xlsx").status_code == 409
    assert stranger.get(link + "x").status_code == 403
    assert person.get("/api/report/files/7").status_code == 404
    person.post("/api/reset")
    assert stranger.get(link).status_code == 403
    assert called["sign"] == 0
