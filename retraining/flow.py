"""The whole retrain in one process, for the command line and for tests; the DAG runs the same stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from retraining.optimize import optimize
from retraining.prepare import prepare
from retraining.records import Snapshot, Tuning, Validation
from retraining.register import register
from retraining.train import train
from retraining.tune import TRIALS, tune
from retraining.validate import validate
from retraining.workspace import Workspace
from spec import ModelSpec, Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a retrain ended: the verdict, and the version where it was accepted."""

    validation: Validation
    version: str | None


def retrain(
    spec: ModelSpec,
    settings: Settings,
    run: str,
    *,
    again: str | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Outcome:
    """Run every stage in turn; raises what the stages raise.

    Parameters
    ----------
    run
        Name of the run and of its folder ``<home>/runs/<run>``; the same name replaces or resumes.
    again
        An earlier run, whose rows and hyperparameters are to be used: the same model comes out.
    tell
        Is told each stage as it begins.
    """
    tell("prepare")
    if again is None:
        prepare(spec, settings, run)
        tell("tune")
        tune(spec, settings, run)
    else:
        earlier, work = Workspace(settings, again), Workspace(settings, run)
        prepare(spec, settings, run, again=earlier.load(Snapshot))
        work.save(earlier.load(Tuning))
        work.put(TRIALS, earlier.path(TRIALS).read_bytes())
    tell("train")
    train(spec, settings, run)
    tell("optimize")
    optimize(spec, settings, run)
    tell("validate")
    verdict = validate(spec, settings, run)
    if not verdict.accepted:
        return Outcome(verdict, None)
    tell("register")
    return Outcome(verdict, register(spec, settings, run))
