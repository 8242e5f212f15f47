"""Fit a model again on the rows that it was fitted on, with fewer features or other parameters."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from retraining import learners
from retraining.fitted import Fitted, Rows
from retraining.graphs import usage
from retraining.graphs.export import to_onnx
from retraining.graphs.parity import check
from retraining.passes.optimization_pass import NotApplicable
from retraining.records import Params
from spec import ModelSpec

_KEPT = frozenset({"select_features", "prune_cost_complexity"})
"""Passes whose work a further fit keeps: it is in the parameters, or in what the graph looks at."""


def require(model: Fitted) -> None:
    """Raise `NotApplicable` where fitting again would undo an earlier pass."""
    if model.continues is not None:
        msg = f"fitting again would lose what version {model.continues} knew"
        raise NotApplicable(msg)
    lost = [name for name in model.passes if name not in _KEPT]
    if lost:
        msg = f"fitting again would undo {', '.join(lost)}"
        raise NotApplicable(msg)


def refit(
    spec: ModelSpec,
    model: Fitted,
    fit: Rows,
    *,
    by: str,
    without: Collection[str] = (),
    params: Params | None = None,
) -> Fitted:
    """Return the model as it is when fitted again; its graph still declares every feature.

    Parameters
    ----------
    by
        The pass that asks.
    without
        Features that it may no longer look at, beside those that it does not look at now.
    params
        What is different from the model's parameters.

    Raises
    ------
    NotFaithful
        The new graph is not the new pipeline.
    """
    require(model)
    changed = model.params | (params or {})
    seen = set(usage.used(model.graph)) - set(without)
    features = {name: feature for name, feature in spec.features.items() if name in seen}
    narrow = spec.model_copy(update={"features": features})
    pipeline = learners.fit(narrow, model.learner, changed, fit)
    graph = to_onnx(spec, pipeline)
    check(spec, pipeline, graph.SerializeToString(), fit.inputs, spec.retrain.search.seed)
    return replace(model, params=changed, graph=graph, passes=(*model.passes, by))
