import logging
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

import spec
from serving import provider
from serving.session import open_session, present, provider_of

TIDES = """
model: tides
task: regression
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: height}}
features: {depth: numeric}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A graph that answers what it is given."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("depth", "variable")
    ]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["depth"], ["variable"])], "g", ends[:1], ends[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(tmp_path / "model.onnx"))
    return tmp_path / "model.onnx"


def test_the_cpu_is_always_there() -> None:
    """Every ONNX Runtime has it, and it is the last to be taken."""
    assert present()[-1] == "cpu"


@pytest.mark.skipif("cuda" in present(), reason="CUDA is here, so nothing is passed over")
def test_a_provider_that_is_missing_is_passed_over_loudly(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The model runs on the next one; the log names what is missing and what there is."""
    session = open_session(file, ("tensorrt", "cuda"), threads=1)

    assert provider_of(session) == "cpu"
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "the provider cuda is not in this ONNX Runtime" in caplog.text
    assert "which has cpu" in caplog.text


def test_what_is_there_is_taken_quietly(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The CPU by name is no fallback."""
    assert provider_of(open_session(file, ("cpu",), threads=2)) == "cpu"
    assert caplog.records == []


def test_auto_takes_what_answers_as_the_cpu_does(file: Path) -> None:
    """`auto` always finds something, and it gives the CPU's answers."""
    model = provider.load(file, spec.loads(TIDES + "serving: {providers: auto}\n"))

    assert model.provider in present()
    assert model.row_seconds > 0


def test_auto_is_not_misled(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A provider that does not start is named and left."""
    monkeypatch.setattr(provider, "present", lambda: ("openvino", "cpu"))
    model = provider.load(file, spec.loads(TIDES + "serving: {providers: auto}\n"))

    assert model.provider == "cpu"
    assert "the provider openvino is not in this ONNX Runtime" in caplog.text
