"""`trimtab promote`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from spec import pick
from trimtab.surroundings import home_option, json_option, models_option, surroundings


@click.command()
@click.argument("model")
@click.argument("version", required=False)
@click.option(
    "--force", is_flag=True, required=True, expose_value=False, help="Say that no gate is to be asked."
)
@click.option("--reason", required=True, help="Why; kept with the version for the auditor.")
@click.option("--as", "who", metavar="NAME", help="Who wants it; by default the user of this machine.")
@home_option
@models_option
@json_option
def promote(
    model: str,
    version: str | None,
    reason: str,
    who: str | None,
    home: Path,
    models: Path | None,
    *,
    as_json: bool,
) -> None:
    r"""Make MODEL's VERSION, by default its challenger, the champion at once, past its gates.

    `trimtab rollout` lets the gates decide. This is for the night on which nobody can wait for
    them: all traffic moves in seconds, and the lineage tells who did it and why. `trimtab rollback`
    undoes it.

    \b
    Example:
      trimtab promote flights 7 --force --reason "version 6 answers nonsense since noon"
    """
    from retraining.registry import Approval
    from rollout.routers import connect
    from trimtab import force

    specs, settings = surroundings(home, models)
    spec, approval = pick(specs, model), Approval.by_hand(who, reason)
    done = force.promote(spec, settings, connect(settings, specs), version, approval)
    force.note(settings, done, approval)
    click.echo(json.dumps(done.payload()) if as_json else done.text)
