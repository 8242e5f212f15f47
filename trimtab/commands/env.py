"""`trimtab env`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from trimtab.surroundings import home_option, json_option


@click.command()
@home_option
@json_option
def env(home: Path, *, as_json: bool) -> None:
    r"""Print the variables that a client of the stack needs, as shell commands; they hold MLflow's password.

    \b
    Example:
      trimtab env
      eval "$(trimtab env)" && python adopt_my_model.py
    """
    from trimtab.stack import Stack

    variables = Stack.open(home).environment()
    if as_json:
        click.echo(json.dumps(variables, indent=1))
    else:
        click.echo("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))
