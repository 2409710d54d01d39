"""The OpenAPI document, made from the routes, their docstrings, and what calls take and answer."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask import Flask
from pydantic import BaseModel, TypeAdapter
from werkzeug.routing import Rule

from .about import TITLE
from .keys import Scope
from .problems import STATUS_OF_CODE, TITLES

Json = dict[str, Any]

REF = "#/components/schemas/{model}"
PROBLEM = "application/problem+json"
SAFE = ("GET", "HEAD", "OPTIONS")
VERSION = "1.0.0"

HEADERS: Json = {
    "X-Session-ID": {
        "description": "The session's id; send it with every later call.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "After how many seconds another try is worth it.",
        "schema": {"type": "integer", "minimum": 0},
    },
}


class ProblemJson(BaseModel):
    """What went wrong, by RFC 9457. `error` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    error: str
    request_id: str | None = None


@dataclass(frozen=True)
class Answer:
    """A good answer: a JSON type, or bytes of a media type, or nothing.

    With both, it is a stream, and the type that of each of its events.
    """

    json: Any = None
    media: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameter:
    """Something a call may say beside its body."""

    name: str
    place: str
    about: str
    schema: Json = field(default_factory=lambda: {"type": "string"})
    required: bool = False

    def json(self) -> Json:
        return {
            "name": self.name,
            "in": self.place,
            "description": self.about,
            "required": self.required,
            "schema": self.schema,
        }


@dataclass(frozen=True)
class Operation:
    """What a call takes and answers: good answers by status, the codes of its problems.

    `bodies` are by media type: a type that becomes a JSON Schema, or a schema. `scope` is what a
    key must be for to make the call, where keys are asked for; None asks for none.
    Without `needs_body` a call may come without one.
    """

    answers: Mapping[int, Answer]
    problems: tuple[str, ...] = ()
    bodies: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    scope: Scope | None = None
    needs_body: bool = False


def document(app: Flask, calls: Mapping[str, Operation], data_endpoints: Iterable[str]) -> Json:
    """The document of the calls, which are told by their endpoints."""
    schemas: Json = {}
    schema_of(ProblemJson, schemas)
    expiring, paths = set(data_endpoints), defaultdict[str, Json](dict)
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.endpoint not in calls:
            continue
        operation, view = calls[rule.endpoint], app.view_functions[rule.endpoint]
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in methods_of(rule):
            problems = common(method, operation, rule.rule in expiring)
            paths[path][method.lower()] = described(rule, view, operation, problems, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": HEADERS,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "header", "name": "X-Session-ID"},
                "key": {"type": "http", "scheme": "bearer"},
            },
        },
        "security": [{}, {"session": []}, {"key": []}, {"session": [], "key": []}],
    }


def in_path(rule: Rule, name: str) -> Parameter:
    """A part of the path, by how the route is written."""
    number = {"type": "integer", "minimum": 0} if f"<int:{name}>" in rule.rule else None
    return Parameter(name, "path", "", number or {"type": "string"}, required=True)


def methods_of(rule: Rule) -> list[str]:
    """The methods that a route was made for, without those that Flask adds by itself."""
    methods = rule.methods or set()
    if "GET" in methods:
        return ["GET"]
    return sorted(methods - {"OPTIONS"} or methods)


def common(method: str, operation: Operation, expires: bool) -> set[str]:
    """The problems that a call may meet: its own, and those that every such call may."""
    codes = {*operation.problems, "bad_request", "internal", "unavailable"}
    if operation.scope:
        codes |= {"no_key", "no_scope", "files_unavailable"}
    if expires:
        codes.add("session_expired")
    if any(parameter.place == "query" for parameter in operation.parameters):
        codes.add("uri_too_long")
    if method not in SAFE:
        codes |= {"cross_site", "too_large", "too_slow", "busy", "no_space", "total_full"}
    return codes


def described(
    rule: Rule,
    view: Callable[..., Any],
    operation: Operation,
    problems: Iterable[str],
    schemas: Json,
) -> Json:
    """One operation."""
    summary, _, more = (inspect.getdoc(view) or "").partition("\n\n")
    answers = {
        str(status): good(status, answer, schemas) for status, answer in operation.answers.items()
    }
    found: Json = {
        "operationId": rule.endpoint.replace(".", "_"),
        "summary": summary.replace("\n", " "),
        "description": more,
        "parameters": [
            *(in_path(rule, name).json() for name in sorted(rule.arguments)),
            *(each.json() for each in operation.parameters),
        ],
        "responses": {**refusals(problems), **answers},
    }
    if operation.bodies:
        bodies = operation.bodies.items()
        content = {media: {"schema": schema_of(body, schemas)} for media, body in bodies}
        found["requestBody"] = {"content": content, "required": operation.needs_body}
    return found


def good(status: int, answer: Answer, schemas: Json) -> Json:
    headers: Json = {"X-Session-ID": {"$ref": "#/components/headers/X-Session-ID"}}
    for name, about in answer.headers.items():
        headers[name] = {"description": about, "schema": {"type": "string"}}
    found: Json = {"description": HTTPStatus(status).phrase, "headers": headers}
    if answer.json is not None:
        media = answer.media or "application/json"
        found["content"] = {media: {"schema": schema_of(answer.json, schemas)}}
    elif answer.media:
        found["content"] = {answer.media: {"schema": {"type": "string"}}}
    return found


def refusals(codes: Iterable[str]) -> Json:
    """The answers to problems, by status."""
    by_status: dict[int, set[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS_OF_CODE[code], set()).add(code)
    return {str(status): refusal(status, sorted(by_status[status])) for status in sorted(by_status)}


def refusal(status: int, codes: list[str]) -> Json:
    headers: Json = {"X-Session-ID": {"$ref": "#/components/headers/X-Session-ID"}}
    if status in (429, 503):
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    schema = {
        "allOf": [{"$ref": REF.format(model="ProblemJson")}],
        "properties": {"error": {"enum": codes}, "status": {"const": status}},
    }
    return {
        "description": f"{TITLES[status]}: {', '.join(codes)}",
        "headers": headers,
        "content": {PROBLEM: {"schema": schema}},
    }


def schema_of(described: Any, schemas: Json) -> Json:
    """The JSON Schema of a type, its parts put among the components; a schema is its own."""
    if isinstance(described, dict):
        return described
    adapter: TypeAdapter[Any] = TypeAdapter(described)
    schema = adapter.json_schema(mode="serialization", ref_template=REF)
    schemas.update(schema.pop("$defs", {}))
    if isinstance(described, type):
        schemas[described.__name__] = schema
        return {"$ref": REF.format(model=described.__name__)}
    return schema
