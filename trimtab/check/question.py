"""From the words of the command line, and a model's YAML if one is named, to a request."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitors.comparing.compare import Methods
from monitors.distances import METHODS
from monitors.profiles.plan import Kind
from spec.errors import InputError, Problem, did_you_mean
from trimtab.check.request import Request
from trimtab.check.weights import Weights, of_file, of_model

if TYPE_CHECKING:
    from spec import ModelSpec

_OUTPUTS = ("json_file", "html_file", "evidently_file")


def question(options: Mapping[str, Any]) -> Request:
    """Return what is asked; an option wins over the YAML.

    Raises
    ------
    InputError
        With every option that cannot be used: an unknown statistic, a limit out of its range, a folder to
        write to that is not there.
    """
    problems = list(_problems(options))
    if problems:
        raise InputError(problems)
    given = {
        "columns": tuple(_split(options["columns"])),
        "kinds": dict.fromkeys(_split(options["categorical"]), Kind.CATEGORICAL),
        "target": options["target"] or "",
        "timestamp": options["timestamp"] or "",
        "segment": options["segment"] or "",
        "threshold": options["effect"],
        "alpha": options["alpha"],
        "methods": _methods(options["method"], Methods()) if options["method"] else None,
    }
    asked = {name: value for name, value in given.items() if value}
    base: dict[str, Any] = {}
    if options["spec"] is not None:
        from spec import load

        base = _of_spec(load(options["spec"]))
    if options["importance"] is not None:
        base |= _weighed(of_file(options["importance"]))
    named = {**base, **asked}
    named["optional"] = base.get("optional", frozenset()) - {asked.get("target"), asked.get("timestamp")}
    named |= {name: options[name] for name in ("words", "vectors", "joint")}
    return Request(options["reference"], options["current"], **named)


def _of_spec(spec: ModelSpec) -> dict[str, Any]:
    limits = spec.monitor.data_drift
    return {
        "columns": tuple(spec.features),
        "kinds": {name: Kind(feature.type.value) for name, feature in spec.features.items()},
        "target": spec.data.target.name,
        "timestamp": spec.data.time,
        "optional": frozenset({spec.data.target.name, spec.data.time}),
        "ignored": (spec.data.id,),
        "methods": Methods(limits.method.value, limits.categorical_method.value),
        "threshold": limits.effect,
        "correlation": limits.correlation,
        **_weighed(of_model(spec)),
    }


def _weighed(weights: Weights) -> dict[str, Any]:
    return {"importances": weights.shares, "weighed": weights.told}


def _split(values: Iterable[str]) -> list[str]:
    return [name for value in values for name in value.split(",") if name]


def _methods(names: Iterable[str], base: Methods) -> Methods:
    """Return the statistics by kind: one without order holds for all kinds, one with it for numbers."""
    numeric, categorical = base.numeric, base.categorical
    for name in names:
        numeric = name
        categorical = categorical if METHODS[name].ordered else name
    return Methods(numeric, categorical)


def _problems(options: Mapping[str, Any]) -> Iterable[Problem]:
    for name in options["method"]:
        if name not in METHODS:
            yield Problem("--method", "must be a known statistic", repr(name), did_you_mean(name, METHODS))
    effect, alpha = options["effect"], options["alpha"]
    if effect is not None and not 0 < effect < math.inf:
        yield Problem("--effect", "must be a number above 0", f"{effect}")
    if alpha is not None and not 0 < alpha < 1:
        yield Problem("--alpha", "must be between 0 and 1", f"{alpha}")
    for name in _OUTPUTS:
        file = options[name]
        if file is not None and not Path(file).parent.is_dir():
            option = f"--{name.removesuffix('_file')}"
            yield Problem(
                option, "must be a file in a folder that exists", str(file), f"mkdir -p {file.parent}"
            )
