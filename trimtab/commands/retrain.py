"""`trimtab retrain`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spec import ModelSpec, Settings, pick
from trimtab.surroundings import home_option, json_option, models_option, surroundings

if TYPE_CHECKING:
    from retraining import Outcome

_MARKS = {True: "passed", False: "FAILED"}


@click.command()
@click.argument("model")
@home_option
@models_option
@click.option("--here", is_flag=True, help="Run the stages in this process, without Airflow.")
@click.option(
    "--again", metavar="RUN", help="Use the rows and hyperparameters of an earlier run; with --here."
)
@json_option
def retrain(
    model: str, home: Path, models: Path | None, *, here: bool, again: str | None, as_json: bool
) -> None:
    r"""Start a retrain of MODEL now, whatever its cooldown says.

    With --here it exits 0 when the candidate was registered as challenger, 1 when it was rejected.

    \b
    Example:
      trimtab retrain flights
      trimtab retrain flights --here
      trimtab retrain flights --here --again here-2013-07-04T120000Z
    """
    if again is not None and not here:
        msg = "--again needs --here"
        raise click.UsageError(msg)
    specs, settings = surroundings(home, models)
    spec = pick(specs, model)
    if here:
        sys.exit(_here(spec, settings, again, as_json=as_json))
    from trimtab import runs

    conf = {"model": spec.model, "reason": "manual", "requested_at": settings.clock.now().isoformat()}
    started = runs.start(settings, f"retrain_{spec.model}", conf)
    click.echo(started.as_json() if as_json else f"{started.run_id}\n{started.url}")


def _here(spec: ModelSpec, settings: Settings, again: str | None, *, as_json: bool) -> int:
    from retraining import retrain as run_all

    run = f"here-{settings.clock.now():%Y-%m-%dT%H%M%SZ}"
    outcome = run_all(spec, settings, run, again=again, tell=lambda stage: click.echo(f"{stage} …", err=True))
    click.echo(_as_json(run, outcome) if as_json else _as_text(spec.model, run, outcome))
    return 0 if outcome.version is not None else 1


def _as_json(run: str, outcome: Outcome) -> str:
    plain = asdict(outcome) | {"run": run, "validation": outcome.validation.to_json()}
    return json.dumps(plain, indent=1)


def _as_text(model: str, run: str, outcome: Outcome) -> str:
    verdict = outcome.validation
    lines = [f"run {run}", verdict.summary()]
    lines += [f"  {_MARKS[gate.passed]}  {gate.name}: {gate.reason}" for gate in verdict.gates]
    if outcome.version is not None:
        lines.append(
            f"version {outcome.version} is the challenger; its rollout starts with: trimtab rollout {model}"
        )
    else:
        lines.append(f"its story, up to what refused it: trimtab lineage {model} --run {run}")
    return "\n".join(lines)
