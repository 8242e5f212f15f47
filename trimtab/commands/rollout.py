"""`trimtab rollout`."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from spec import pick
from trimtab.surroundings import home_option, json_option, models_option, surroundings


@click.command()
@click.argument("model")
@click.argument("version", required=False)
@click.option("--as", "who", metavar="NAME", help="Who asks for it; by default the user of this machine.")
@home_option
@models_option
@json_option
def rollout(
    model: str, version: str | None, who: str | None, home: Path, models: Path | None, *, as_json: bool
) -> None:
    r"""Start the rollout of MODEL's VERSION, by default of its challenger.

    Its gates decide; who asked for it is told in the lineage.

    \b
    Example:
      trimtab rollout flights
      trimtab rollout flights 7
    """
    from trimtab import runs

    specs, settings = surroundings(home, models)
    spec = pick(specs, model)
    conf = {"asked_by": who or getpass.getuser()} | ({"version": version} if version else {})
    started = runs.start(settings, f"rollout_{spec.model}", conf)
    click.echo(started.as_json() if as_json else f"{started.run_id}\n{started.url}")
