"""`trimtab constraints`."""

from __future__ import annotations

from pathlib import Path

import click

from spec import NotFound, pick
from trimtab.surroundings import home_option, surroundings


@click.command()
@click.argument("model")
@click.option("--version", metavar="V", help="Version whose reference is looked at.  [default: the champion]")
@home_option
def constraints(model: str, version: str | None, home: Path) -> None:
    r"""Print the `features` of a model's YAML with what a version's reference suggests of their values.

    Look at the lines and paste those that are right into the file; what the file states already stays as it
    is.

    \b
    Example:
      trimtab constraints flights
    """
    from monitors import deployment, references
    from trimtab.init.constraints import suggested
    from trimtab.init.document import ABOUT

    specs, settings = surroundings(home)
    spec = pick(specs, model)
    chosen = version or deployment.read(settings.home, model).champion_version
    if chosen is None:
        msg = f"{model} has no champion in {settings.home}. Name one with --version"
        raise NotFound(msg)
    lines = suggested(spec, references.load(spec, settings, chosen))
    click.echo("features:")
    for line in [*(f"# {text}" for text in ABOUT), *lines]:
        click.echo(f"  {line}")
