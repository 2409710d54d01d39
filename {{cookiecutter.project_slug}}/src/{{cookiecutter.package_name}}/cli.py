"""The command line: serve the app, or process files without it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from .about import TITLE
from .config import ConfigError, load_settings
from .keys import SCOPES, Keys, Scope
from .pipeline import Options
from .problems import field_errors
from .silo.files.keyring import new_key
from .silo.records import open_records
from .silo.sessions.memory import MemoryRecords
from .silo.tasks.child import Limits
from .silo.tasks.jobs import Jobs
from .silo.tasks.process import ProcessRunner
from .silo.tasks.slots import Slots
from .silo.tasks.task import BackgroundTask

POLL_SECONDS = 0.05


@click.group(help=f"{TITLE}: from spreadsheets to a report.")
def main() -> None:
    pass


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="The port to listen on.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="How many processes answer.",
)
def serve(host: str, port: int, workers: int) -> None:
    """Serve the page and its API until stopped.

    Settings come from the environment; .env.example lists them.
    """
    from .server import address
    from .server import serve as run_server  # here, so that `process` need not load a web server

    url = f"http://{address(host, port)}"
    with told():
        run_server(
            host, port, workers, lambda: click.echo(f"{TITLE} is at {url}  (Ctrl+C stops it)")
        )


@main.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "-o",
    "--output",
    default="report.xlsx",
    show_default=True,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="The workbook to write.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help=f"May be given several times. Names: {', '.join(Options.model_fields)}.",
)
def process(files: tuple[Path, ...], output: Path, options: tuple[str, ...]) -> None:
    """Make a report of FILES, as the page does."""
    from .jobs import run_paths  # here, so that `serve` starts without the readers

    check_output(output, files)
    chosen = read_options(options)
    with told():
        settings = load_settings()
    limits = Limits(settings.silo_task_memory_mb, settings.silo_task_timeout)
    runner = ProcessRunner(Jobs(MemoryRecords()), Slots(1), limits)
    task = BackgroundTask("report", runner=runner)
    task.start(run_paths, [str(file.absolute()) for file in files], chosen, str(output.absolute()))
    try:
        watch(task)
    finally:
        runner.stop()
    if task.state.error:
        raise click.ClickException(task.state.error)
    click.echo(f"Wrote {output}")


@main.command("encryption-key")
def encryption_key() -> None:
    """Make a key for SILO_ENCRYPTION_KEY, which encrypts uploads and reports, and print it."""
    click.echo(new_key())


@main.group()
def keys() -> None:
    """API keys for programs; SILO_REQUIRE_KEY=1 has every call show one."""


@keys.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it may do; may be given several times.",
)
def create_key(name: str, scopes: tuple[Scope, ...]) -> None:
    """Make a key and print it, once and never again."""
    with opened_keys() as stored:
        click.echo(stored.create(name, scopes))


@keys.command("list")
def list_keys() -> None:
    """List the keys: id, when made, scopes, name."""
    with opened_keys() as stored:
        for key in stored.all():
            made = time.strftime("%Y-%m-%d", time.gmtime(key.created))
            click.echo(f"{key.id}  {made}  {','.join(key.scopes)}  {key.name}")


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke_key(key_id: str) -> None:
    """Let a key be good for nothing from now on."""
    with opened_keys() as stored:
        if not stored.revoke(key_id):
            raise click.ClickException(f"There is no key {key_id!r}.")
    click.echo(f"Revoked {key_id}")


@contextlib.contextmanager
def opened_keys() -> Iterator[Keys]:
    """The keys in the store that the settings name, told if there can be none."""
    with told():
        settings = load_settings().settled()
        if settings.store_url.startswith("memory:"):
            raise ConfigError("SILO_STORE_URL is 'memory://', which keeps no keys.")
        records = open_records(settings.store_url)
    try:
        yield Keys(records)
    finally:
        records.close()


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell the person what is wrong with a setting."""
    try:
        yield
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


def check_output(output: Path, files: tuple[Path, ...]) -> None:
    """Find out before the work whether its result can be kept. Raises click.BadParameter."""
    folder = output.absolute().parent
    if not folder.is_dir():
        raise click.BadParameter(f"There is no folder {str(folder)!r}.", param_hint="--output")
    if not os.access(folder, os.W_OK):
        raise click.BadParameter(f"{str(folder)!r} is read-only.", param_hint="--output")
    if output.exists() and any(output.samefile(file) for file in files):
        raise click.BadParameter(f"{str(output)!r} is one of the files.", param_hint="--output")


def read_options(given: tuple[str, ...]) -> dict[str, Any]:
    """The step's options from `name=value` texts. Raises click.BadParameter."""
    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="--option")
        values[name] = value
    try:
        return Options.model_validate(values).model_dump(mode="json")
    except ValidationError as error:
        said = "; ".join(f"{each['field']}: {each['message']}" for each in field_errors(error))
        raise click.BadParameter(f"{said}.", param_hint="--option") from error


def watch(task: BackgroundTask) -> None:
    """Show a progress bar until the task ends; on a terminal only, since it moves by rewriting."""
    with click.progressbar(
        length=100, label="Processing", item_show_func=lambda message: message or ""
    ) as bar:
        while (state := task.state).running:
            bar.update(int(state.progress) - bar.pos, state.message)
            time.sleep(POLL_SECONDS)
        bar.update(int(state.progress) - bar.pos, state.message)


if __name__ == "__main__":
    main()
