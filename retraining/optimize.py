"""Make the candidates small and fast, measure each variant, and choose within the budget."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from time import monotonic
from typing import Any

import numpy as np
import onnx

from retraining import latency
from retraining.dataset import windows
from retraining.dataset.cut import cut
from retraining.dataset.labelled import Rows
from retraining.dataset.rows import FloatArray
from retraining.dataset.stored import TRAIN, kept, load_rows
from retraining.fitted import Fitted
from retraining.graphs import trees
from retraining.graphs.scorer import Scorer
from retraining.measurement import served
from retraining.metrics import objective, row_losses
from retraining.passes import named
from retraining.passes.optimization_pass import Trial
from retraining.passes.tolerance import Tolerance
from retraining.records import Candidate, Choice, Refusal, Search, Snapshot, Variant
from retraining.variants import chart
from retraining.variants.cache import Cache
from retraining.variants.chains import Chains, Link, Origin, Stopped
from retraining.variants.choice import Verdict, decide
from retraining.workspace import Workspace
from spec import ModelSpec, Refused, Settings

_UNSERVED = dict.fromkeys(field.name for field in fields(served.Served))


def optimize(spec: ModelSpec, settings: Settings, run: str) -> Choice:
    """Search chains of passes, measure and choose; doing it again for the same run replaces the choice.

    Chains are planned and measured with the proxy of each candidate, which has not seen the validation rows.
    The chosen one is then carried out on the model of all rows, measured again, and served by a process of
    the model server, which is measured too; where that fails, or breaks the budget, the next best takes its
    place. What a pass did is kept: a second try does not do it again.

    Raises
    ------
    NotFound
        The search has not run.
    Refused
        No variant keeps the budget; with the reasons of each.
    Unavailable
        A model server was not ready in time.
    """
    work = Workspace(settings, run)
    bench = _Bench.of(spec, work)
    measured, refused = bench.search()
    verdict = bench.choose(measured)
    if verdict.chosen is None:
        listed = "\n".join(f"{variant.name}: {'; '.join(variant.reasons)}" for variant in verdict.variants)
        msg = f"No variant of {spec.model!r} keeps optimize.within:\n{listed}"
        raise Refused(msg)
    record = Choice(
        chosen=verdict.variants[verdict.chosen],
        variants=verdict.variants,
        why=verdict.why,
        refused=tuple(refused),
    )
    work.save(record)
    work.put(chart.PICTURE, chart.picture(spec, record))
    work.put(chart.PAGE, chart.page(spec, record).encode())
    return record


@dataclass(frozen=True, slots=True)
class _Measured:
    """A variant with what it takes to carry it out, and its losses [n] on the validation rows."""

    variant: Variant
    candidate: Candidate
    losses: FloatArray


@dataclass(frozen=True, slots=True)
class _Bench:
    """The rows that decide, and the candidates."""

    spec: ModelSpec
    work: Workspace
    found: Search
    older: dict[str, Rows]
    """What a proxy of each training window was fitted on."""
    every: dict[str, Rows]
    """What a model of each training window was fitted on."""
    validation: Rows
    cache: Cache

    @classmethod
    def of(cls, spec: ModelSpec, work: Workspace) -> _Bench:
        found, taken = work.load(Search), work.load(Snapshot)
        train = kept(spec, work, load_rows(work, TRAIN))
        split = cut(spec, train, taken)
        usable = windows.usable(spec, taken)
        older, every = (
            {
                name: windows.learnt(spec, usable[name], part, taken)
                for name in {candidate.window for candidate in found.candidates}
            }
            for part in (split.fit, train)
        )
        about = spec.model_dump_json(include={"model", "task", "data", "features", "retrain"})
        cache = Cache(work, f"{taken.sha256} {about}")
        return cls(spec, work, found, older, every, Rows.of(spec, split.validation), cache)

    def search(self) -> tuple[list[_Measured], list[Refusal]]:
        """Measure every candidate as it is, and what chains of passes make of it; the best one first."""
        wanted = self.spec.optimize
        plain = [(candidate, self._root(candidate)) for candidate in self.found.candidates]
        plain.sort(key=lambda item: item[1].loss)
        measured = [self._measured(candidate, root) for candidate, root in plain]
        best = measured[0]
        allowed = best.variant.loss * (1 + wanted.within.quality_drop)
        tolerance = Tolerance.of(self.spec, best.losses, self.validation.days, len(plain))
        origins = [
            Origin(
                Trial(self.spec, root.model, self.older[each.window], self.validation, allowed, tolerance),
                root,
            )
            for each, root in plain
        ]
        chains = Chains(origins, self.cache, wanted.passes, monotonic)
        refused = []
        until = monotonic() + wanted.time.total_seconds()
        for index, step in chains.grow(wanted.max_variants - len(plain), until):
            candidate, _ = plain[index]
            if isinstance(step, Stopped):
                refused.append(_refusal(candidate, step))
            else:
                measured.append(self._measured(candidate, step))
        return measured, refused

    def choose(self, measured: list[_Measured]) -> Verdict:
        """Choose; what is chosen is carried out on the model of all rows, and served, before that stands.

        Where either fails, or a limit is broken then, the next best takes its place. What is left of
        ``optimize.served`` goes to the front, which the chosen one is seen beside then.
        """
        left = self.spec.optimize.served
        while True:
            verdict = self._decided(measured, waiting=True)
            if not left and _is_unserved(verdict):
                verdict = self._decided(measured, waiting=False)
            chosen = verdict.chosen
            if chosen is None:
                return verdict
            if not verdict.variants[chosen].all_rows:
                measured[chosen] = self._carried_out(measured[chosen])
                continue
            following = _to_serve(verdict)
            if not left or following is None:
                return verdict
            measured[following] = self._served(measured[following])
            left -= 1

    def _decided(self, measured: list[_Measured], *, waiting: bool) -> Verdict:
        variants = [item.variant for item in measured]
        losses = np.stack([item.losses for item in measured])
        return decide(self.spec, variants, losses, self.validation.days, waiting=waiting)

    def _served(self, measured: _Measured) -> _Measured:
        """Return a variant with what the model server takes; with its reason where it cannot be served."""
        variant = measured.variant
        try:
            found = served.measure(self.spec, self.work.path(variant.onnx), self.validation.inputs)
        except Refused as error:
            reason = f"it cannot be served: {error}"
            return replace(measured, variant=variant.model_copy(update={"reasons": (reason,)}))
        return replace(measured, variant=variant.model_copy(update=asdict(found)))

    def _carried_out(self, measured: _Measured) -> _Measured:
        """Return a variant of the model of all rows; with its reason where it cannot be made."""
        variant, candidate = measured.variant, measured.candidate
        model, file = _fitted(candidate, onnx.load(self.work.path(candidate.onnx))), candidate.onnx
        try:
            for name, plan in zip(variant.passes, variant.plans, strict=True):
                model, file = self._applied(model, self.every[candidate.window], name, plan)
        except Refused as error:
            reason = f"it cannot be carried out on the model of all rows: {error}"
            return replace(measured, variant=variant.model_copy(update={"reasons": (reason,)}))
        told = {"onnx": file, "all_rows": True} | _UNSERVED | self._cost(model.graph, file)
        return replace(measured, variant=variant.model_copy(update=told))

    def _applied(self, model: Fitted, fit: Rows, name: str, plan: dict[str, Any]) -> tuple[Fitted, str]:
        def run() -> tuple[dict[str, Any], Fitted]:
            return plan, named(name).apply(self.spec, model, fit, plan)

        told = f"{len(fit)} rows {json.dumps(plan, sort_keys=True)}"
        _, made, file = self.cache.outcome(model, name, told, run)
        return made, file

    def _root(self, candidate: Candidate) -> Link:
        model = _fitted(candidate, onnx.load(self.work.path(candidate.proxy)))
        scores = model.scores(self.spec, self.validation.inputs)
        loss = objective(self.spec.task, self.validation.truth, scores)
        return Link(model, candidate.proxy, (), loss)

    def _measured(self, candidate: Candidate, link: Link) -> _Measured:
        """Measure; the candidate itself on its model of all rows, which is there already."""
        file = link.file if link.model.passes else candidate.onnx
        graph = link.model.graph if link.model.passes else onnx.load(self.work.path(file))
        scores = link.model.scores(self.spec, self.validation.inputs)
        variant = Variant(
            learner=candidate.learner,
            candidate=candidate.onnx,
            passes=link.model.passes,
            plans=link.plans,
            onnx=file,
            proxy=link.file,
            all_rows=not link.model.passes,
            loss=link.loss,
            **self._cost(graph, file),
        )
        return _Measured(variant, candidate, row_losses(self.spec.task, self.validation.truth, scores))

    def _cost(self, graph: onnx.ModelProto, file: str) -> dict[str, Any]:
        path = self.work.path(file)
        p50, p99 = latency.one_row(Scorer(self.spec.task, path), self.validation.inputs)
        return {
            "trees": trees.rounds(graph),
            "size": path.stat().st_size,
            "latency_p50": p50,
            "latency_p99": p99,
        }


def _is_unserved(verdict: Verdict) -> bool:
    return verdict.chosen is None or verdict.variants[verdict.chosen].memory is None


def _to_serve(verdict: Verdict) -> int | None:
    """Return what is to be served next: the chosen one, then the front, the lowest loss first."""
    if _is_unserved(verdict):
        return verdict.chosen
    return min(
        (
            index
            for index, variant in enumerate(verdict.variants)
            if variant.pareto and not variant.rejected and variant.memory is None
        ),
        key=lambda index: verdict.variants[index].loss,
        default=None,
    )


def _fitted(candidate: Candidate, graph: onnx.ModelProto) -> Fitted:
    return Fitted(candidate.learner, candidate.params, graph, continues=candidate.continues)


def _refusal(candidate: Candidate, step: Stopped) -> Refusal:
    return Refusal(
        learner=candidate.learner,
        candidate=candidate.onnx,
        passes=step.passes,
        by=step.by,
        reason=step.reason,
    )
