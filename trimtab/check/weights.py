"""How much each column matters to a model: what makes the drift of one worse than that of another."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec.errors import DataError, InputError, Problem, SettingsError

if TYPE_CHECKING:
    from spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Weights:
    """Importances by column, at least 0; None if there are none. `told` says where from, or why not."""

    shares: Mapping[str, float] | None
    told: str


def of_model(spec: ModelSpec) -> Weights:
    """Return what the champion's reference in the home says, or the latest version's.

    Where there is none, that is no error: the drift of two files can be judged without.
    """
    from spec import Settings

    if not os.environ.get("TRIMTAB_HOME"):
        return Weights(None, f"TRIMTAB_HOME names no home that knows {spec.model}'s importances")
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        return Weights(None, str(error.problems[0]))

    from monitors import deployment, references

    known = references.versions(spec, settings)
    if not known:
        return Weights(None, f"{settings.home} holds no reference of {spec.model}")
    champion = deployment.read(settings.home, spec.model).champion_version
    version = champion if champion in known else known[-1]
    try:
        found = references.load(spec, settings, version).importances
    except DataError as error:
        return Weights(None, str(error.problems[0]))
    stage = "the champion" if version == champion else "the latest"
    shares = {name: share for name, share in found.items() if name in spec.features}
    return Weights(shares or None, f"importances of {spec.model} version {version}, {stage}")


def of_file(file: Path) -> Weights:
    """Return those of a JSON file ``{column: share}``.

    Raises
    ------
    InputError
        The file cannot be read, or is something else.
    """
    must = "must be a JSON file {column: share}, shares at least 0"
    try:
        found: Any = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError([Problem(f"--importance {file}", must, str(error))]) from error
    if not isinstance(found, dict) or not found or not all(map(_is_share, found.values())):
        raise InputError([Problem(f"--importance {file}", must, "something else")])
    return Weights({name: float(share) for name, share in found.items()}, f"importances of {file}")


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
