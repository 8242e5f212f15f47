"""`trimtab rollback`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from spec import pick
from trimtab.surroundings import home_option, json_option, models_option, surroundings


@click.command()
@click.argument("model")
@click.option("--as", "who", metavar="NAME", help="Who wants it; by default the user of this machine.")
@click.option("--reason", default="", help="Why; kept with the version.")
@home_option
@models_option
@json_option
def rollback(
    model: str, who: str | None, reason: str, home: Path, models: Path | None, *, as_json: bool
) -> None:
    r"""Bring MODEL back, in seconds: end its rollout, or else make the version before the champion again.

    While a rollout is under way all traffic goes back to the champion, and the rollout's run ends by itself;
    also one without traffic yet, which loads or waits for a yes. Called again, or without a rollout, the
    version that was champion before answers everything again; one call more undoes that.

    \b
    Example:
      trimtab rollback flights
      trimtab rollback flights --as ada --reason "complaints since noon"
    """
    from retraining.registry import Approval
    from rollout.routers import connect
    from trimtab import undo

    specs, settings = surroundings(home, models)
    spec, approval = pick(specs, model), Approval.by_hand(who, reason)
    done = undo.roll_back(spec, settings, connect(settings, specs), approval)
    click.echo(json.dumps(done.payload()) if as_json else done.text)  # first: the next line may find no store
    undo.note(settings, done, approval)
