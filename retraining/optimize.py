"""Make the candidates small and fast, measure each variant, and choose within the budget."""

from __future__ import annotations

from pathlib import Path

import onnx
import pandas as pd

from retraining import latency, learners
from retraining.dataset import rows
from retraining.graphs import trees
from retraining.graphs.scorer import Scorer
from retraining.metrics import objective
from retraining.records import Candidate, Choice, Search, Variant
from retraining.workspace import Workspace
from spec import ModelSpec, Refused, Settings

_SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PRUNED = "pruned"
_NOT_BEST = "another variant within the budget has the lower loss"


def optimize(spec: ModelSpec, settings: Settings, run: str) -> Choice:
    """Prune, measure and choose; doing it again for the same run replaces the choice.

    `prune_trees` keeps the first trees: as few as keep the loss on the validation rows within
    ``within.quality_drop`` of the same model's best. The curve is drawn with the proxy, which has not
    seen those rows, and the number of trees then holds for the model of all rows. Of the variants within
    the whole budget the one with the lowest loss is chosen; a pruned variant stands in for its model.

    Raises
    ------
    NotFound
        The search has not run.
    Refused
        No variant keeps the budget; with the reasons of each.
    """
    work = Workspace(settings, run)
    found = work.load(Search)
    validation = pd.read_parquet(work.path(found.validation))
    measure = _Measure(spec, work, validation)
    variants = [variant for candidate in found.candidates for variant in measure.variants(candidate)]
    judged = _judge(spec, variants)
    chosen = next((variant for variant in judged if variant.chosen), None)
    if chosen is None:
        listed = "\n".join(f"{_name(variant)}: {'; '.join(variant.reasons)}" for variant in judged)
        msg = f"No variant of {spec.model!r} keeps optimize.within:\n{listed}"
        raise Refused(msg)
    record = Choice(chosen=chosen, variants=tuple(judged))
    work.save(record)
    return record


class _Measure:
    """Loss, size and latency of the variants of candidates."""

    def __init__(self, spec: ModelSpec, work: Workspace, validation: pd.DataFrame) -> None:
        self._spec = spec
        self._work = work
        self._inputs = rows.inputs(spec, validation)
        self._truth = rows.target(spec, validation)

    def variants(self, candidate: Candidate) -> list[Variant]:
        """Return the candidate as it is, and pruned if there is something to prune."""
        proxy, model = (onnx.load(self._work.path(name)) for name in (candidate.proxy, candidate.onnx))
        total = trees.rounds(model)
        plain = self._loss(proxy)
        found = [self._variant(candidate, (), total, candidate.onnx, plain)]
        if "prune_trees" in self._spec.optimize.passes and total is not None and total > 1:
            keep, loss = self._fewest(candidate, proxy, plain)
            if keep < total:
                averages = learners.averages(candidate.learner)
                pruned = trees.truncate(model, keep, averages=averages).SerializeToString()
                name = str(Path(candidate.onnx).with_name(f"{PRUNED}.onnx"))
                self._work.put(name, pruned)
                found.append(self._variant(candidate, ("prune_trees",), keep, name, loss))
        return found

    def _fewest(self, candidate: Candidate, proxy: onnx.ModelProto, plain: float) -> tuple[int, float]:
        """Return the smallest number of trees whose loss is within the budget, and the loss."""
        total = trees.rounds(proxy) or 1
        averages = learners.averages(candidate.learner)
        counts = sorted({max(1, round(total * share)) for share in _SHARES})
        curve = {keep: self._loss(trees.truncate(proxy, keep, averages=averages)) for keep in counts}
        curve[total] = plain
        allowed = min(curve.values()) * (1 + self._spec.optimize.within.quality_drop)
        return next((keep, loss) for keep, loss in sorted(curve.items()) if loss <= allowed)

    def _loss(self, model: onnx.ModelProto) -> float:
        scorer = Scorer(self._spec.task, model.SerializeToString())
        return objective(self._spec.task, self._truth, scorer.predict(self._inputs))

    def _variant(
        self, candidate: Candidate, passes: tuple[str, ...], trees: int | None, name: str, loss: float
    ) -> Variant:
        path = self._work.path(name)
        p50, p99 = latency.one_row(Scorer(self._spec.task, path), self._inputs)
        return Variant(
            learner=candidate.learner,
            passes=passes,
            trees=trees,
            onnx=name,
            loss=loss,
            size=path.stat().st_size,
            latency_p50=p50,
            latency_p99=p99,
        )


def _judge(spec: ModelSpec, variants: list[Variant]) -> list[Variant]:
    best = min(variant.loss for variant in variants)
    reasons = [_over_budget(spec, variant, best) for variant in variants]
    replaced = {
        variant.learner
        for variant, over in zip(variants, reasons, strict=True)
        if variant.passes and not over
    }
    for variant, over in zip(variants, reasons, strict=True):
        if not variant.passes and variant.learner in replaced:
            over.append("its pruned variant is within the budget and smaller")
    kept = [variant for variant, over in zip(variants, reasons, strict=True) if not over]
    chosen = min(kept, key=lambda variant: (variant.loss, variant.size)) if kept else None
    return [
        variant.model_copy(update={"chosen": variant is chosen, "reasons": _reasons(over, variant is chosen)})
        for variant, over in zip(variants, reasons, strict=True)
    ]


def _reasons(over: list[str], chosen: bool) -> tuple[str, ...]:  # noqa: FBT001 - private, named by its caller
    return () if chosen else tuple(over or [_NOT_BEST])


def _over_budget(spec: ModelSpec, variant: Variant, best: float) -> list[str]:
    within = spec.optimize.within
    over = []
    if variant.loss > best * (1 + within.quality_drop):
        drop = variant.loss / best - 1
        over.append(
            f"loss {variant.loss:.5f} is {drop:.2%} above the best; quality_drop is {within.quality_drop:.2%}"
        )
    if within.latency_p99 is not None and variant.latency_p99 > within.latency_p99.total_seconds():
        limit = within.latency_p99.total_seconds()
        over.append(f"p99 of one row {variant.latency_p99 * 1e3:.3f} ms > {limit * 1e3:g} ms")
    if within.size is not None and variant.size > within.size:
        over.append(f"size {variant.size:,} B > {within.size:,} B")
    return over


def _name(variant: Variant) -> str:
    trees = "" if variant.trees is None else f", {variant.trees} trees"
    return f"{variant.learner.value} ({' + '.join(variant.passes) or 'as trained'}{trees})"
