"""MLServer's custom runtime over ONNX Runtime, as its documentation writes one: codecs in, codecs out."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri

OUTPUTS = ["label", "probabilities"]


class Onnx(MLModel):
    """One session of one thread; each tensor of a request is an input of the graph."""

    async def load(self) -> bool:
        """Open the file that the settings name."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = await get_model_uri(self.settings)
        self.session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score rows."""
        feeds = {}
        for tensor in payload.inputs:
            if tensor.datatype == "BYTES":
                text = StringCodec.decode_input(tensor)
                feeds[tensor.name] = np.array(text, dtype=object).reshape(-1, 1)
            else:
                feeds[tensor.name] = NumpyCodec.decode_input(tensor)
        results = self.session.run(OUTPUTS, feeds)
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                NumpyCodec.encode_output(name, values) for name, values in zip(OUTPUTS, results, strict=True)
            ],
        )
