"""`trimtab labels`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from spec import pick
from trimtab.surroundings import home_option, json_option, models_option, surroundings


@click.group()
def labels() -> None:
    r"""Bring in the ground truth.

    \b
    Example:
      trimtab labels append flights landed.parquet
    """


@labels.command()
@click.argument("model")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--allow-unknown", is_flag=True, help="Take labels whose prediction is not in the log (yet).")
@home_option
@models_option
@json_option
def append(
    model: str, file: Path, home: Path, models: Path | None, *, allow_unknown: bool, as_json: bool
) -> None:
    r"""Append the labels in FILE (Parquet or CSV) to MODEL's; all of them, or none if one is wrong.

    FILE has the columns that the model's YAML names: `data.id` and `data.target.name`. A label for a
    prediction that has one already is a correction.

    \b
    Example:
      trimtab labels append flights landed.parquet
      trimtab labels append flights landed.csv --allow-unknown --json
    """
    from monitors.tables import labels as room

    specs, settings = surroundings(home, models)
    report = room.append(pick(specs, model), settings, file, check_ids=not allow_unknown)
    if as_json:
        told = {"model": report.model, "rows": report.rows, "location": report.location}
        click.echo(json.dumps(told | {"arrived_at": report.arrived_at.isoformat()}, indent=1))
    else:
        click.echo(f"{report.rows} labels appended to {report.location}")
