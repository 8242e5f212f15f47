"""`trimtab validate`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from spec import Problem, SpecError, load
from trimtab.surroundings import json_option


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@json_option
def validate(paths: tuple[Path, ...], *, as_json: bool) -> None:
    r"""Check model YAML files (folders: every *.yaml inside); every problem is named at once.

    \b
    Example:
      trimtab validate models/
      trimtab validate models/flights.yaml --json
    """
    files = list(_files(paths or (Path("models"),)))
    problems: list[Problem] = []
    models: dict[str, Path] = {}
    for file in files:
        try:
            model = load(file).model
        except SpecError as error:
            problems += error.problems
            continue
        if model in models:
            problems.append(
                Problem(f"{file}: model", "must be named by one file", f"also in {models[model]}")
            )
        models[model] = file
    if as_json:
        told = [{"where": p.where, "must": p.must, "found": p.found, "hint": p.hint} for p in problems]
        click.echo(json.dumps({"models": sorted(models), "problems": told}, indent=1))
    elif not problems:
        click.echo(f"{len(models)} good: {', '.join(sorted(models))}")
    if problems:
        raise SpecError(problems)


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(path.glob("*.yaml"))
        if not inside:
            raise SpecError([Problem(str(path), "must hold a model's YAML", "no *.yaml file")])
        yield from inside
