from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.speed import load, open_loop, served_figures
from bench.speed.load import Closed, Open
from bench.speed.served_figures import BINARY, JSON, Measured
from bench.speed.served_wire import BinaryInference, Inference, Mlflow, Records, Wire
from serving.protocol import Protocol
from serving.values import feeds
from spec import ModelSpec

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FULL = b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n"


@pytest.fixture
def asked() -> pd.DataFrame:
    """Rows of two features."""
    rows = pd.DataFrame({"temp": np.array([39.02, -1.5], dtype="float32"), "origin": ["JFK", "Zürich"]})
    return rows.astype({"origin": object})


@pytest.fixture
def tides() -> ModelSpec:
    """A model of these features."""
    data = {"inference_log": "l", "labels": "b", "id": "i", "time": "t", "target": {"name": "late"}}
    features = {"temp": "numeric", "origin": "categorical"}
    return ModelSpec.model_validate({"model": "m", "task": "binary", "data": data, "features": features})


def serve(answer: Callable[[int], bytes], requests: int) -> int:
    """Answer one connection's requests of two bytes on a thread; return the port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def live() -> None:
        with listening, listening.accept()[0] as connection:
            for number in range(requests):
                assert connection.recv(2) == b"go"
                connection.sendall(answer(number))

    threading.Thread(target=live, daemon=True).start()
    return int(listening.getsockname()[1])


def test_a_stall_is_counted_for_every_request_that_falls_due_meanwhile() -> None:
    """Twenty requests are due within 20 ms; the first answer takes 200, so none took less than 180."""
    pause = threading.Event()

    def answer(number: int) -> bytes:
        if number == 0:
            pause.wait(0.2)
        return OK

    latencies, failed = open_loop.drive(serve(answer, 20), [b"go"], rate=1000, seconds=0.02, connections=1)

    assert (20, 0) == (len(latencies), failed)
    assert min(latencies) >= 180


def test_answers_other_than_200_are_failures() -> None:
    """They have no latency that would flatter the server."""
    port = serve(lambda number: FULL if number % 2 else OK, 6)

    latencies, failed = open_loop.drive(port, [b"go"], rate=500, seconds=0.012, connections=1)

    assert (3, 3) == (len(latencies), failed)


def test_both_clients_read_the_same_requests(tmp_path: Path) -> None:
    """A body may hold any bytes, line ends too."""
    requests = [b"POST / HTTP/1.1\r\n\r\n\n\n7\n", b"", b"\x00\xff\n"]

    assert requests == open_loop.read(load.write(tmp_path / "requests", requests))


@pytest.mark.parametrize("wire", [Inference("/x"), BinaryInference("/x"), Mlflow("/x"), Records("/x")])
def test_a_request_is_whole(wire: Wire, asked: pd.DataFrame) -> None:
    """Its header tells the bytes of its body."""
    head, _, body = wire.request(asked).partition(b"\r\n\r\n")

    assert head.startswith(b"POST /x HTTP/1.1\r\nHost: ")
    assert f"Content-Length: {len(body)}".encode() in head


def test_numbers_are_sent_as_their_sender_has_them(asked: pd.DataFrame) -> None:
    """39.02, not the 39.02000045776367 that single precision makes of it; every wire sends the same."""
    assert [39.02, -1.5] == Inference("/x").content(asked)["inputs"][0]["data"]
    assert [[39.02], [-1.5]] == Mlflow("/x").content(asked)["inputs"]["temp"]
    assert {"temp": 39.02, "origin": "JFK"} == Records("/x").content(asked)["rows"][0]


def test_binary_tensors_say_what_json_says(asked: pd.DataFrame, tides: ModelSpec) -> None:
    """The model gets the same inputs of both."""
    protocol, (binary, headers) = Protocol(tides), BinaryInference("/x").body(asked)

    plain = protocol.parse(Inference("/x").body(asked)[0], "i", None)
    packed = protocol.parse(binary, "i", headers["Inference-Header-Content-Length"].encode())

    bytes_fed = feeds([packed.values])  # noqa: PD011 - no DataFrame
    for name, fed in feeds([plain.values]).items():  # noqa: PD011 - as above
        np.testing.assert_array_equal(fed, bytes_fed[name])


def test_scores_are_found_in_every_answer() -> None:
    """Whatever comes before them in the answer."""
    scores = [[0.25, 0.75], [0.5, 0.5]]
    label = {"name": "label", "datatype": "INT64", "shape": [2]}
    named = {"name": "probabilities", "datatype": "FP32", "shape": [2, 2]}
    flat = {"outputs": [label | {"data": [1, 0]}, named | {"data": [0.25, 0.75, 0.5, 0.5]}]}
    sizes = {
        "outputs": [
            label | {"parameters": {"binary_data_size": 16}},
            named | {"parameters": {"binary_data_size": 16}},
        ]
    }
    text = json.dumps(sizes).encode()
    raw = np.array([1, 0], "<i8").tobytes() + np.array(scores, "<f4").tobytes()

    found = [
        Inference("/x").scores(json.dumps(flat).encode(), {}),
        BinaryInference("/x").scores(text + raw, {"inference-header-content-length": str(len(text))}),
        Mlflow("/x").scores(json.dumps({"predictions": {"probabilities": scores}}).encode(), {}),
        Records("/x").scores(json.dumps({"probabilities": scores}).encode(), {}),
    ]

    for each in found:
        np.testing.assert_array_equal(scores, each)


def cell(requests: int, failed: int = 0) -> tuple[Closed, float]:
    """One second's requests."""
    return Closed(requests, 1.0, failed, 1.0, 2.0), 100.0


def verdicts(measured: Measured) -> dict[str, bool]:
    """All targets by what they are of."""
    lines = (served_figures.single, served_figures.latency, served_figures.batches, served_figures.failed)
    return {each.what: each.met for line in lines for each in line(measured) if each.met is not None}


@pytest.mark.parametrize(("requests", "met"), [(500, True), (499, False)])
def test_the_target_itself_is_met(requests: int, met: bool) -> None:
    """Five times MLServer's requests a second is enough, less is not; 70 % of ONNX Runtime's rows too."""
    measured = Measured()
    measured.bare = {1: [(1e4, 50.0)], 256: [(500 * 256 / 0.7, 3.0)]}
    measured.single["trimtab", 1].append(cell(requests))
    measured.single["mlserver", 1].append(cell(100))
    for wire in (JSON, BINARY):
        measured.batches["trimtab", wire].append(cell(requests))
    measured.paced["trimtab", "half"].append(Open([1.0, 2.0], 0))
    measured.paced["mlserver", "half"].append(Open([1.0, 2.0 if not met else 2.1], 0))
    measured.rates = dict.fromkeys(measured.paced, 50.0)

    told = verdicts(measured)

    assert met is told["trimtab / mlserver, 1 at a time"]
    assert met is told["trimtab, JSON, share of onnxruntime"]
    assert met is told["trimtab / mlserver, p99 at half of half"]


def test_requests_that_failed_are_no_throughput() -> None:
    """They are counted, and not as answered."""
    measured = Measured()
    measured.bare = {1: [(1e4, 50.0)], 256: [(1e5, 3.0)]}
    measured.single["trimtab", 1].append(cell(100, failed=40))
    measured.single["trimtab", 16].append(cell(80))
    measured.paced["trimtab", "half"].append(Open([1.0], 2))
    measured.rates = dict.fromkeys(measured.paced, 50.0)

    assert measured.most("trimtab") == 80
    assert [42] == [each.value for each in served_figures.failed(measured)]
    assert verdicts(measured) == {"trimtab, requests that failed": False}
