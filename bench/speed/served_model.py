"""What the servers of the bench have in common: one ONNX file, and the rows that are asked.

The file is what a retrain of models/flights.yaml exports: LightGBM by its default parameters behind the
encoding of 3 categories and 14 numbers, fitted on 40,000 flights of New York in 2013, not pruned.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
from numpy.typing import NDArray

from spec import ModelSpec, load
from spec.retrain import Learner

MODELS = Path(__file__).parents[2] / "models"
OUTPUTS = ["label", "probabilities"]
_FITTED, _ASKED = 40_000, 4096


@dataclass(frozen=True)
class Served:
    """A model, and rows [n] without nulls, float32 or strings, that it never saw."""

    spec: ModelSpec
    file: Path
    asked: pd.DataFrame

    def session(self) -> ort.InferenceSession:
        """Open the file as the servers do, on one thread."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return ort.InferenceSession(str(self.file), options, providers=["CPUExecutionProvider"])

    def feeds(self, asked: pd.DataFrame) -> dict[str, NDArray[Any]]:
        """Return the graph's inputs, each [n, 1]."""
        return {name: asked[name].to_numpy().reshape(-1, 1) for name in self.spec.features}

    def truth(self) -> NDArray[np.float32]:
        """Return what the model says of the rows [n, 2], by ONNX Runtime alone."""
        scores: NDArray[np.float32] = self.session().run(OUTPUTS, self.feeds(self.asked))[1]
        return scores


def make(folder: Path) -> Served:
    """Fit and export the model into a folder."""
    from retraining import learners  # noqa: PLC0415 - seconds, which who reads only figures need not wait
    from retraining.dataset import rows  # noqa: PLC0415 - as above
    from retraining.graphs.export import to_onnx  # noqa: PLC0415 - as above
    from trimtab.demo import flights  # noqa: PLC0415 - as above

    spec, file = load(MODELS / "flights.yaml"), folder / "flights.onnx"
    known = flights.load_flights().dropna()
    drawn = known.sample(_FITTED + _ASKED, random_state=0)
    fitted, asked = drawn.iloc[:_FITTED], rows.inputs(spec, drawn.iloc[_FITTED:])
    pipeline = learners.build(spec, Learner.LIGHTGBM, learners.defaults(Learner.LIGHTGBM))
    pipeline.fit(rows.inputs(spec, fitted), rows.target(spec, fitted))
    file.write_bytes(to_onnx(spec, pipeline).SerializeToString())
    return Served(spec, file, asked.reset_index(drop=True))
