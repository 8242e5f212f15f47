"""Optuna's samplers and pruners by the names of the spec."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna import pruners, samplers

from spec.retrain import Search

Grid = Mapping[str, Sequence[Any]]
"""Values to try by parameter."""
_SMALLEST, _LARGEST = 4, 50  # of a population; the larger is Optuna's own


def sampler(wanted: Search, grid: Grid) -> samplers.BaseSampler:
    """Return the sampler that the spec names, seeded.

    Parameters
    ----------
    grid
        What the sampler ``grid`` tries all combinations of; a parameter without a list keeps its first value.
    """
    return _SAMPLERS[wanted.sampler](wanted, grid)


def pruner(wanted: Search) -> pruners.BasePruner:
    """Return what ends a trial that is behind the others after an early fold."""
    return _PRUNERS[wanted.pruner]()


def population(trials: int) -> int:
    """Return how many trials a generation of NSGA-II has: the root of their number, from 4 to 50.

    The first generation is random. With Optuna's 50 a search of 20 trials would end within it; with the root
    there are as many generations as trials in each, and a few still where learners share the trials.
    """
    return min(max(math.isqrt(trials), _SMALLEST), _LARGEST)


def _cma_es(wanted: Search, _: Grid) -> samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return samplers.CmaEsSampler(seed=wanted.seed, warn_independent_sampling=False)


def _nsga2(wanted: Search, _: Grid) -> samplers.BaseSampler:
    return samplers.NSGAIISampler(seed=wanted.seed, population_size=population(wanted.trials))


_SAMPLERS: dict[str, Callable[[Search, Grid], samplers.BaseSampler]] = {
    "tpe": lambda wanted, _: samplers.TPESampler(seed=wanted.seed),
    "random": lambda wanted, _: samplers.RandomSampler(seed=wanted.seed),
    "grid": lambda wanted, grid: samplers.GridSampler(dict(grid), seed=wanted.seed),
    "cma_es": _cma_es,
    "nsga2": _nsga2,
}
_PRUNERS: dict[str, Callable[[], pruners.BasePruner]] = {
    "median": lambda: pruners.MedianPruner(n_startup_trials=4),
    "hyperband": pruners.HyperbandPruner,
    "none": pruners.NopPruner,
}
