"""gRPC beside REST on one real server, asked by clients that are not ours: Triton's, and its bare stub."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from grpc import StatusCode
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, service_pb2
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub as Stub
from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.service

Start = Callable[..., Any]
Request = service_pb2.ModelInferRequest
INFER = "/v2/models/tides/infer"
TYPES = {"depth": "FP64", "spring": "BOOL", "port": "BYTES"}
FIELDS = {"INT8": "int", "INT16": "int", "INT32": "int", "UINT8": "uint", "UINT16": "uint", "UINT32": "uint"}
FIELDS |= {name: name.lower() for name in ("INT64", "UINT64", "FP32", "FP64")}
OPTIONS = ("--grpc-port", "0")
COUNT = 'trimtab_predictions_total{{model="tides",outcome="{}",shadow="{}",slot="blue",version="1"}}'


@pytest.fixture
def server(start: Start) -> Any:
    """A model server with gRPC."""
    return start(options=OPTIONS)


@pytest.fixture
def client(server: Any) -> Iterator[InferenceServerClient]:
    """Triton's client of it."""
    with InferenceServerClient(server.grpc_address()) as client:
        yield client


@pytest.fixture
def stub(server: Any) -> Iterator[Stub]:
    """The same service without a client's help."""
    with grpc.insecure_channel(server.grpc_address()) as channel:
        yield Stub(channel)


def rows(count: int = 1, depth: float = 2.5) -> dict[str, np.ndarray]:
    """Features of so many rows."""
    return {
        "depth": np.linspace(depth, -2, count).reshape(-1, 1),
        "spring": np.full((count, 1), True),  # noqa: FBT003 - a value
        "port": np.full((count, 1), "Brest", dtype=np.object_),
    }


def tensors(values: dict[str, np.ndarray]) -> list[InferInput]:
    """The same as Triton's client sends it."""
    found = [InferInput(name, list(value.shape), TYPES[name]) for name, value in values.items()]
    for tensor, value in zip(found, values.values(), strict=True):
        tensor.set_data_from_numpy(value)
    return found


def body(values: dict[str, np.ndarray], **more: Any) -> dict[str, Any]:
    """The same as REST has it."""
    inputs = [
        {"name": name, "shape": list(value.shape), "datatype": TYPES[name], "data": value.ravel().tolist()}
        for name, value in values.items()
    ]
    return {"inputs": inputs, **more}


def typed(identity: str = "", **contents: tuple[str, str, list[Any]]) -> Any:
    """A request of one row with values in typed fields, also of the features that are not named."""
    usual = {
        "depth": ("FP64", "fp64_contents", [2.5]),
        "spring": ("BOOL", "bool_contents", [True]),
        "port": ("BYTES", "bytes_contents", [b"Brest"]),
    }
    request = Request(model_name="tides", id=identity)
    for name, (datatype, field, values) in (usual | contents).items():
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[1])
        getattr(tensor.contents, field).extend(values)
    return request


def many(identity: str, count: int) -> Any:
    """A request of so many rows."""
    request = Request(model_name="tides", id=identity)
    for name, field, value in (("depth", "fp64", 2.5), ("spring", "bool", True), ("port", "bytes", b"Brest")):
        tensor = request.inputs.add(name=name, datatype=TYPES[name], shape=[count])
        getattr(tensor.contents, f"{field}_contents").extend([value] * count)
    return request


def failure(call: Callable[..., Any], *arguments: Any, **options: Any) -> grpc.RpcError:
    """The error that a call ends with."""
    with pytest.raises(grpc.RpcError) as told:
        call(*arguments, **options)
    return told.value


def logged(server: Any) -> dict[str, dict[str, Any]]:
    """Stop a server; give back the rows of its log by their ids."""
    assert server.stop() == 0
    return {row["prediction_id"]: row for row in server.rows()}


def test_tritons_client_is_served(server: Any, client: InferenceServerClient) -> None:
    """A stock client gets health, what REST tells of server and model, the index, and the outputs wanted."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tides", "1")
    about_server = ParseDict(server.call("GET", "/v2")[1], service_pb2.ServerMetadataResponse())
    about_model = ParseDict(server.call("GET", "/v2/models/tides")[1], service_pb2.ModelMetadataResponse())
    assert client.get_server_metadata() == about_server
    assert client.get_model_metadata("tides", "1") == about_model
    index = client.get_model_repository_index(as_json=True)
    assert index == {"models": [{"name": "tides", "version": "1", "state": "READY"}]}
    wanted = [InferRequestedOutput("probabilities")]
    answer = client.infer("tides", tensors(rows()), model_version="1", outputs=wanted, request_id="one")
    response = answer.get_response()
    assert (response.id, response.model_name, response.model_version) == ("one", "tides", "1")
    assert [output.name for output in response.outputs] == ["probabilities"]


def test_answers_and_the_log_are_those_of_rest(server: Any, client: InferenceServerClient) -> None:
    """One row and thousands have the scores, the counts and the rows of the log that REST gives them."""
    for count in (1, 3000):
        by_rest = server.call("POST", INFER, body(rows(count), id=f"rest {count}"))[1]["outputs"]
        by_grpc = client.infer("tides", tensors(rows(count)), request_id=f"grpc {count}")
        np.testing.assert_array_equal(by_grpc.as_numpy("label"), by_rest[0]["data"])
        scores = by_grpc.as_numpy("probabilities")
        np.testing.assert_array_equal(scores, np.float32(by_rest[1]["data"]).reshape(count, 2))
    assert server.metric(COUNT.format("ok", "false")) == 4
    assert server.total('trimtab_prediction_rows_total{model="tides",shadow="false"') == 2 * 3001
    own = ("row_id", "prediction_id", "event_time", "logged_at", "latency_ms")
    by_way: dict[str, dict[str, Any]] = {"rest": {}, "grpc": {}}
    for identity, row in logged(server).items():
        way, _, number = identity.partition(" ")
        by_way[way][number] = {name: value for name, value in row.items() if name not in own}
    assert len(by_way["rest"]) == 3001
    assert by_way["rest"] == by_way["grpc"]


def test_values_may_be_typed(stub: Stub, client: InferenceServerClient) -> None:
    """Each datatype is read from its field and answered in fields, as the same values in bytes are."""
    expected = client.infer("tides", tensors(rows(depth=2)))
    scores = expected.as_numpy("probabilities").ravel().tolist()
    for datatype, field in FIELDS.items():
        answer = stub.ModelInfer(typed(depth=(datatype, f"{field}_contents", [2])))
        assert list(answer.outputs[0].contents.int64_contents) == expected.as_numpy("label").tolist()
        assert list(answer.outputs[1].contents.fp32_contents) == scores
        assert (list(answer.outputs[1].shape), len(answer.raw_output_contents)) == ([1, 2], 0)
    in_bytes = typed(depth=("FP64", "fp64_contents", [2]))
    in_bytes.parameters["binary_data_output"].bool_param = True
    assert stub.ModelInfer(in_bytes).raw_output_contents == expected.get_response().raw_output_contents


def test_ids_times_and_missing_values_are_logged(server: Any, stub: Stub) -> None:
    """Lists come as JSON in a string, NaN is a missing value, and x-request-id stands for an id."""
    two = many("", 2)
    two.parameters["ids"].string_param = '["first", "second"]'
    two.parameters["event_time"].string_param = "2024-02-29T12:00:00Z"
    stub.ModelInfer(two)
    stub.ModelInfer(typed(), metadata=[("x-request-id", "named")])
    missing = failure(stub.ModelInfer, typed(depth=("FP32", "fp32_contents", [np.nan])))

    assert "it may need a value where depth has none" in missing.details()
    found = logged(server)
    assert set(found) == {"first", "second", "named"}
    assert found["second"]["event_time"].isoformat() == "2024-02-29T12:00:00+00:00"


def test_what_is_wrong_with_a_request_is_told(server: Any, stub: Stub) -> None:
    """It is told with REST's words and INVALID_ARGUMENT, and counted as the client's error."""
    both, short, timed, listed = typed(), typed(), typed(), typed()
    both.raw_input_contents.extend([b"\0" * 8, b"\1", b"\5\0\0\0Brest"])
    short.ClearField("inputs")
    short.inputs.extend(
        [Request.InferInputTensor(name=name, datatype=TYPES[name], shape=[1]) for name in TYPES]
    )
    short.raw_input_contents.append(b"\0" * 8)
    timed.parameters["event_time"].string_param = "yesterday"
    listed.parameters["ids"].string_param = "a, b"
    cases = [
        (Request(model_name="tides"), "inputs: depth: must be given"),
        (typed(depth=("FP16", "fp32_contents", [1])), "inputs: depth.data: must be a list of values"),
        (
            typed(depth=("FP32", "fp64_contents", [1])),
            "inputs: depth.data: must hold 1 value, as the shape says",
        ),
        (
            typed(depth=("FP32", "fp32_contents", [np.inf])),
            "inputs: depth: must fit a 32-bit float; found inf",
        ),
        (typed(depth=("INT8", "int_contents", [300])), "inputs: depth.data[0]: must fit INT8; found 300"),
        (typed(depth=("FLOAT", "fp32_contents", [1])), "inputs: depth.datatype: must be FP64, FP32, FP16"),
        (typed(port=("BYTES", "bytes_contents", [b"\xff"])), "inputs[2], string 0: must be UTF-8"),
        (both, "inputs[0]: must have data or a binary_data_size; found both"),
        (short, "inputs: spring.data: must be a list of values"),
        (timed, "parameters.event_time: must be an ISO 8601 time"),
        (listed, "parameters.ids: must be a list of 1 different non-empty strings"),
    ]
    for request, text in cases:
        told = failure(stub.ModelInfer, request)
        assert (told.code(), text in told.details()) == (StatusCode.INVALID_ARGUMENT, True), told.details()
    assert server.metric(COUNT.format("client_error", "false")) == len(cases)
    names = many("", 400)
    names.inputs[2].contents.bytes_contents[:] = [b"\xff"] * 400
    del names.inputs[0]
    names.inputs.extend(
        [Request.InferInputTensor(name=f"flod {one} \N{WATER WAVE}" * 9) for one in range(99)]
    )
    assert 500 < len(failure(stub.ModelInfer, names).details()) <= 2000


@pytest.mark.parametrize("call", ["ModelInfer", "ModelReady", "RepositoryModelLoad"])
def test_bytes_that_are_no_message_are_the_callers_error(server: Any, call: str) -> None:
    """They are refused in words, and leave no traceback in the server's log."""
    with grpc.insecure_channel(server.grpc_address()) as channel:
        told = failure(channel.unary_unary(f"/inference.GRPCInferenceService/{call}"), b"\x05r\xfe\xb2")

    assert told.code() == StatusCode.INVALID_ARGUMENT
    assert told.details() == f"the call must hold a message inference.{call}Request; found other bytes"
    assert "Traceback" not in server.log.read_text()


def test_other_errors_have_rests_text_and_a_code(server: Any, stub: Stub) -> None:
    """Unknown models and versions, a missing token and a size beyond the limit are told apart."""
    unknown, unload = service_pb2.ModelReadyRequest(name="tides", version="9"), "unload"
    cases: list[tuple[Callable[..., Any], Any, str, str, StatusCode]] = [
        (stub.ModelInfer, Request(model_name="tide"), "POST", "models/tide/infer", StatusCode.NOT_FOUND),
        (stub.ModelReady, unknown, "GET", "models/tides/versions/9/ready", StatusCode.NOT_FOUND),
        (stub.ModelInfer, Request(), "POST", "models//infer", StatusCode.NOT_FOUND),
        (
            stub.RepositoryModelUnload,
            service_pb2.RepositoryModelUnloadRequest(model_name="tides"),
            "POST",
            f"repository/models/tides/{unload}",
            StatusCode.UNAUTHENTICATED,
        ),
    ]
    for call, request, method, path, code in cases:
        told = failure(call, request)
        assert (told.code(), told.details()) == (code, server.call(method, f"/v2/{path}")[1]["error"])
    large = failure(stub.ModelInfer, Request(model_name="tides", raw_input_contents=[b" " * 2**24]))
    assert (large.code(), "larger" in large.details()) == (StatusCode.RESOURCE_EXHAUSTED, True)
    assert json.dumps(server.call("GET", "/v2/health/ready")[1]) == '{"live": true, "ready": true}'


def test_versions_are_loaded_and_unloaded(server: Any, client: InferenceServerClient) -> None:
    """With the token a version is loaded and unloaded; without one loaded nothing is ready, or answered."""
    token = {"authorization": "Bearer sesame"}
    with pytest.raises(InferenceServerException, match="config: must be 'version' or 'alias'") as told:
        client.load_model("tides", headers=token, files={"file:1/model.onnx": b"\xff"}, config="{}")
    assert told.value.status() == "StatusCode.INVALID_ARGUMENT"
    client.unload_model("tides", headers=token)
    assert not client.is_server_ready()
    assert not client.is_model_ready("tides")
    with pytest.raises(InferenceServerException, match="no version is loaded") as told:
        client.infer("tides", tensors(rows()))
    assert told.value.status() == "StatusCode.UNAVAILABLE"
    assert server.load(version="2")[0] == 200
    assert client.infer("tides", tensors(rows())).get_response().model_version == "2"
