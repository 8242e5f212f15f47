"""`trimtab experiment`."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from spec import ModelSpec, NotFound, Settings, pick
from trimtab.surroundings import home_option, json_option, models_option, surroundings


@click.command()
@click.argument("model")
@click.argument("version", required=False)
@click.option("--share", metavar="PERCENT", help="The version's share of the traffic; as the YAML says.")
@click.option("--for", "lasts", metavar="TIME", help="How long the split is held; as the YAML says.")
@click.option("--early", is_flag=True, default=None, help="End it once each gate and metric has an answer.")
@click.option("--as", "who", metavar="NAME", help="Who asks for it; by default the user of this machine.")
@click.option("--report", is_flag=True, help="Print what the newest one has shown so far, and start none.")
@home_option
@models_option
@json_option
def experiment(  # noqa: PLR0913 - the options of a command
    model: str,
    version: str | None,
    share: str | None,
    lasts: str | None,
    who: str | None,
    home: Path,
    models: Path | None,
    *,
    early: bool | None,
    report: bool,
    as_json: bool,
) -> None:
    r"""Hold a split between MODEL's champion and VERSION, by default its challenger, and promote nobody.

    It ends when its time is over, when a gate shows harm, or when a rollout of the model begins. Then all
    traffic is the champion's again, and a report is kept with the version.

    \b
    Example:
      trimtab experiment flights 7 --share 50% --for 14d
      trimtab experiment flights --report
    """
    specs, settings = surroundings(home, models)
    spec = pick(specs, model)
    if report:
        click.echo(_report(spec, settings, as_json=as_json))
        return
    from trimtab import runs

    spec.experiment.but(share=share, early=early, **{"for": lasts})  # bad input is told here, not in a log
    asked = {"version": version, "share": share, "for": lasts, "early": early}
    conf = {"asked_by": who or getpass.getuser()} | {key: to for key, to in asked.items() if to is not None}
    started = runs.start(settings, f"experiment_{spec.model}", conf)
    click.echo(started.as_json() if as_json else f"{started.run_id}\n{started.url}")


def _report(spec: ModelSpec, settings: Settings, *, as_json: bool) -> str:
    from dags.experiment import newest
    from dags.experiment_document import document
    from retraining.card import markdown

    found = newest(settings, spec.model)
    if found is None:
        hint = f"start one: trimtab experiment {spec.model}"
        msg = f"no experiment of {spec.model} has shown anything yet; {hint}"
        raise NotFound(msg)
    return found.model_dump_json(indent=1, by_alias=True) if as_json else markdown.render(document(found))
