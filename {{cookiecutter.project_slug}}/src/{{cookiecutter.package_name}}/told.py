"""How a person at the command line is told what is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from . import contract
from .config import ConfigError
from .silo.errors import SiloError
from .silo.urls import masked


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell the person what is wrong with a setting, with the step, or with what is asked for."""
    try:
        yield
    except (ConfigError, contract.StepError, SiloError, OSError) as error:
        raise click.ClickException(masked(str(error))) from error
