"""Store the weights of dense layers in 16 bits: half the size; arithmetic, inputs, outputs stay float32."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from retraining.fitted import Fitted, Rows
from retraining.graphs import weights
from retraining.passes.optimization_pass import NotApplicable, Plan, Trial
from spec import ModelSpec

_LARGEST = float(np.finfo(np.float16).max)
_FEWEST = 64  # a cast takes more bytes than fewer weights save


class Half:
    """Round float32 constants to float16, and widen them again where the graph is loaded.

    Processors have no 16-bit multiplication that ONNX Runtime uses for float16, so the answers come no
    faster; the file is half as long.
    """

    name = "half"

    def plan(self, trial: Trial) -> Plan:
        """Return ``{}``: there is nothing to decide but whether the loss allows it."""
        judged = trial.judged(self.apply(trial.spec, trial.model, trial.fit, {}))
        if not judged.kept:
            msg = f"weights in 16 bits cost too much: {judged.told}"
            raise NotApplicable(msg)
        return {}

    def apply(self, spec: ModelSpec, model: Fitted, fit: Rows, plan: Plan) -> Fitted:  # noqa: ARG002 - the contract
        """Store every constant of 64 weights or more in 16 bits."""
        if not weights.layers(model.graph):
            msg = "the graph holds no dense layer, and a tree's thresholds must stay as they are"
            raise NotApplicable(msg)
        graph = onnx.ModelProto()
        graph.CopyFrom(model.graph)
        large = [item for item in weights.floats(graph) if np.prod(item.dims, dtype="int64") >= _FEWEST]
        if not large:
            msg = f"no layer has {_FEWEST} weights"
            raise NotApplicable(msg)
        for constant in large:
            _narrow(graph, constant)
        onnx.checker.check_model(graph)
        return model.changed(self.name, graph)


def _narrow(graph: onnx.ModelProto, constant: TensorProto) -> None:
    """Replace a constant by its float16 and a cast that gives it back under its name."""
    values, name = numpy_helper.to_array(constant), constant.name
    if np.abs(values).max() > _LARGEST:
        msg = f"weights of {name} are beyond {_LARGEST:g}, the largest number of 16 bits"
        raise NotApplicable(msg)
    constant.CopyFrom(numpy_helper.from_array(values.astype("float16"), f"{name}_half"))
    widen = helper.make_node("Cast", [f"{name}_half"], [name], name=f"{name}_widen", to=TensorProto.FLOAT)
    graph.graph.node.insert(0, widen)
