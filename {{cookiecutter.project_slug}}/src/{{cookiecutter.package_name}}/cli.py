"""The command line: serve the app, work on its jobs, or look after what it keeps."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator

import click

from . import checkup, contract, lifecycle, migrate
from .about import TITLE
from .address import address
from .alive import is_alive
from .config import ConfigError, Settings, load_settings
from .keys import SCOPES, Keys, Scope
from .offline import process
from .opening import shown_store
from .silo.files.keyring import new_key
from .silo.records import open_records
from .silo.urls import masked
from .told import told


@click.group(help=f"{TITLE}: from spreadsheets to a report.")
def main() -> None:
    pass


main.add_command(process)


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
@click.option(
    "--reload", is_flag=True, help="For development: restart at each change, show tracebacks."
)
def serve(host: str, port: int, workers: int, reload: bool) -> None:
    """Serve the page and its API until stopped.

    Settings come from the environment; .env.example lists them.
    """
    with told():
        if reload:
            from .reload import serve as serve_anew

            serve_anew(host, port, workers)
            return
        contract.demand(contract.load())
        from .server import serve as run_server  # here, since it loads the step and a web server

        url = f"http://{address(host, port)}"
        run_server(
            host, port, workers, lambda: click.echo(f"{TITLE} is at {url}  (Ctrl+C stops it)")
        )


@main.command()
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    help="Jobs at a time; as many as SILO_WORKERS says, if not given.",
)
@click.option(
    "--check", is_flag=True, help="Work on nothing; fail unless a worker of this machine does."
)
def worker(concurrency: int | None, check: bool) -> None:
    """Work on jobs until stopped, for servers that have SILO_RUNNER=celery.

    Start it on as many machines as the jobs need, with the servers' settings.
    """
    with told():
        settings = load_settings()
        if settings.silo_runner != "celery":
            raise ConfigError(
                f"SILO_RUNNER is {settings.silo_runner!r}: the server works on its jobs by itself. "
                "Workers need SILO_RUNNER=celery, and so do their servers."
            )
        if check:
            if not is_alive(settings):
                raise click.ClickException("No worker of this machine has been at work lately.")
            return
        contract.demand(contract.load())
        from .worker import work  # here, since it loads Celery, which is an extra

        raise click.exceptions.Exit(work(concurrency, say_where))


def say_where(broker: str, count: int) -> None:
    """Tell the person that a worker is ready."""
    click.echo(f"{TITLE} works on jobs from {broker}, {count} at a time  (Ctrl+C stops it)")


@main.command()
def check() -> None:
    """Try all that the app needs: its step, store, files, runner, broker, secret and keys.

    Fails if anything is wrong, and leaves nothing behind.
    """
    with told():
        found = step_lines() + checkup.lines(load_settings())
    for line in checkup.aligned(found):
        click.echo(line)
    if any(line.state == "error" for line in found):
        raise click.exceptions.Exit(1)


def step_lines() -> list[checkup.Line]:
    """What `check` says of the step."""
    step = contract.load()
    breaches = [str(breach) for breach in contract.check(step)]
    if breaches:
        return [checkup.Line("step", "error", "pipeline.py", breach) for breach in breaches]
    names = ", ".join(step.Options.model_fields) or "none"
    return [
        checkup.Line("step", "ok", "pipeline.py", f"It is as it should be. Its options: {names}.")
    ]


@main.command("encryption-key")
def encryption_key() -> None:
    """Make a key for SILO_ENCRYPTION_KEY, which encrypts uploads and reports, and print it."""
    click.echo(new_key())


@main.command("migrate")
@click.option(
    "--to-store", metavar="URL", envvar="SILO_TO_STORE_URL", help="As SILO_STORE_URL is written."
)
@click.option(
    "--to-files", metavar="URL", envvar="SILO_TO_FILES_URL", help="As SILO_FILES_URL is written."
)
@click.option("--to-endpoint", metavar="URL", help="As SILO_FILES_ENDPOINT is; default: none.")
@click.option("--replace", is_flag=True, help="Remove what another app keeps in the store.")
def migrate_all(
    to_store: str | None, to_files: str | None, to_endpoint: str | None, replace: bool
) -> None:
    """Copy all that the app keeps from where it is, by the settings in force, to somewhere else.

    Stop every server and worker before; change the settings and start them after. What is copied
    stays where it was. A URL with a password is better given in the environment, as
    SILO_TO_STORE_URL or SILO_TO_FILES_URL.
    """
    with told():
        source = load_settings()
        target = migrate.target_of(to_store, to_files, to_endpoint)
        click.echo(f"From {place_of(source)}\nto   {place_of(target)}")
        summary = migrate.migrate(source, target, replace, bar)
    for line in migrate.lines(summary, source, target):
        click.echo(line)


def place_of(settings: Settings) -> str:
    return masked(f"{settings.store_url} and {settings.files_url}")


@contextlib.contextmanager
def bar(label: str, length: int) -> Iterator[Callable[[int], object]]:
    """A progress bar, on a terminal only, since it moves by rewriting."""
    with click.progressbar(length=length, label=label) as shown:
        yield shown.update


@main.command("lifecycle")
@click.option("--days", type=click.IntRange(1), help="After how many; enough for a session's TTL.")
def show_lifecycle(days: int | None) -> None:
    """Print the rule by which the bucket removes files that outlive their session.

    As JSON, for the provider's own tool: docs/deployment.md says how.
    """
    with told():
        settings = load_settings()
        found = lifecycle.rule(settings, days or lifecycle.days_of(settings))
    click.echo(json.dumps(found, indent=2))


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
    store = shown_store(load_settings().settled())
    click.echo(f"It is known where this store is used: {store}", err=True)


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
        yield Keys(records, records.clock or time.time)
    finally:
        records.close()


if __name__ == "__main__":
    main()
