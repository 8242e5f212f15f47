"""``python -m dashboards``: build the dashboards of a folder of models, or refresh the committed ones."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from dashboards import build
from dashboards.frame import Surroundings
from spec import TrimtabError, load_folder

_BAD_INPUT = 2
_DEFAULTS = Surroundings()


@click.group()
def main() -> None:
    """Grafana dashboards from code."""


@main.command("build")
@click.option("--models", type=click.Path(path_type=Path), default=Path("models"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write into.")
@click.option("--airflow-url", default=_DEFAULTS.airflow_url, show_default=True)
@click.option("--mlflow-url", default=_DEFAULTS.mlflow_url, show_default=True)
@click.option("--since", default=_DEFAULTS.since, show_default=True, help="Start of the time range.")
@click.option("--refresh", default=_DEFAULTS.refresh, show_default=True, help="How often to reload.")
def build_command(
    models: Path, out: Path, airflow_url: str, mlflow_url: str, since: str, refresh: str
) -> None:
    """Write one dashboard a model, one for any model, and the overview.

    Example: python -m dashboards build --models models --out /etc/grafana/dashboards
    """
    surroundings = Surroundings(airflow_url, mlflow_url, since, refresh)
    pages = build.of_models(load_folder(models).values(), surroundings) | build.generic(surroundings)
    _report(build.write(pages, out))


@main.command("refresh")
def refresh_command() -> None:
    """Rewrite dashboards/json and the chart's copies of dashboards and alert rules.

    Example: python -m dashboards refresh
    """
    _report(build.refresh())


def _report(files: Iterable[Path]) -> None:
    for file in files:
        click.echo(file)


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except TrimtabError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(_BAD_INPUT)
