"""`trimtab retrain`."""

from __future__ import annotations

from pathlib import Path

import click

from spec import pick
from trimtab.surroundings import home_option, json_option, models_option, surroundings


@click.command()
@click.argument("model")
@home_option
@models_option
@json_option
def retrain(model: str, home: Path, models: Path | None, *, as_json: bool) -> None:
    r"""Start a retrain of MODEL now, whatever its cooldown says.

    \b
    Example:
      trimtab retrain flights
    """
    from trimtab import runs

    specs, settings = surroundings(home, models)
    spec = pick(specs, model)
    conf = {"model": spec.model, "reason": "manual", "requested_at": settings.clock.now().isoformat()}
    started = runs.start(settings, f"retrain_{spec.model}", conf)
    click.echo(started.as_json() if as_json else f"{started.run_id}\n{started.url}")
