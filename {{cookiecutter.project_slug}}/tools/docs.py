"""Write what is reference in the docs from the code: `make docs`.

    python tools/docs.py [FOLDER]

In FOLDER, the app's own if none is named, these are made anew: `.env.example` and the table in
`docs/configuration.md` from `config.py`; the calls in `docs/http-api.md` from `calls.py` and the
views. What people wrote around the parts between the marks stays.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import wrap
from typing import Any

from pydantic.fields import FieldInfo

from {{ cookiecutter.package_name }} import create_app
from {{ cookiecutter.package_name }}.calls import CALLS
from {{ cookiecutter.package_name }}.config import Settings
from {{ cookiecutter.package_name }}.openapi import PROBLEM, Operation, common, document
from {{ cookiecutter.package_name }}.problems import STATUS_OF_CODE

Json = dict[str, Any]
Row = tuple[str, ...]

MADE = re.compile(r"(<!-- made by `make docs` -->\n).*(<!-- until here -->\n)", re.DOTALL)
GROUPS = {
    "secret_key": ("Where things are kept", ""),
    "silo_ttl": ("Sessions", ""),
    "silo_runner": ("Jobs", ""),
    "silo_max_upload_mb": ("Uploads and room", ""),
    "silo_cache_ttl": ("The same report again", ""),
    "silo_log_format": ("The log", ""),
    "silo_require_key": ("Who may call", ""),
    "silo_limit_sessions": (
        "How often",
        (
            "A number per second, minute, hour or day, such as 100/hour, or 5/10 minutes. Several, "
            "separated by semicolons, must all be kept to; off means no limit."
        ),
    ),
}
"""Headings and what is to be said under them, by the first setting of each group."""
HEAD = (
    "Copy to .env and change what you need: `make run` and Docker Compose read it. Each line shows "
    "the default. A value with a space or a sign such as ; & # $ stands in single quotes. A wrong "
    "value stops the start with a sentence."
)
SCHEMAS = "#/components/schemas/"
OPTIONS = CALLS["app.process"].bodies["application/json"]
"""The step's, which no page of the docs should depend on."""


def made(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each file below a folder that has parts of ours, and what shall stand in it."""
    yield folder / ".env.example", env_example()
    for name, text in (("configuration", configuration()), ("http-api", calls())):
        path = folder / "docs" / f"{name}.md"
        whole, found = MADE.subn(
            lambda mark, text=text: f"{mark[1]}\n{text}\n{mark[2]}",  # type: ignore[misc]
            path.read_text("utf-8"),
        )
        if not found:
            raise SystemExit(f"{path} has lost the marks between which its reference stands.")
        yield path, whole


# Settings


def grouped() -> Iterator[tuple[str, str, list[str]]]:
    """Heading, text and settings of each group, in the order of `config.py`."""
    names = list(Settings.model_fields)
    begins = [names.index(first) for first in GROUPS]
    for (title, about), start, end in zip(
        GROUPS.values(), begins, [*begins[1:], len(names)], strict=True
    ):
        yield title, about, names[start:end]


def env_example() -> str:
    lines = comment(HEAD)
    for title, about, names in grouped():
        lines += ["", f"# --- {title} ---", *comment(about), *(["#"] if about else [])]
        for name in names:
            field = Settings.model_fields[name]
            lines += [*comment(field.description or ""), f"#{name.upper()}={default(field)}"]
    return "\n".join([*lines, ""])


def comment(text: str) -> list[str]:
    return wrap(text, 99, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def configuration() -> str:
    kinds: Json = Settings.model_json_schema()["properties"]
    parts = []
    for title, about, names in grouped():
        rows: list[Row] = [("setting", "default", "what it is"), ("---", "---", "---")]
        for name in names:
            field, takes = Settings.model_fields[name], takes_of(kinds[name])
            said = " ".join(filter(None, [field.description, takes]))
            rows.append((f"`{name.upper()}`", code(default(field)), said))
        parts.append("\n\n".join(filter(None, [f"## {title}", about, table(rows)])))
    return "\n\n".join(parts) + "\n"


def default(field: FieldInfo) -> str:
    """As it would stand in the environment; nothing if each machine has its own."""
    if field.default_factory:
        return ""
    value = field.default
    if isinstance(value, bool | tuple):
        return str(value).lower().strip("()")
    return f"{value:g}" if isinstance(value, float) else str(value)


def takes_of(schema: Json) -> str:
    """What a number must keep to."""
    bounds = []
    if "exclusiveMinimum" in schema:
        bounds.append(f"More than {schema['exclusiveMinimum']:g}.")
    if schema.get("minimum"):
        bounds.append(f"At least {schema['minimum']:g}.")
    if "maximum" in schema:
        bounds.append(f"At most {schema['maximum']:,.0f}.")
    return " ".join(bounds)


# Calls


def calls() -> str:
    """Every call in the order in which people make them, and what their answers are made of."""
    told, found = the_document(), {}
    for path, item in told["paths"].items():
        for method, operation in item.items():
            found[operation["operationId"]] = (method.upper(), path, operation)
    parts, answers = [], []
    for endpoint, call in CALLS.items():
        method, path, operation = found[endpoint.replace(".", "_")]
        parts.append(described(method, path, operation, call))
        answers += [answer for status, answer in operation["responses"].items() if status < "4"]
        answers.append(operation.get("requestBody"))
    parts.append("## What calls and answers are made of")
    parts += [model(name, told["components"]["schemas"][name]) for name in named(told, answers)]
    return "\n\n".join(parts) + "\n"


def the_document() -> Json:
    with tempfile.TemporaryDirectory() as folder:
        app = create_app({"SILO_DATA_DIR": folder, "SILO_STORE_URL": "memory://"})
        silo = app.extensions["silo"]
        try:
            return document(app, CALLS, silo.data_endpoints)
        finally:
            silo.stop()


def described(method: str, path: str, operation: Json, call: Operation) -> str:
    said = [f"### {method} {path}", operation["summary"], operation["description"]]
    lines = [*taken(operation, call), *answered(operation)]
    usual = common(method, replace(call, problems=()), False)
    own = {name for each in codes(operation) for name in each} - usual
    if own:
        by_status = sorted((STATUS_OF_CODE[name], name) for name in own)
        refused = ", ".join(f"{status} `{name}`" for status, name in by_status)
        lines.append(f"- refuses with {refused}")
    if call.scope:
        lines.append(f"- needs a key with the scope `{call.scope}`, where keys are asked for")
    return "\n\n".join(filter(None, [*said, "\n".join(lines)]))


def codes(operation: Json) -> Iterator[list[str]]:
    for answer in operation["responses"].values():
        schema = answer.get("content", {}).get(PROBLEM, {}).get("schema", {})
        yield schema.get("properties", {}).get("error", {}).get("enum", [])


def taken(operation: Json, call: Operation) -> Iterator[str]:
    for media, body in call.bodies.items():
        yield f"- takes {body_of(body)} as `{media}`"
    for each in operation["parameters"]:
        if each["in"] != "path":
            must = "needs" if each["required"] else "takes"
            place = "header" if each["in"] == "header" else "parameter"
            yield f"- {must} the {place} `{each['name']}`. {each['description']}"


def body_of(body: Any) -> str:
    if body is OPTIONS:
        return "what [GET /api/options](#get-apioptions) describes"
    if isinstance(body, type):
        return f"[{body.__name__}](#{body.__name__.lower()})"
    names = [f"`{name}`" for name in body.get("properties", {})]
    return ", ".join(names) or "bytes"


def answered(operation: Json) -> Iterator[str]:
    for status, answer in sorted(operation["responses"].items()):
        if PROBLEM not in answer.get("content", {}):
            kinds = [
                f"{kind(content['schema'])} as `{media}`"
                for media, content in answer.get("content", {}).items()
            ] or ["nothing"]
            headers = [f"`{name}`" for name in answer["headers"] if name != "X-Session-ID"]
            more = f"; headers {', '.join(headers)}" if headers else ""
            yield f"- answers {status} {answer['description']}: {kinds[0]}{more}"


def named(told: Mapping[str, Any], part: Any) -> list[str]:
    """The models that a part of the document refers to, and those that these are made of."""
    found: list[str] = []
    waiting = [part]
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).removeprefix(SCHEMAS)
            known = name in told["components"]["schemas"] and name != OPTIONS.__name__
            if known and name not in found:
                found.append(name)
                waiting.append(told["components"]["schemas"][name])
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return found


def model(name: str, schema: Json) -> str:
    rows: list[Row] = [("name", "value"), ("---", "---")]
    rows += [(f"`{key}`", kind(each)) for key, each in schema["properties"].items()]
    about = " ".join(schema.get("description", "").split())
    return "\n\n".join(filter(None, [f"### {name}", about, table(rows)]))


def kind(schema: Json) -> str:
    """What a JSON Schema allows, in a word or two."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(SCHEMAS)
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(map(kind, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(code(str(value)) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'])}"
    return str(schema.get("type", "any JSON"))


# Text


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def table(rows: list[Row]) -> str:
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows
    )


def main(folder: str = ".") -> None:
    for path, text in made(Path(folder)):
        path.write_text(text, "utf-8")
        print(f"Wrote {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
