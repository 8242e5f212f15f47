import asyncio
import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

import spec
from serving.metrics import ServingMetrics
from serving.slot import Slot

TIDES = spec.loads("""
model: tides
task: regression
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: height}}
features: {depth: numeric}
""")


@pytest.fixture
def settings(tmp_path: Path) -> spec.Settings:
    """A home whose registry cannot be reached."""
    return spec.Settings.from_env({"TRIMTAB_HOME": str(tmp_path), "TRIMTAB_MLFLOW_URI": "nonsense://away"})


def make_slot(settings: spec.Settings, name: str = "green") -> Slot:
    """A slot as the server makes it."""
    return Slot(TIDES, name, settings, ServingMetrics(TIDES, name))


def remember(settings: spec.Settings, text: str | None = None) -> Path:
    """Leave a state file and the model it names; give back the model's file."""
    folder = settings.home / "slots" / "tides-green" / "5-abc"
    folder.mkdir(parents=True)
    inputs = [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [None, 1])]
    outputs = [helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])]
    graph = helper.make_graph([helper.make_node("Identity", ["depth"], ["variable"])], "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(folder / "model.onnx"))
    state = {
        "schema_version": 1,
        "model": "tides",
        "slot": "green",
        "version": "5",
        "file": "5-abc/model.onnx",
    }
    (settings.home / "slots" / "tides-green.json").write_text(text or json.dumps(state))
    return folder / "model.onnx"


async def test_a_slot_restores_what_it_remembers(settings: spec.Settings) -> None:
    """The version and file of the state are loaded again, without the registry."""
    remember(settings)
    slot = make_slot(settings)
    await slot.restore()

    assert slot.live is not None
    assert slot.live.version == "5"
    assert slot.loading is None


async def test_a_new_green_slot_stays_empty(settings: spec.Settings) -> None:
    """Without a state green loads nothing and asks nobody."""
    slot = make_slot(settings)
    await slot.restore()

    assert slot.live is None
    assert slot.why_not_ready() == "tides is not ready in slot green: no version is loaded"


@pytest.mark.parametrize("text", ["{", "[]", '{"version": "5"}'])
async def test_an_unreadable_state_leaves_the_slot_empty(
    settings: spec.Settings, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A state that cannot be read is reported, and never guessed around."""
    remember(settings, text)
    slot = make_slot(settings)
    await slot.restore()

    assert slot.live is None
    assert "cannot be read" in caplog.text


@pytest.mark.service
async def test_a_broken_file_is_fetched_again(
    settings: spec.Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """If the remembered file is no model, the slot asks the registry for that version until told to stop."""
    remember(settings).write_bytes(b"torn")
    slot = make_slot(settings)
    waiting = asyncio.Event()
    caplog.handler.addFilter(lambda record: waiting.set() or True if "next try" in record.msg else True)
    restoring = asyncio.create_task(slot.restore())
    await waiting.wait()
    restoring.cancel()

    assert "slot green fetches version 5 again" in caplog.text
    assert "next try in 2 s" in caplog.text


async def test_an_unload_is_remembered(settings: spec.Settings) -> None:
    """After an unload the state names no version, and a second unload is NotFound."""
    remember(settings)
    slot = make_slot(settings)
    await slot.restore()
    slot.unload()

    state = json.loads((settings.home / "slots" / "tides-green.json").read_text())
    assert (slot.live, state["version"]) == (None, None)
    with pytest.raises(spec.NotFound, match="has no version loaded"):
        slot.unload()
    again = make_slot(settings)
    await again.restore()
    assert again.live is None
