"""Which control asks for an option, by its JSON Schema: what `static/form.js` has one for.

The form, the command line and the check of the step agree on this table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

Control = Literal["text", "integer", "number", "checkbox", "date", "column", "choice", "choices"]
Schema = dict[str, Any]

FORMATS: dict[str | None, Control] = {None: "text", "date": "date", "column": "column"}
OF_CLASS = ("title", "description")
"""What a class says of itself in the schema, and not of an option that is of this class."""
PLAIN: dict[str, Control] = {"integer": "integer", "number": "number", "boolean": "checkbox"}


class NoControl(Exception):
    """An option that the form cannot ask for; its text says so and what to use instead."""


def properties(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The options of a model's schema by name, each with `$ref` and "or null" resolved.

    Each has a title: its own, or else its name in words.
    """
    for name, option in schema.get("properties", {}).items():
        yield name, {"title": name.replace("_", " ").title(), **resolved(schema, option)}


def resolved(schema: Schema, option: Schema) -> Schema:
    if "$ref" in option:
        target = schema["$defs"][option["$ref"].rpartition("/")[2]]
        option = {**{key: target[key] for key in target if key not in OF_CLASS}, **option}
    some = [one for one in option.get("anyOf", []) if one.get("type") != "null"]
    if len(some) == 1:
        return {**resolved(schema, some[0]), **option, "nullable": True}
    if "items" in option:
        return {**option, "items": resolved(schema, option["items"])}
    return option


def control(option: Schema) -> Control:
    """What asks for an option. Raises NoControl."""
    kind, form = option.get("type"), option.get("format")
    if values(option):
        return "choice"
    if kind in PLAIN:
        return PLAIN[kind]
    if kind == "string" and form in FORMATS:
        return FORMATS[form]
    if kind == "array" and values(option.get("items", {})):
        return "choices"
    raise NoControl(
        f"is of a type that the form has no field for ({form or kind or 'mixed'}). Use str, int, "
        "float, bool, date, ColumnName, Literal[...], list[Literal[...]], or one of them or None."
    )


def values(option: Schema) -> list[Any]:
    """What a choice offers: yes or no, too, where a box could not say "neither".

    Nothing if it is none.
    """
    if "enum" in option or "const" in option:
        return list(option.get("enum", [option.get("const")]))
    return [True, False] if option.get("nullable") and option.get("type") == "boolean" else []
