"""What the parts of one YAML must not say together: each part may be right, and the whole means nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from spec.performance import EstimateMethod, Task
from spec.units import format_duration

if TYPE_CHECKING:
    from spec.model import ModelSpec


@dataclass(frozen=True, slots=True)
class Contradiction:
    """One thing that does not fit the rest: the path of its key, what must hold, what stands there."""

    path: tuple[str, ...]
    must: str
    found: object


def check(spec: ModelSpec) -> None:
    """Refuse a model that its own parts contradict.

    Raises
    ------
    ValidationError
        With every contradiction at the key that a person changes.
    """
    details = [
        InitErrorDetails(
            type=PydanticCustomError("contradiction", "{must}", {"must": one.must}),
            loc=one.path,
            input=one.found,
        )
        for rule in _RULES
        for one in rule(spec)
    ]
    if details:
        raise ValidationError.from_exception_data(type(spec).__name__, details)


def _columns(spec: ModelSpec) -> Iterator[Contradiction]:
    reserved = (spec.data.id, spec.data.time, spec.data.target.name)
    for name in sorted(set(reserved) & set(spec.features)):
        yield Contradiction(
            ("features", name), "is the id, time or target of data and cannot be a feature", name
        )
    if len(set(reserved)) < len(reserved):
        must = "id, time and target.name must be three different columns"
        yield Contradiction(("data",), must, ", ".join(reserved))


def _classes(spec: ModelSpec) -> Iterator[Contradiction]:
    path, classes = ("data", "target", "classes"), spec.data.target.classes
    if (spec.task is Task.MULTICLASS) != (classes is not None):
        yield Contradiction(path, "a multiclass model names its classes, no other model does", classes)
    for name in _repeated(classes or ()):
        yield Contradiction(path, "must name each class once", name)


def _metric(spec: ModelSpec) -> Iterator[Contradiction]:
    stated, metric = spec.monitor.performance, spec.performance_metric
    path = ("monitor", "performance")
    if not metric.suits(spec.task):
        yield Contradiction((*path, "metric"), f"{metric} is not defined for {spec.task}", metric.value)
    elif metric.is_bounded and stated.drop >= 1:
        must = f"must be below 1: {metric} never changes by more"
        yield Contradiction((*path, "drop"), must, stated.drop)
    if "quantile" in stated.model_fields_set and spec.task is not Task.REGRESSION:
        yield Contradiction((*path, "quantile"), "only a regression answers a quantile", stated.quantile)


def _estimate(spec: ModelSpec) -> Iterator[Contradiction]:
    path, method = ("monitor", "performance", "estimate"), spec.monitor.performance.estimate
    if not isinstance(method, EstimateMethod):
        return
    if not method.suits(spec.task):
        yield Contradiction(path, f"{method} does not estimate {spec.task} models", method.value)
    elif spec.performance_metric.suits(spec.task) and not spec.performance_metric.can_be_estimated:
        must = f"{spec.performance_metric} cannot be estimated without labels; name another metric, or null"
        yield Contradiction(path, must, method.value)


def _concept(spec: ModelSpec) -> Iterator[Contradiction]:
    if spec.monitor.concept_drift.detector == "ddm" and spec.task is Task.REGRESSION:
        must = "must be adwin or page_hinkley: ddm counts wrong answers, and a value is never simply wrong"
        yield Contradiction(("monitor", "concept_drift", "detector"), must, "ddm")


def _slices(spec: ModelSpec) -> Iterator[Contradiction]:
    path, names = ("monitor", "slices", "by"), spec.monitor.slices.by
    for name in names:
        if name not in spec.features:
            yield Contradiction(path, "must name features", name)
    for name in _repeated(names):
        yield Contradiction(path, "must name each feature once", name)


def _groups(spec: ModelSpec) -> Iterator[Contradiction]:
    if "fairness" in spec.monitor.model_fields_set and not spec.protected:
        must = "needs a feature with protected: true, the groups of which are compared"
        yield Contradiction(("monitor", "fairness"), must, "no protected feature")


def _causes(spec: ModelSpec) -> Iterator[Contradiction]:
    path, causes = ("retrain", "on"), spec.retrain.causes
    for name in _repeated(causes):
        yield Contradiction(path, "must name each cause once", name)
    stated = "on" in spec.retrain.model_fields_set
    if stated and "harmful_drift" in causes and spec.monitor.performance.estimate is None:
        must = "harmful_drift is what the estimate expects, and monitor.performance.estimate is null"
        yield Contradiction(path, must, "harmful_drift")
    window, holdout = spec.retrain.window, spec.retrain.holdout
    if window is not None and window <= holdout:
        must = "must be longer than retrain.holdout, or no row is left to train on"
        yield Contradiction(("retrain", "window"), must, format_duration(window))


def _search(spec: ModelSpec) -> Iterator[Contradiction]:
    stated, search = spec.retrain, spec.retrain.search
    for name in _repeated(stated.learners):
        yield Contradiction(("retrain", "learners"), "must name each learner once", name)
    if "own" in stated.learners and stated.own is None:
        must = "must say what it is where learners has own: {factory: package.module:function}"
        yield Contradiction(("retrain", "own"), must, None)
    if search.sampler == "cma_es" and len(search.objectives) > 1:
        must = "must be nsga2, tpe, random or grid where there are several objectives"
        yield Contradiction(("retrain", "search", "sampler"), must, "cma_es")


def _measured(spec: ModelSpec) -> Iterator[Contradiction]:
    stated = spec.optimize.within
    if spec.optimize.served:
        return
    for name in ("memory", "cpu_per_million"):
        if getattr(stated, name) is not None:
            must = "cannot be held where optimize.served is 0: it is measured in a model server"
            yield Contradiction(("optimize", "within", name), must, getattr(stated, name))


def _retention(spec: ModelSpec) -> Iterator[Contradiction]:
    path, kept = ("data", "retention"), spec.data.retention
    if kept is None:
        return
    judged = spec.monitor.window * spec.monitor.performance.over + spec.data.target.delay
    needs = {
        "the windows that are judged together and the delay of their labels": judged,
        "retrain.holdout": spec.retrain.holdout,
    }
    if spec.retrain.window is not None:
        needs["retrain.window"] = spec.retrain.window
    for what, span in needs.items():
        if kept < span:
            must = f"must be at least {format_duration(span)}, for {what}"
            yield Contradiction(path, must, format_duration(kept))


def _private(spec: ModelSpec) -> Iterator[Contradiction]:
    dropped = {name: feature for name, feature in spec.features.items() if feature.private == "drop"}
    if not dropped:
        return
    if len(dropped) == len(spec.features):
        must = "must leave a feature in the log, or there is nothing to watch"
        yield Contradiction(("features",), must, ", ".join(dropped))
    if spec.retrain.on:
        must = (
            "must be [] where a feature is private: drop: the log does not hold what the model has to learn "
            "from; say private: tokenize, or take it out of the features"
        )
        yield Contradiction(("retrain", "on"), must, ", ".join(dropped))
    for name, feature in dropped.items():
        if feature.protected:
            must = "groups of a dropped feature are not in the log; say private: tokenize"
            yield Contradiction(("features", name, "protected"), must, name)
    for name in set(spec.monitor.slices.by) & set(dropped):
        must = "must name features that the log holds; say private: tokenize of it"
        yield Contradiction(("monitor", "slices", "by"), must, name)


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


_RULES: tuple[Callable[[ModelSpec], Iterator[Contradiction]], ...] = (
    _columns,
    _classes,
    _metric,
    _estimate,
    _concept,
    _slices,
    _groups,
    _causes,
    _search,
    _measured,
    _private,
    _retention,
)
