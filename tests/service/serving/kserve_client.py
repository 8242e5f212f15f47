"""Ask a model server of the tides by KServe's own client; run by an interpreter that has `kserve`.

Argument: the server's URL. Writes what the client understood as JSON.
"""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig


def tensors(*, binary: bool) -> list[InferInput]:
    """Two rows."""
    values = {
        "depth": ("FP64", np.array([[2.5], [3.5]])),
        "spring": ("BOOL", np.array([[True], [False]])),
        "port": ("BYTES", np.array([["Brest"], ["Cuxhaven"]], dtype=np.object_)),
    }
    inputs = []
    for name, (datatype, value) in values.items():
        inputs.append(InferInput(name, list(value.shape), datatype))
        inputs[-1].set_data_from_numpy(value, binary_data=binary)
    return inputs


async def ask(url: str) -> dict[str, object]:
    """Ask for everything that the client can ask of the protocol's second version."""
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    answers = []
    for binary in (False, True):
        parameters = {"binary_data_output": True} if binary else {}
        request = InferRequest("tides", tensors(binary=binary), f"binary-{binary}", parameters=parameters)
        answer = await client.infer(url, request, model_name="tides")
        scores = next(output for output in answer.outputs if output.name == "probabilities").as_numpy()
        answers.append({"id": answer.id, "scores": scores.tolist()})
    try:
        await client.infer(url, {"inputs": []}, model_name="tides")
        error = ""
    except Exception as caught:  # noqa: BLE001 - whatever the client makes of our error is the answer
        error = str(caught)
    return {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, "tides"),
        "answers": answers,
        "error": error,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(ask(sys.argv[1]))))
