"""The messages of gRPC: as protoc makes them, as another speaker of the protocol has them, and as answers."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc
from tritonclient.grpc import service_pb2

from serving import binary
from serving.grpc import requests, tensors
from serving.grpc.messages import SERVICE, message_class
from serving.http import Response, json_response

ROOM = Path(str(files("serving.grpc")))
TRITONS = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
LABELS = {"name": "label", "shape": [2], "datatype": "BYTES"}
ANSWER = {"model_name": "species", "model_version": "3", "id": "a"}


def fields(message: Any) -> set[tuple[Any, ...]]:
    """What stands on the wire of a message: its fields, and theirs."""
    return {
        (field.name, field.number, field.type, field.is_repeated, frozenset(fields(field.message_type)))
        if field.message_type
        else (field.name, field.number, field.type, field.is_repeated)
        for field in message.fields
    }


def test_the_descriptors_are_made_of_the_proto_file(tmp_path: Path) -> None:
    """What is shipped is what protoc makes of the file."""
    made = tmp_path / "made.binpb"
    command = ["protoc", f"-I{ROOM}", f"--descriptor_set_out={made}", "open_inference.proto"]

    assert protoc.main(command) == 0
    shipped = (ROOM / "open_inference.binpb").read_bytes()
    assert FileDescriptorSet.FromString(made.read_bytes()) == FileDescriptorSet.FromString(shipped)


@pytest.mark.parametrize("method", list(SERVICE.methods), ids=lambda method: method.name)
def test_each_method_is_tritons_and_is_answered(method: Any) -> None:
    """Name, request and answer are those of Triton's client, so each reads what the other writes."""
    theirs = TRITONS.methods_by_name[method.name]

    assert method.full_name == theirs.full_name
    assert fields(method.input_type) == fields(theirs.input_type)
    assert fields(method.output_type) == fields(theirs.output_type)
    assert requests.rest(method.name, message_class(method.input_type)()).path.startswith("/v2")


def test_strings_are_answered_in_their_field() -> None:
    """Labels that are strings are UTF-8 in the typed contents."""
    outputs = [LABELS | {"data": ["Bär", ""]}]
    (tensor,) = tensors.answer_of(json_response(ANSWER | {"outputs": outputs})).outputs

    assert (tensor.datatype, list(tensor.shape)) == ("BYTES", [2])
    assert list(tensor.contents.bytes_contents) == ["Bär".encode(), b""]


def test_outputs_in_bytes_are_cut_apart() -> None:
    """Each output gets its own bytes of those behind the JSON, in order."""
    raw = [binary.packed("BYTES", ["Bär", ""]), binary.packed("FP32", [0.5, 0.5])]
    scores = {"name": "probabilities", "shape": [1, 2], "datatype": "FP32"}
    outputs = [
        one | {"parameters": {"binary_data_size": len(data)}}
        for one, data in zip((LABELS, scores), raw, strict=True)
    ]
    text = json_response(ANSWER | {"outputs": outputs}).body
    headers = ((binary.HEADER, str(len(text)).encode()),)
    answer = tensors.answer_of(Response(200, b"".join((text, *raw)), headers=headers))

    assert (answer.model_name, answer.model_version, answer.id) == ("species", "3", "a")
    assert list(answer.raw_output_contents) == raw
    assert not any(output.HasField("contents") for output in answer.outputs)
