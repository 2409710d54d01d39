"""The command `process`: a report of some files, made without a server.

Its options are those of the step besides its own.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from . import contract, controls
from .config import load_settings
from .problems import field_errors
from .silo.sessions.memory import MemoryRecords
from .silo.tasks.child import Limits
from .silo.tasks.crew import Crew
from .silo.tasks.jobs import Jobs
from .silo.tasks.process import ProcessRunner
from .silo.tasks.slots import Slots
from .silo.tasks.task import BackgroundTask
from .told import told

POLL_SECONDS = 0.05


class StepCommand(click.Command):
    """A command that takes the options of the step besides its own."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        with told():
            contract.demand(contract.load())
            return [*own[:-1], *flags(), own[-1]]  # the last is --help


@click.command(cls=StepCommand)
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
def process(files: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Make a report of FILES, as the page does.

    A step that has its rows reviewed on the page does without that here.
    """
    from .paths import run_paths  # here, so that `serve` starts without the readers

    check_output(output, files)
    with told():
        check_files(files)
        chosen = read_options(options)
        settings = load_settings()
    limits = Limits(settings.silo_task_memory_mb, settings.silo_task_timeout)
    runner = ProcessRunner(Jobs(MemoryRecords()), Slots(1), Crew(limits))
    task = BackgroundTask("report", runner=runner)
    folder = output.with_name(f"{output.stem} files")
    task.start(
        run_paths,
        [str(file.absolute()) for file in files],
        chosen,
        str(output.absolute()),
        str(folder.absolute()),
    )
    try:
        watch(task)
    finally:
        runner.stop()
    if not task.is_complete:  # it may have been cancelled, by the step itself
        raise click.ClickException(task.state.error or task.state.message)
    if task.result["passed"]:
        click.echo("Nobody has reviewed the rows: they are in the report as the step made them.")
    written = [output] if task.result["workbook"] else []
    for path in (*written, *(folder / name for name in task.result["files"])):
        click.echo(f"Wrote {path}")


def check_output(output: Path, files: tuple[Path, ...]) -> None:
    """Find out before the work whether its result can be kept. Raises click.BadParameter."""
    folder = output.absolute().parent
    if not folder.is_dir():
        raise click.BadParameter(f"There is no folder {str(folder)!r}.", param_hint="--output")
    if not os.access(folder, os.W_OK):
        raise click.BadParameter(f"{str(folder)!r} is read-only.", param_hint="--output")
    if output.exists() and any(output.samefile(file) for file in files):
        raise click.BadParameter(f"{str(output)!r} is one of the files.", param_hint="--output")


def check_files(files: tuple[Path, ...]) -> None:
    """Raises click.ClickException if the step takes other files, or another number of them."""
    if refused := contract.load().ACCEPTS.refusal([file.name for file in files]):
        raise click.ClickException(refused)


def read_options(given: dict[str, Any]) -> dict[str, Any]:
    """The step's options; what is not given keeps its default. Raises click.BadParameter."""
    values = {name: value for name, value in given.items() if value not in (None, ())}
    try:
        return dict(contract.load().Options.model_validate(values).model_dump(mode="json"))
    except ValidationError as error:
        first = field_errors(error)[0]
        flag = f"--{first['field'].partition('.')[0].replace('_', '-')}"
        raise click.BadParameter(f"{first['message'].rstrip('.')}.", param_hint=flag) from error


def flags() -> list[click.Option]:
    """An option of the command line for each option of the step."""
    schema = contract.load().Options.model_json_schema()
    return [flag(*option) for option in controls.properties(schema)]


def flag(name: str, option: controls.Schema) -> click.Option:
    """Its value is checked by the step's own rules, except for what a choice offers.

    It is told its name, which it would make of the flag in lower case.
    """
    kind, long = controls.control(option), f"--{name.replace('_', '-')}"
    said = ": ".join(filter(None, [option["title"], option.get("description")]))
    more: dict[str, Any] = {"help": said, "default": None}
    if option.get("type") == "boolean":
        return click.Option([name, f"{long}/--no-{long[2:]}"], **more)
    if kind in ("choice", "choices"):
        offered = {str(value): value for value in controls.values(option.get("items", option))}
        several = kind == "choices"
        more |= {"type": click.Choice(list(offered)), "multiple": several}
        more["callback"] = lambda _, __, given: (
            tuple(map(offered.get, given)) if several else offered.get(given)
        )
    if kind in ("integer", "number", "date"):
        more["metavar"] = kind.upper()
    return click.Option([name, long], **more)


def watch(task: BackgroundTask) -> None:
    """Show a progress bar until the task ends; on a terminal only, since it moves by rewriting."""
    with click.progressbar(
        length=100, label="Processing", item_show_func=lambda message: message or ""
    ) as bar:
        while (state := task.state).running:
            bar.update(int(state.progress) - bar.pos, state.message)
            time.sleep(POLL_SECONDS)
        bar.update(int(state.progress) - bar.pos, state.message)
