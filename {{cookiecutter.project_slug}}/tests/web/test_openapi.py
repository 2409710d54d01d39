"""The OpenAPI document: complete, valid, and true of every answer that these tests get."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from known_step import Options

from {{ cookiecutter.package_name }}.openapi import refusals
from {{ cookiecutter.package_name }}.problems import STATUS_OF_CODE

Json = dict[str, Any]


@pytest.fixture
def document(app: Flask) -> Json:
    answer = app.test_client().get("/api/openapi.json")
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    return dict(answer.get_json())


def test_it_has_every_call_of_the_api(app: Flask, document: Json) -> None:
    calls = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS"}
        if rule.rule.startswith("/api/") or rule.rule in ("/healthz", "/metrics", "/readyz")
    }
    told = {(path, method) for path, item in document["paths"].items() for method in item}
    heads = {(path, "head") for path, method in told if method == "get"}
    assert calls - heads - told == {("/api/openapi.json", "get"), ("/api/openapi.json", "head")}
    assert told - {call for call in told if call[1] == "options"} <= calls


def test_everything_that_it_refers_to_is_there(document: Json) -> None:
    def references(part: Any) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*map(references, part.values()))
        return set().union(*map(references, part)) if isinstance(part, list) else set()

    for reference in references(document):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_calls_have_names_of_their_own_and_a_sentence(document: Json) -> None:
    operations = [each for item in document["paths"].values() for each in item.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    assert [each["operationId"] for each in operations if not each["summary"]] == []


def test_the_options_are_those_of_the_step(document: Json) -> None:
    body = document["paths"]["/api/process"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/Options"}
    told = document["components"]["schemas"]["Options"]["properties"]
    assert set(told) == set(Options.model_fields)


@pytest.mark.parametrize("path", ["/api/upload", "/api/process"])
def test_a_key_may_come_with_what_must_not_happen_twice(document: Json, path: str) -> None:
    call = document["paths"][path]["post"]
    assert "Idempotency-Key" in [each["name"] for each in call["parameters"]]
    codes = call["responses"]["409"]["content"]["application/problem+json"]["schema"]
    assert "in_flight" in codes["properties"]["error"]["enum"]
    success = next(each for status, each in call["responses"].items() if status.startswith("2"))
    assert "Idempotency-Replayed" in success["headers"]


def test_data_is_gone_after_expiry(document: Json) -> None:
    assert "410" in document["paths"]["/api/report"]["get"]["responses"]
    assert "410" not in document["paths"]["/api/status"]["get"]["responses"]


def test_another_try_is_announced_where_one_is_worth_it() -> None:
    for status, answer in refusals(STATUS_OF_CODE).items():
        assert ("Retry-After" in answer["headers"]) == (status in ("429", "503"))


def test_it_is_read_without_a_session(client: FlaskClient) -> None:
    assert "X-Session-ID" not in client.get("/api/openapi.json").headers
