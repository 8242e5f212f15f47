"""`trimtab demo`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from trimtab.surroundings import json_option, models_option

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option(
    "--home",
    type=_FOLDER,
    default=Path(".trimtab/demo"),
    show_default=True,
    help="State folder of the demo; emptied first.",
)
@models_option
@click.option(
    "--one-in", default=4, show_default=True, type=click.IntRange(1), help="Send every n-th flight."
)
@click.option(
    "--day-seconds",
    default=1.5,
    show_default=True,
    type=click.FloatRange(0.2),
    help="Wall time of a simulated day; a busy machine takes longer.",
)
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Stop at this day of 2013.")
@json_option
def demo(
    home: Path, models: Path | None, one_in: int, day_seconds: float, until: datetime | None, *, as_json: bool
) -> None:
    r"""Run the closed loop on a year of real flights and print what happened.

    Exit code 0 only if a loop closed by itself: alert, retrain, canary, promotion. Everything that is
    started is stopped at the end, also on Ctrl-C.

    \b
    Example:
      trimtab demo
      trimtab demo --until 2013-08-31 --one-in 8
    """
    from datetime import UTC

    from rich.console import Console

    from trimtab.demo.run import MARCH, Plan
    from trimtab.demo.run import demo as run

    if until is not None and until.replace(tzinfo=UTC) <= MARCH:
        msg = "the replay starts on 1 March 2013; name a later day of that year"
        raise click.BadParameter(msg, param_hint="--until")
    plan = Plan(
        home=home.absolute(),
        models=(models or Path("models")).absolute(),
        one_in=one_in,
        day_seconds=day_seconds,
        until=until.replace(tzinfo=UTC) if until else None,
    )
    outcome = run(plan, Console(stderr=as_json))
    if as_json:
        click.echo(json.dumps(outcome.to_json(), indent=1))
    if not outcome.promoted:
        click.echo("no loop closed by itself", err=True)
        raise click.exceptions.Exit(1)
