"""Which settings go together: every sentence, and that it comes when it should and not else."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from backends import KEY

from {{ cookiecutter.package_name }} import choices, create_app
from {{ cookiecutter.package_name }}.config import ConfigError, Settings, load_settings

SECRET = "b1946ac92492d2347c6235b4d2611184"
REDIS: dict[str, Any] = {"SILO_STORE_URL": "redis://store:6379/0", "SECRET_KEY": SECRET}
BUCKET: dict[str, Any] = {"SILO_FILES_URL": "s3://bucket/acme"}
CELERY: dict[str, Any] = {"SILO_RUNNER": "celery", "SILO_BROKER_URL": "redis://broker:6379/1"}
LINKS: dict[str, Any] = {"SILO_FILES_LINKS": "true"}

FINE: list[dict[str, Any]] = [
    {},
    {"SILO_STORE_URL": "memory://"},
    {"SILO_RUNNER": "thread"},
    {"SILO_ENCRYPTION_KEY": KEY},
    {**REDIS, **BUCKET},
    {**REDIS, **BUCKET, **CELERY},
    {**REDIS, **BUCKET, "SILO_RUNNER": "celery"},
    {**REDIS, **BUCKET, **LINKS},
    {**REDIS, **BUCKET, **CELERY, "SILO_ENCRYPTION_KEY": KEY},
    {**BUCKET, "SILO_FILES_ENDPOINT": "http://files:9000"},
    {**REDIS, "SILO_FILES_URL": "gs://bucket"},
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"SILO_STORE_URL": "memory://", **CELERY, **BUCKET}, "SILO_STORE_URL is memory://, which"),
    ({**REDIS, **BUCKET, "SECRET_KEY": ""}, "SECRET_KEY is empty, and SILO_STORE_URL may serve"),
    ({**LINKS, **BUCKET, "SILO_ENCRYPTION_KEY": KEY}, "SILO_FILES_LINKS and SILO_ENCRYPTION_KEY"),
    ({"SILO_FILES_ENDPOINT": "http://files:9000"}, "SILO_FILES_ENDPOINT is where a bucket is"),
    (
        {"SILO_FILES_URL": "az://box", "SILO_FILES_ENDPOINT": "http://files:9000"},
        "SILO_FILES_ENDPOINT is where a bucket is",
    ),
]
WARNED: list[tuple[dict[str, Any], str]] = [
    ({**CELERY, **BUCKET}, "SILO_STORE_URL is a SQLite file"),
    ({**REDIS}, "SILO_FILES_URL is a folder, and servers and workers"),
    ({**REDIS, "SILO_FILES_URL": "file:///srv"}, "SILO_FILES_URL is a folder, and servers"),
    ({**REDIS, **CELERY}, "SILO_FILES_URL is a folder, and servers and workers"),
    ({**LINKS}, "SILO_FILES_LINKS changes nothing"),
    ({"SILO_BROKER_URL": "redis://broker"}, "SILO_BROKER_URL changes nothing"),
    ({**REDIS, **BUCKET, "SILO_RUNNER": "thread"}, "SILO_RUNNER is thread, so jobs end"),
]


def ids(value: object) -> str:
    return str(value)[:40] if isinstance(value, str) else ""


def sentences(settings: Settings) -> list[str]:
    return [rule.sentence for rule in choices.broken(settings)]


@pytest.mark.parametrize("given", FINE, ids=str)
def test_what_goes_together_is_passed_over(given: dict[str, Any]) -> None:
    assert sentences(load_settings(given)) == []


@pytest.mark.parametrize(("given", "said"), REFUSED, ids=ids)
def test_what_cannot_work_stops_the_start_with_a_sentence(
    tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        create_app({"SILO_DATA_DIR": tmp_path / "data", **given})
    assert str(refused.value).startswith(said)
    assert str(refused.value).endswith(".")
    assert not (tmp_path / "data").exists(), "it was refused before anything was made"


@pytest.mark.parametrize(("given", "said"), WARNED, ids=ids)
def test_what_may_not_be_meant_is_warned_of_and_works(
    given: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(given)
    with caplog.at_level(logging.WARNING):
        choices.warn(settings)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].getMessage().startswith(said)
    assert choices.refusals(settings) == []


def test_every_rule_is_tried_and_says_which_setting_to_look_at() -> None:
    given = [each for each, _ in REFUSED + WARNED]
    found = {rule.sentence for each in given for rule in choices.broken(load_settings(each))}
    assert found == {rule.sentence for rule in choices.RULES}
    for rule in choices.RULES:
        assert rule.setting in Settings.model_fields
        assert rule.sentence.endswith(".")
