"""The command line: serve the app, or process files without it."""

from __future__ import annotations

import time
from pathlib import Path

import click
from pydantic import ValidationError

from .about import TITLE
from .config import ConfigError, load_settings
from .pipeline import Options
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
@click.option("--port", default=8000, show_default=True, help="The port to listen on.")
@click.option("--workers", default=1, show_default=True, help="Web processes.")
def serve(host: str, port: int, workers: int) -> None:
    """Serve the page and its API."""
    from .server import serve as run_server  # here, so that `process` need not load a web server

    click.echo(f"{TITLE} is at http://{host}:{port}  (Ctrl+C stops it)")
    try:
        run_server(host, port, workers)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


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
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="One of its options."
)
def process(files: tuple[Path, ...], output: Path, options: tuple[str, ...]) -> None:
    """Process FILES into a report, as the page does."""
    from .jobs import run_paths  # here, so that `serve` starts without the readers

    try:
        settings = load_settings()
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    limits = Limits(settings.silo_task_memory_mb, settings.silo_task_timeout)
    runner = ProcessRunner(Jobs(MemoryRecords()), Slots(1), limits)
    task = BackgroundTask("report", runner=runner)
    paths = [str(path.absolute()) for path in files]
    task.start(run_paths, paths, read_options(options), str(output.absolute()))
    try:
        watch(task)
    finally:
        runner.stop()
    if task.state.error:
        raise click.ClickException(task.state.error)
    click.echo(f"Wrote {output}")


def read_options(given: tuple[str, ...]) -> dict[str, object]:
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
        said = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
        raise click.BadParameter(said, param_hint="--option") from error


def watch(task: BackgroundTask) -> None:
    """Show a progress bar until the task ends."""
    with click.progressbar(length=100, label="Starting", item_show_func=str) as bar:
        state = task.state
        while state.running:
            bar.update(int(state.progress) - bar.pos, state.message)
            time.sleep(POLL_SECONDS)
            state = task.state
        bar.update(int(state.progress) - bar.pos, state.message)


if __name__ == "__main__":
    main()
