"""The whole retrain in one process, for the command line and for tests; the DAG runs the same stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from retraining.optimize import optimize
from retraining.prepare import prepare
from retraining.records import Snapshot, Tuning, Validation
from retraining.register import register
from retraining.rejection import accounted, rejected
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

    Where no version comes of it, the reasons, a card and the records are kept in MLflow.

    Parameters
    ----------
    run
        Name of the run and of its folder ``<home>/runs/<run>``; the same name replaces or resumes.
    again
        An earlier run, whose rows and hyperparameters are to be used: the same model comes out.
    tell
        Is told each stage as it begins.
    """

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        tell(name)
        with accounted(spec, settings, run, name):
            yield

    earlier = None if again is None else Workspace(settings, again)
    with stage("prepare"):
        prepare(spec, settings, run, again=None if earlier is None else earlier.load(Snapshot))
    if earlier is None:
        with stage("tune"):
            tune(spec, settings, run)
    else:
        work = Workspace(settings, run)
        work.save(earlier.load(Tuning))
        work.put(TRIALS, earlier.path(TRIALS).read_bytes())
    with stage("train"):
        train(spec, settings, run)
    with stage("optimize"):
        optimize(spec, settings, run)
    with stage("validate"):
        verdict = validate(spec, settings, run)
    if not verdict.accepted:
        rejected(spec, settings, run)
        return Outcome(verdict, None)
    tell("register")
    return Outcome(verdict, register(spec, settings, run))
