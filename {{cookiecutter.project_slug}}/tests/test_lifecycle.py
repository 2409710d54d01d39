"""The rule for a bucket, in the form of each provider's tool."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from {{ cookiecutter.package_name }} import cli


def printed(url: str, *arguments: str, **settings: str) -> Any:
    told = CliRunner(env={"SILO_FILES_URL": url, **settings}).invoke(
        cli.main, ["lifecycle", *arguments]
    )
    assert told.exit_code == 0, told.output
    return json.loads(told.output)


@pytest.mark.parametrize(
    ("url", "prefix"),
    [("s3://bucket/my/app/", "my/app/"), ("s3://b", ""), ("s3://b/an%20app", "an app/")],
)
def test_a_rule_for_s3_has_the_shape_that_its_tool_takes(url: str, prefix: str) -> None:
    assert printed(url) == {
        "Rules": [
            {
                "ID": "silo-files",
                "Status": "Enabled",
                "Filter": {"Prefix": prefix},
                "Expiration": {"Days": 2},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            }
        ]
    }


@pytest.mark.parametrize(
    ("settings", "days"),
    [
        ({}, 2),
        ({"SILO_TTL": "86400"}, 3),
        ({"SILO_TTL": "86400", "SILO_EXPIRED_RETAIN": "0"}, 2),
        ({"SILO_CACHE_TTL": str(30 * 86400)}, 32),
    ],
)
def test_no_file_goes_while_its_session_may_want_it(settings: dict[str, str], days: int) -> None:
    [rule] = printed("s3://bucket/app", **settings)["Rules"]
    assert rule["Expiration"] == {"Days": days}


def test_days_can_be_told() -> None:
    [rule] = printed("s3://bucket/app", "--days=9")["Rules"]
    assert rule["Expiration"] == {"Days": 9}


def test_a_rule_for_google_and_for_azure() -> None:
    deletes, aborts = printed("gs://bucket/app")["rule"]
    assert deletes == {
        "action": {"type": "Delete"},
        "condition": {"age": 2, "matchesPrefix": ["app/"]},
    }
    assert aborts["action"] == {"type": "AbortIncompleteMultipartUpload"}
    [rule] = printed("az://container/app")["rules"]
    assert rule["type"] == "Lifecycle"
    assert rule["definition"]["filters"]["prefixMatch"] == ["container/app/"]
    assert rule["definition"]["actions"]["baseBlob"]["delete"] == {
        "daysAfterCreationGreaterThan": 2
    }


def test_a_folder_needs_none() -> None:
    told = CliRunner(env={"SILO_FILES_URL": "/srv/files"}).invoke(cli.main, ["lifecycle"])
    assert told.exit_code == 1
    assert told.output.startswith("Error: SILO_FILES_URL is no bucket")
