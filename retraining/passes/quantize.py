"""Store and compute dense layers in 8-bit integers, but for those whose rounding costs too much.

Both kinds are tried: `dynamic` finds the activations' scale in each call, `static` fixes it on rows that the
model was fitted on. Layers are ranked by the loss that each alone costs; the most harmful stay in float until
the loss is within the budget.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import onnx

from retraining.fitted import Fitted, Rows
from retraining.graphs import int8, weights
from retraining.passes.optimization_pass import Judged, NotApplicable, Plan, Trial
from spec import ModelSpec

_MODES = ("dynamic", "static")
_SAME = 1e-3  # a relative difference of losses below this is none


class Quantize:
    """Quantize to int8 after training."""

    name = "quantize"

    def plan(self, trial: Trial) -> Plan:
        """Return ``{"mode": "dynamic" | "static", "float": [names of the layers left in float]}``.

        Of two kinds that keep the budget the one with the lower loss is taken; of two with the same loss
        (to a part in a thousand) the smaller.
        """
        layers = weights.layers(trial.model.graph)
        if not layers:
            msg = "the graph holds no dense layer, and trees are not computed with weights"
            raise NotApplicable(msg)
        found = [option for mode in _MODES for option in _fewest_floats(trial, mode, layers)]
        if not found:
            whole = _quantized(trial.model, trial.fit, _MODES[0], layers)
            told = trial.judged(trial.model.changed(self.name, whole), len(_MODES) * len(layers)).told
            msg = f"no layer in int8 keeps the budget; all of them: {told}"
            raise NotApplicable(msg)
        lowest = min(loss for _, loss, _ in found)
        plan, _, _ = min(
            (item for item in found if item[1] <= lowest * (1 + _SAME)), key=lambda item: item[2]
        )
        return plan

    def apply(self, spec: ModelSpec, model: Fitted, fit: Rows, plan: Plan) -> Fitted:  # noqa: ARG002 - the contract
        """Quantize all layers but the plan's."""
        layers = weights.layers(model.graph)
        unknown = sorted(set(plan["float"]) - set(layers))
        if unknown:
            msg = f"the graph has no layers {', '.join(unknown)}, which are to stay in float"
            raise NotApplicable(msg)
        return model.changed(
            self.name, _quantized(model, fit, plan["mode"], set(layers) - set(plan["float"]))
        )


def _fewest_floats(trial: Trial, mode: str, layers: tuple[str, ...]) -> Iterator[tuple[Plan, float, int]]:
    """Yield the plan of a mode that leaves the fewest layers in float, its loss and size; nothing if none."""

    def tried(quantized: Collection[str]) -> tuple[onnx.ModelProto, Judged]:
        graph = _quantized(trial.model, trial.fit, mode, quantized)
        looks = len(_MODES) * len(layers)
        return graph, trial.judged(trial.model.changed(Quantize.name, graph), looks)

    in_float: list[str] = []
    harmful: list[str] | None = None
    while len(in_float) < len(layers):
        graph, judged = tried([name for name in layers if name not in in_float])
        if judged.kept:
            yield {"mode": mode, "float": sorted(in_float)}, judged.loss, graph.ByteSize()
            return
        if harmful is None:
            alone = {name: tried([name])[1].loss for name in layers}
            harmful = sorted(layers, key=alone.__getitem__, reverse=True)
        in_float.append(harmful[len(in_float)])


def _quantized(model: Fitted, fit: Rows, mode: str, layers: Collection[str]) -> onnx.ModelProto:
    names = sorted(layers)
    if mode == "dynamic":
        return int8.dynamic(model.graph, names)
    return int8.static(model.graph, names, fit.inputs)
