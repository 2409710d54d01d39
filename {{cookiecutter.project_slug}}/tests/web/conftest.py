"""Fixtures for the calls: apps of several settings, people who use them, a step to be held."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from support import Clock, without_children

from {{ cookiecutter.package_name }} import create_app, views
from {{ cookiecutter.package_name }}.calls import CALLS
from {{ cookiecutter.package_name }}.config import Settings
from {{ cookiecutter.package_name }}.openapi import document

from .person import Person
from .steps import Gate

MakeApp = Callable[..., Flask]
Undocumented = set[tuple[str, str, int, str | None]]


@pytest.fixture(scope="session")
def clock() -> Clock:
    """One for all, like the app: it only ever moves on."""
    return Clock()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Flask]:
    """One app for all, whose jobs are threads; whoever tests has a session of their own."""
    yield from shared(tmp_path_factory, clock, SILO_RUNNER="thread")


@pytest.fixture(scope="session")
def child_app(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Flask]:
    """The same with its defaults: each job is a child process."""
    yield from shared(tmp_path_factory, clock)


def listen(app: Flask) -> Undocumented:
    """Collects what the app answers and its OpenAPI document does not tell."""
    found: Undocumented = set()
    paths = paths_told(app)

    def compare(response: Response) -> Response:
        rule, method = request.url_rule, request.method.lower()
        if rule and request.endpoint in CALLS:
            item = paths[re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)]
            call = item.get("get" if method == "head" else method, item.get(method))
            answers = call["responses"] if call else {"200": {}}
            is_problem = response.mimetype == "application/problem+json"
            code = response.get_json()["error"] if is_problem else None
            answer = answers.get(str(response.status_code))
            if answer is None or (code and code not in codes(answer)):
                found.add((method, rule.rule, response.status_code, code))
        return response

    app.after_request_funcs.setdefault(None, []).insert(0, compare)
    return found


PATHS: dict[str, Any] = {}


def paths_told(app: Flask) -> Any:
    """The calls in its document, which is made once for all apps with the same routes."""
    routes = str(app.url_map)
    if routes not in PATHS:
        PATHS[routes] = document(app, CALLS, app.extensions["silo"].data_endpoints)["paths"]
    return PATHS[routes]


def codes(answer: dict[str, Any]) -> list[str]:
    """The problems that a documented answer tells."""
    schema = answer["content"].get("application/problem+json", {}).get("schema", {})
    found: list[str] = schema.get("properties", {}).get("error", {}).get("enum", [])
    return found


def shared(
    tmp_path_factory: pytest.TempPathFactory, clock: Clock, **settings: Any
) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("app") / "instance"
    limits = [name.upper() for name in Settings.model_fields if name.startswith("silo_limit_")]
    settings |= dict.fromkeys(limits, "off")
    app = create_app({"SILO_DATA_DIR": folder, **settings}, clock=clock)
    without_children(app)
    undocumented = listen(app)
    yield app
    app.extensions["silo"].stop()
    assert undocumented == set()


@pytest.fixture
def make_app(tmp_path: Path, clock: Clock) -> Iterator[MakeApp]:
    """`make_app(SILO_TTL=60)` is an app with these settings, on the test's clock."""
    apps: list[tuple[Flask, Undocumented]] = []

    def make(**settings: Any) -> Flask:
        shared = str(settings.get("SILO_STORE_URL", "")).startswith("redis:")
        secret = {"SECRET_KEY": "b1946ac92492d2347c6235b4d2611184"} if shared else {}
        given = {"SILO_DATA_DIR": tmp_path / "instance", **secret, **settings}
        app = create_app(given, clock=clock)
        without_children(app)
        apps.append((app, listen(app)))
        return app

    yield make
    for app, undocumented in apps:
        app.extensions["silo"].stop()
        assert undocumented == set()


@pytest.fixture
def person(app: Flask) -> Person:
    """Somebody without a session yet."""
    return Person(app)


@pytest.fixture
def other(app: Flask) -> Person:
    """Somebody else."""
    return Person(app)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """The step, which waits at its half until `gate.open` is set."""
    gate = Gate()
    monkeypatch.setattr(views, "run", gate)
    yield gate
    gate.open.set()


@pytest.fixture
def held(make_app: MakeApp, gate: Gate) -> Iterator[Person]:
    """Somebody whose job runs and waits at the gate; its worker may be silent for a day."""
    person = Person(make_app(SILO_RUNNER="thread", SILO_LEASE=86400))
    person.upload()
    assert person.process().status_code == 202
    assert gate.began.wait(60)
    yield person
    gate.open.set()
