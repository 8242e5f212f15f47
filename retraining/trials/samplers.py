"""Optuna's samplers and pruners by the names of the spec."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna import pruners, samplers

from spec.retrain import Search

Grid = Mapping[str, Sequence[Any]]
"""Values to try by parameter."""


def sampler(wanted: Search, grid: Grid) -> samplers.BaseSampler:
    """Return the sampler that the spec names, seeded.

    Parameters
    ----------
    grid
        What the sampler ``grid`` tries all combinations of; a parameter without a list keeps its first value.
    """
    return _SAMPLERS[wanted.sampler](wanted.seed, grid)


def pruner(wanted: Search) -> pruners.BasePruner:
    """Return what ends a trial that is behind the others after an early fold."""
    return _PRUNERS[wanted.pruner]()


def _cma_es(seed: int, _: Grid) -> samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)


_SAMPLERS: dict[str, Callable[[int, Grid], samplers.BaseSampler]] = {
    "tpe": lambda seed, _: samplers.TPESampler(seed=seed),
    "random": lambda seed, _: samplers.RandomSampler(seed=seed),
    "grid": lambda seed, grid: samplers.GridSampler(dict(grid), seed=seed),
    "cma_es": _cma_es,
    "nsga2": lambda seed, _: samplers.NSGAIISampler(seed=seed),
}
_PRUNERS: dict[str, Callable[[], pruners.BasePruner]] = {
    "median": lambda: pruners.MedianPruner(n_startup_trials=4),
    "hyperband": pruners.HyperbandPruner,
    "none": pruners.NopPruner,
}
