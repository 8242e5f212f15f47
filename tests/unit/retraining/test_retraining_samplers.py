from __future__ import annotations

import optuna
import pytest

from retraining.trials.samplers import population, sampler
from spec.retrain import Search

GENERATION = "NSGAIISampler:generation"


def generations(wanted: Search, trials: int) -> list[int]:
    """Return the generation of each of so many trials of two objectives."""
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler(wanted, {}))
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objectives(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", -5, 5)
        return x**2, (x - 2) ** 2

    study.optimize(objectives, n_trials=trials)
    return [trial.system_attrs[GENERATION] for trial in study.trials]


def test_evolution_gets_several_generations_out_of_the_default_number_of_trials() -> None:
    """Optuna's population of 50 makes 20 trials all random; three learners that share them evolve too."""
    wanted = Search(sampler="nsga2")

    assert max(generations(wanted, wanted.trials)) >= 3
    assert max(generations(wanted, wanted.trials // 3)) >= 1


@pytest.mark.parametrize(("trials", "size"), [(1, 4), (20, 4), (100, 10), (2_500, 50), (10_000, 50)])
def test_a_population_is_the_root_of_the_trials(trials: int, size: int) -> None:
    """As many generations as trials in each, within what crossover needs and what Optuna takes."""
    assert size == population(trials)


@pytest.mark.parametrize("name", ["tpe", "random", "cma_es", "nsga2"])
def test_a_seed_repeats_what_is_tried(name: str) -> None:
    """Two samplers of one seed suggest the same values one after another, and another seed others."""

    def tried(seed: int) -> list[float]:
        study = optuna.create_study(sampler=sampler(Search(sampler=name, seed=seed), {}))
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=12)
        return [trial.params["x"] for trial in study.trials]

    assert tried(1) == tried(1)
    assert tried(1) != tried(2)
