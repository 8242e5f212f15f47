"""What becomes of calls of gRPC that a real server cannot answer at once, and of those that are no traffic.

The model is slow where queues are to form.
"""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from tritonclient.grpc import service_pb2
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub as Stub

pytestmark = pytest.mark.service

Start = Callable[..., Any]
OPTIONS = ("--grpc-port", "0")
COUNT = 'trimtab_predictions_total{{model="tides",outcome="{}",shadow="{}",slot="blue",version="{}"}}'
REJECTED = 'trimtab_requests_rejected_total{{model="tides",reason="{}"'


def asked(identity: str, count: int = 1) -> Any:
    """A request of so many rows."""
    request = service_pb2.ModelInferRequest(model_name="tides", id=identity)
    values = (("depth", "FP64", 2.5), ("spring", "BOOL", True), ("port", "BYTES", b"Brest"))
    for name, datatype, value in values:
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[count])
        getattr(tensor.contents, f"{datatype.lower()}_contents").extend([value] * count)
    return request


@pytest.fixture
def open_stub() -> Iterator[Callable[[str], Stub]]:
    """Connect to addresses."""
    channels: list[grpc.Channel] = []

    def connect(address: str) -> Stub:
        channels.append(grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]))
        return Stub(channels[-1])

    yield connect
    for channel in channels:
        channel.close()


Connect = Callable[[str], Stub]


def occupy(server: Any, stub: Stub) -> list[grpc.Future]:
    """Keep both threads of a server busy for seconds."""
    busy = [stub.ModelInfer.future(asked(f"large-{one}", 1200)) for one in range(2)]
    server.await_total("trimtab_prediction_queue_seconds_count", 2)  # their turns have begun
    return busy


def limited(home: Path, serving: str) -> None:
    """State limits in the model's YAML."""
    with (home / "tides.yaml").open("a") as file:
        file.write(f"serving: {{{serving}}}\n")


def ids(server: Any) -> list[str]:
    """Stop a server; give back the ids of its log."""
    assert server.stop() == 0
    return sorted(row["prediction_id"].partition("/")[0] for row in server.rows())


def test_more_than_the_queue_holds_is_turned_away(
    start: Start, home: Path, slow: Path, open_stub: Connect
) -> None:
    """The ones too many hear RESOURCE_EXHAUSTED and when to come back; health answers; nobody is lost."""
    limited(home, "queue: 4")
    server = start(file=slow, options=OPTIONS)
    stub = open_stub(server.grpc_address())
    busy = occupy(server, stub)
    waiting = [stub.ModelInfer.future(asked(f"waiting-{one}")) for one in range(2)]
    server.await_total("trimtab_requests_in_flight{", 4)
    refused = stub.ModelInfer.future(asked("refused"))
    by_rest = server.infer("refused")

    assert refused.code() is StatusCode.RESOURCE_EXHAUSTED
    assert refused.details() == by_rest[1]["error"]
    assert int(dict(refused.trailing_metadata())["retry-after"]) >= 1
    assert stub.ServerReady(service_pb2.ServerReadyRequest()).ready
    assert not any(one.done() for one in busy), "the threads were not busy for long enough"
    assert [one.result().id for one in (*busy, *waiting)] == ["large-0", "large-1", "waiting-0", "waiting-1"]
    assert server.total(REJECTED.format("queue_full")) == 2


def test_a_calls_deadline_is_its_patience(start: Start, slow: Path, open_stub: Connect) -> None:
    """Who is not there any more when the turn comes costs no run and is in no log; a deadline is an error."""
    server = start(file=slow, options=OPTIONS)
    stub = open_stub(server.grpc_address())
    busy = occupy(server, stub)
    left = [stub.ModelInfer.future(asked("left")) for _ in range(3)]
    server.await_total("trimtab_requests_in_flight{", 5)
    patience = ("x-envoy-expected-rq-timeout-ms", "20")
    late = [
        stub.ModelInfer.future(asked("late"), timeout=0.05),
        stub.ModelInfer.future(asked("late"), metadata=[patience]),
        stub.ModelInfer.future(asked("late"), metadata=[patience], timeout=60),
    ]
    assert {one.code() for one in late} == {StatusCode.DEADLINE_EXCEEDED}
    for one in left:
        one.cancel()
    last = stub.ModelInfer(asked("last"), timeout=120, metadata=[(patience[0], "0")])

    assert last.id == "last"
    assert [one.code() for one in busy] == [StatusCode.OK, StatusCode.OK]
    assert server.total(REJECTED.format("deadline")) == 3
    assert server.total(REJECTED.format("disconnected")) == 3
    assert server.total('trimtab_predictions_total{model="tides",outcome="error",shadow="false"') == 3
    assert set(ids(server)) == {"large-0", "large-1", "last"}


def test_copies_and_testers_are_no_traffic(start: Start, open_stub: Connect) -> None:
    """What comes by the port for copies is one; a router's mark of testers is read from the metadata."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    server = start(options=OPTIONS, environment={"TRIMTAB_GRPC_SHADOW_PORT": port})
    stub, copies = open_stub(server.grpc_address()), open_stub(server.grpc_address(1))
    stub.ModelInfer(asked("request"))
    stub.ModelInfer(asked("tester"), metadata=[("x-trimtab-tester", "challenger")])
    copies.ModelInfer(asked("copy"))

    assert [server.metric(COUNT.format("ok", one, "1")) for one in ("false", "tester", "true")] == [1, 1, 1]
    assert server.stop() == 0
    shadow = {row["prediction_id"]: row["shadow"] for row in server.rows()}
    assert shadow == {"request": False, "tester": None, "copy": True}


def test_a_draining_server_loses_nobody(start: Start, slow: Path, open_stub: Connect) -> None:
    """After SIGTERM what runs and what waits is answered and logged."""
    server = start(file=slow, options=OPTIONS)
    stub = open_stub(server.grpc_address())
    busy = occupy(server, stub)
    waiting = [stub.ModelInfer.future(asked(f"waiting-{one}")) for one in range(12)]
    server.await_total("trimtab_requests_waiting{", 12)

    logged = ids(server)
    assert {one.code() for one in (*busy, *waiting)} == {StatusCode.OK}
    assert {f"waiting-{one}" for one in range(12)} <= set(logged)


def test_clients_that_keep_asking_lose_nothing(start: Start, open_stub: Connect) -> None:
    """Under steady traffic each call is answered and logged, or refused: UNAVAILABLE, to ask elsewhere."""
    server = start(options=OPTIONS)
    flowing = threading.Barrier(5)

    def keep_asking(name: str) -> tuple[int, StatusCode]:
        stub = open_stub(server.grpc_address())
        for number in range(1_000_000):
            try:
                stub.ModelInfer(asked(f"{name}-{number}"))
            except grpc.RpcError as error:
                return number, error.code()
            if number == 50:
                flowing.wait()
        raise AssertionError

    with ThreadPoolExecutor(4) as clients:
        ends = {name: clients.submit(keep_asking, name) for name in "abcd"}
        flowing.wait()
        logged = ids(server)
    assert {end.result()[1] for end in ends.values()} == {StatusCode.UNAVAILABLE}
    answered = [f"{name}-{number}" for name, end in ends.items() for number in range(end.result()[0])]
    assert sorted(answered) == logged


@pytest.mark.parametrize("name", ["--grpc-port", "TRIMTAB_GRPC_SHADOW_PORT"])
def test_a_port_that_is_taken_is_named(start: Start, name: str) -> None:
    """A port that somebody has ends the start with its option's or its variable's name."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = str(taken.getsockname()[1])
        options = ("--grpc-port", port) if name == "--grpc-port" else OPTIONS
        with pytest.raises(pytest.fail.Exception, match=f"{name}: must be a free port; found {port}"):
            start(options=options, environment={name: port})


def test_without_the_extra_rest_is_served_and_the_extra_is_named(home: Path) -> None:
    """Where grpcio is not installed nothing else misses it, and who asks for gRPC hears what brings it."""
    program = (
        "import sys; sys.modules['grpc'] = None\n"
        "import serving.server, spec\n"
        "from pathlib import Path\n"
        "settings = spec.Settings.from_env()\n"
        "model = spec.load(Path(sys.argv[1]))\n"
        "try: serving.server.run(model, 'blue', settings, '127.0.0.1', 0, grpc_port=0)\n"
        "except spec.SettingsError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(home / "tides.yaml")]
    surroundings = {"TRIMTAB_HOME": str(home)}
    shown = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True).stdout

    assert "--grpc-port: needs grpcio and protobuf; found no module grpc" in shown
    assert "pip install 'trimtab[grpc]'" in shown
