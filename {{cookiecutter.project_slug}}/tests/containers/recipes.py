"""What the Dockerfile and the compose files say, read without Docker."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


@dataclass(frozen=True)
class Image:
    """What a Dockerfile makes: `steps` are the COPY and RUN lines of its first stage, in order."""

    steps: list[tuple[str, str]]
    environment: dict[str, str]
    entrypoint: list[str]
    command: list[str]
    check: list[str]


@dataclass(frozen=True)
class Service:
    """One service of a compose file, complete with what it has of its image."""

    name: str
    image: str | None
    command: list[str]
    environment: dict[str, str]
    check: list[str]
    after: list[str]
    writable: list[str]
    grace: float


class Unset(Exception):
    """A setting that a compose file insists on is missing."""


def read_image(path: Path = PROJECT / "Dockerfile") -> Image:
    first, last = re.split(r"^FROM .*\n", path.read_text("utf-8"), flags=re.M)[1:]
    check = dict(_instructions(last))["HEALTHCHECK"].partition(" CMD ")[2]
    ends = dict(_instructions(last))
    return Image(
        [each for each in _instructions(first) if each[0] in ("COPY", "RUN")],
        dict(word.split("=", 1) for word in shlex.split(ends["ENV"])),
        json.loads(ends["ENTRYPOINT"]),
        json.loads(ends["CMD"]),
        json.loads(check),
    )


def _instructions(text: str) -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", "")
    pairs = (line.partition(" ") for line in text.splitlines() if line)
    return [(word, " ".join(rest.split())) for word, _, rest in pairs]


def read_services(
    path: Path, image: Image, environment: Mapping[str, str] | None = None
) -> dict[str, Service]:
    """The services that `up` starts by name, each after those it waits for. Raises Unset."""
    text = path.read_text("utf-8")
    found = yaml.safe_load(text if environment is None else _filled(text, environment))["services"]
    started = {name: each for name, each in found.items() if "profiles" not in each}
    services = {name: _service(name, each, image) for name, each in started.items()}
    ordered: dict[str, Service] = {}
    while len(ordered) < len(services):
        ordered |= {n: s for n, s in services.items() if ordered.keys() >= set(s.after)}
    return ordered


def _filled(text: str, environment: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if environment.get(name):
            return environment[name]
        if kind == "?":
            raise Unset(f"{name} {rest}")
        return rest or ""

    return VARIABLE.sub(value, text)


def _service(name: str, found: dict[str, Any], image: Image) -> Service:
    built = "build" in found
    own = found.get("command", image.command if built else [])
    check = found.get("healthcheck", {}).get("test", ["CMD", *image.check])[1:]
    folders = [each.partition(":")[2] or each for each in found.get("volumes", [])]
    return Service(
        name,
        None if built else found["image"],
        [*image.entrypoint, *own] if built else own,
        {**(image.environment if built else {}), **found.get("environment", {})},
        check,
        list(found.get("depends_on", {})),
        [*folders, *found.get("tmpfs", [])],
        float(found.get("stop_grace_period", "10s").removesuffix("s")),
    )
