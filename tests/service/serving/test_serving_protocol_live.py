import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.service

Start = Callable[..., Any]


PLAIN = [
    {"name": "depth", "shape": [1], "datatype": "FP64", "data": [2.5]},
    {"name": "spring", "shape": [1], "datatype": "BOOL", "data": [True]},
    {"name": "port", "shape": [1], "datatype": "BYTES", "data": [None]},
]


def inputs(rows: int = 1, *, binary: bool = False) -> list[InferInput]:
    """The tensors of a request as Triton's client makes them."""
    values = {
        "depth": np.full((rows, 1), 2.5),
        "spring": np.full((rows, 1), True),  # noqa: FBT003 - a value
        "port": np.full((rows, 1), "Brest", dtype=np.object_),
    }
    types = {"depth": "FP64", "spring": "BOOL", "port": "BYTES"}
    tensors = [InferInput(name, list(value.shape), types[name]) for name, value in values.items()]
    for tensor, value in zip(tensors, values.values(), strict=True):
        tensor.set_data_from_numpy(value, binary_data=binary)
    return tensors


def test_tritons_client_is_served(start: Start) -> None:
    """A stock client gets health, metadata, the index and predictions of one and of many rows."""
    server = start()
    client = InferenceServerClient(f"127.0.0.1:{server.port}")
    outputs = [InferRequestedOutput("probabilities", binary_data=False)]

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tides")
    assert client.is_model_ready("tides", "1")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data", "model_repository"]
    assert client.get_model_metadata("tides")["versions"] == ["1"]
    assert client.get_model_repository_index() == [
        {"name": "tides", "version": "1", "state": "READY", "reason": ""}
    ]
    one = client.infer("tides", inputs(), outputs=outputs, request_id="one")
    assert one.get_response()["id"] == "one"
    many = client.infer("tides", inputs(3), model_version="1", outputs=outputs)
    assert many.as_numpy("probabilities").shape == (3, 2)
    np.testing.assert_array_equal(many.as_numpy("probabilities")[0], one.as_numpy("probabilities")[0])
    client.close()


def test_tritons_client_may_send_and_want_bytes(start: Start) -> None:
    """Requests and answers in bytes are those in JSON; a body of thousands of rows too."""
    server = start()
    client = InferenceServerClient(f"127.0.0.1:{server.port}")
    wanted = [InferRequestedOutput("probabilities", binary_data=False)]

    for rows in (1, 3000):
        as_json = client.infer("tides", inputs(rows), outputs=wanted)
        as_bytes = client.infer("tides", inputs(rows, binary=True))
        scores = as_bytes.as_numpy("probabilities")
        assert scores.shape == (rows, 2)
        np.testing.assert_array_equal(scores, as_json.as_numpy("probabilities"))
        np.testing.assert_array_equal(as_bytes.as_numpy("label"), scores.argmax(axis=1))
    with pytest.raises(InferenceServerException, match="inputs: port: must be given"):
        client.infer("tides", inputs(binary=True)[:2])
    client.close()


def test_every_error_has_a_status_and_a_text(start: Start) -> None:
    """Each kind of wrong request gets its HTTP status and an error text that says what is wrong."""
    server = start()
    infer = "/v2/models/tides/infer"
    cases = [
        ("GET", "/nowhere", None, 404, "There is nothing at /nowhere. Known: /v2"),
        ("GET", "/v2/models/tides/versions/1/nowhere", None, 404, "There is nothing at"),
        ("GET", "/v2/models/tide", None, 404, "Did you mean 'tides'?"),
        ("POST", "/v2/models/tide/infer", {}, 404, "Did you mean 'tides'?"),
        ("POST", "/v2/repository/models/tide/load", {}, 404, "Did you mean 'tides'?"),
        ("GET", "/v2/models/tides/versions/9", None, 404, "Loaded: version 1"),
        ("GET", "/v2/models/tides/versions/9/ready", None, 404, "Loaded: version 1"),
        ("POST", "/v2/models/tides/versions/9/infer", {}, 404, "Loaded: version 1"),
        ("GET", infer, None, 405, f"{infer} answers POST, not GET"),
        ("POST", "/v2/health/live", {}, 405, "answers GET, not POST"),
        ("POST", infer, b"{", 400, "body: must be JSON"),
        ("POST", infer, {"inputs": []}, 400, "inputs: depth: must be given"),
        ("POST", infer, b" " * (16 * 2**20 + 1), 413, "must not be larger than 16777216 bytes"),
    ]
    for method, path, body, status, text in cases:
        found, answer = server.call(method, path, body)
        assert (found, list(answer)) == (status, ["error"])
        assert text in answer["error"]


def test_a_chunked_body_is_limited_too(start: Start) -> None:
    """A body without a declared length is cut off at the limit."""
    server = start()
    chunk = b" " * 2**20
    connection = server.connection()
    connection.request("POST", "/v2/models/tides/infer", (chunk for _ in range(17)), encode_chunked=True)

    assert connection.getresponse().status == 413


def test_large_and_small_requests_are_counted_and_logged_alike(start: Start) -> None:
    """A request that is answered in a thread has the same answer, log and metrics as one that is not."""
    server = start()
    rows = 3000
    big = {
        "id": "big",
        "inputs": [
            {"name": "depth", "shape": [rows, 1], "datatype": "FP64", "data": [[2.5]] * rows},
            {"name": "spring", "shape": [rows], "datatype": "BOOL", "data": [True] * rows},
            {"name": "port", "shape": [rows], "datatype": "BYTES", "data": ["Brest"] * rows},
        ],
    }
    status, many = server.call("POST", "/v2/models/tides/infer", big)
    _, one = server.infer("small")

    assert status == 200
    assert many["outputs"][1]["data"][:2] == one["outputs"][1]["data"]
    series = 'trimtab_predictions_total{model="tides",outcome="ok",shadow="false",slot="blue",version="1"}'
    assert server.metric(series) == 2
    at = 'model="tides",shadow="false",slot="blue",version="1"'
    assert server.metric(f"trimtab_prediction_rows_total{{{at}}}") == rows + 1
    assert server.metric(f"trimtab_prediction_queue_seconds_count{{{at}}}") == 2
    received = f'trimtab_prediction_bytes_total{{direction="received",{at}}}'
    assert server.metric(received) > len(json.dumps(big).replace(" ", ""))
    assert server.metric('trimtab_requests_in_flight{model="tides",slot="blue"}') == 0
    deadline = time.monotonic() + 10
    while not server.metric('trimtab_event_loop_lag_seconds_count{model="tides",slot="blue"}'):
        assert time.monotonic() < deadline, "the loop's lag was never told"
    assert server.stop() == 0
    assert len(server.rows()) == rows + 1
    assert len({row["row_id"] for row in server.rows()}) == rows + 1


def test_the_mirror_is_counted_and_logged_as_shadow(start: Start) -> None:
    """Requests whose host ends with -shadow are marked; copies without an id share Envoy's request id."""
    server = start()
    server.infer("a")
    server.infer("a", host="tides.example-shadow")
    server.infer("b", host="tides.example-shadow:8080")
    unnamed = {"inputs": PLAIN}
    for host in ("tides.example", "tides.example-shadow"):
        server.call("POST", "/v2/models/tides/infer", unnamed, {"host": host, "x-request-id": "from-envoy"})

    count = 'trimtab_predictions_total{model="tides",outcome="ok",shadow="%s",slot="blue",version="1"}'
    assert (server.metric(count % "false"), server.metric(count % "true")) == (2, 3)
    assert server.stop() == 0
    assert sorted((row["prediction_id"], row["shadow"]) for row in server.rows()) == [
        ("a", False),
        ("a", True),
        ("b", True),
        ("from-envoy", False),
        ("from-envoy", True),
    ]


def test_metrics_tell_outcomes_apart(start: Start) -> None:
    """Client errors and answers have series of their own; the loaded version and its load are exported."""
    server = start()
    server.infer("a")
    server.call("POST", "/v2/models/tides/infer", {})

    count = 'trimtab_predictions_total{model="tides",outcome="%s",shadow="false",slot="blue",version="1"}'
    assert [server.metric(count % outcome) for outcome in ("ok", "client_error", "error")] == [1, 1, 0]
    labels = '{model="tides",slot="blue",version="1"}'
    assert server.metric(f"trimtab_slot_info{labels}") == 1
    assert server.metric(f"trimtab_model_size_bytes{labels}") > 100
    assert server.metric(f"trimtab_model_load_seconds{labels}") > 0
    duration = (
        'trimtab_prediction_duration_seconds_count{model="tides",shadow="false",slot="blue",version="1"}'
    )
    assert server.metric(duration) == 1
    assert server.metric("process_cpu_seconds_total") > 0


def test_an_empty_slot_lives_and_is_not_ready(start: Start) -> None:
    """A new green slot is live, not ready, and says so to whoever asks it for a prediction."""
    server = start("green", loaded=None)

    assert server.call("GET", "/v2/health/live") == (200, {"live": True, "ready": False})
    status, body = server.call("GET", "/v2/health/ready")
    assert (status, body["live"], body["ready"]) == (503, True, False)
    assert server.call("GET", "/v2/models/tides/ready")[0] == 503
    status, body = server.infer("a")
    assert (status, body) == (503, {"error": "tides is not ready in slot green: no version is loaded"})
    assert server.call("GET", "/v2/models/tides")[1]["versions"] == []
    unready = (
        'trimtab_predictions_total{model="tides",outcome="error",shadow="false",slot="green",version="none"}'
    )
    assert server.metric(unready) == 1
