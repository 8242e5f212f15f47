"""The protocol's messages, of the descriptors that protoc makes of `open_inference.proto`.

They are in a pool of their own. Modules that protoc generates put theirs into the one that a whole process
shares, and it takes a name once: two speakers of the protocol, such as this and Triton's client, could not
be imported into one process.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_pool = descriptor_pool.DescriptorPool()
_compiled = files(__package__).joinpath("open_inference.binpb").read_bytes()
for _file in descriptor_pb2.FileDescriptorSet.FromString(_compiled).file:
    _pool.AddSerializedFile(_file.SerializeToString())

SERVICE: Any = _pool.FindServiceByName("inference.GRPCInferenceService")
"""Descriptor of the service."""


def message_class(descriptor: Any) -> Any:
    """Return the class of the messages that a descriptor describes."""
    return message_factory.GetMessageClass(descriptor)


ModelInferResponse: Any = message_class(_pool.FindMessageTypeByName("inference.ModelInferResponse"))
