"""`trimtab lineage`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from spec import pick
from trimtab.surroundings import home_option, json_option, models_option, surroundings


@click.command()
@click.argument("model")
@click.argument("version", required=False)
@click.option("--run", help="A retrain instead of a version; also one that was rejected.")
@home_option
@models_option
@json_option
def lineage(
    model: str, version: str | None, run: str | None, home: Path, models: Path | None, *, as_json: bool
) -> None:
    r"""Tell where VERSION of MODEL comes from, and what became of it; by default of the champion.

    From the alert over the triage, the run, its rows, trials, passes and gates to the rollout. Of a retrain
    that was rejected, and has no version, up to what refused it.

    \b
    Example:
      trimtab lineage flights
      trimtab lineage flights 3 --json
      trimtab lineage flights --run here-2013-07-04T120000Z
    """
    if version is not None and run is not None:
        msg = "VERSION and --run exclude each other"
        raise click.UsageError(msg)
    from retraining.lineage import lineage as trace

    specs, settings = surroundings(home, models)
    found = trace(pick(specs, model), settings, version, run=run)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1))
        return
    named = "without a version" if found.version is None else f"version {found.version}"
    click.echo(f"{found.model} {named}: {found.status}; made by {found.source}")
    for link in found.links:
        click.echo(f"\n{link.name}")
        for sentence in link.told:
            click.echo(f"  {sentence}")
    if found.reigns:
        click.echo("\naliases")
    for reign in found.reigns:
        since = "nobody noted since when" if reign.start is None else f"from {reign.start:%Y-%m-%d %H:%M}"
        until = "until now" if reign.end is None else f"to {reign.end:%Y-%m-%d %H:%M}"
        approved = f", approved by {reign.approved}" if reign.approved else ""
        click.echo(f"  {reign.alias} {since} {until}{approved}")
