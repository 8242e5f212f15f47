from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pandas as pd
import pytest
import skops.io
from onnx import TensorProto, helper
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from monitors import references
from retraining import native
from retraining.dataset import rows
from retraining.graphs.export import to_onnx
from retraining.registry import Registry
from spec import TrimtabError
from spec.retrain import Learner
from trimtab.cli import cli

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture
def house(
    registry_world: Callable[..., Any],
    orders: Callable[..., pd.DataFrame],
    small_pipeline: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> tuple[Any, Pipeline]:
    """A shop of a stack, a fitted pipeline, and ``train.parquet`` and ``test.parquet`` in the folder."""
    world = registry_world()
    frame = orders(n=1200)
    train, held = frame.iloc[:900], frame.iloc[900:]
    train.to_parquet(tmp_path / "train.parquet")
    held.to_parquet(tmp_path / "test.parquet")
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("TRIMTAB_HOME", world.settings.home),
        ("TRIMTAB_MODELS", world.settings.models),
        ("TRIMTAB_CLOCK", world.clock_file),
        ("TRIMTAB_MLFLOW_URI", world.settings.mlflow_uri),
    ):
        monkeypatch.setenv(name, str(value))
    given = rows.inputs(world.spec, train)
    return world, small_pipeline(world.spec, Learner.LIGHTGBM).fit(given, rows.target(world.spec, train))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the command in this process and return what it prints; our errors come as they are."""

    def call(*argv: str) -> str:
        cli(["adopt", "shop", *argv], standalone_mode=False)
        return capsys.readouterr().out

    return call


def test_an_onnx_file_becomes_the_champion(house: tuple[Any, Pipeline], run: Callable[..., str]) -> None:
    """What is served is the very file; what to expect of it is measured on the rows it has not seen."""
    world, pipeline = house
    onnx.save(to_onnx(world.spec, pipeline), "model.onnx")

    out = run("model.onnx", "--data", "train.parquet", "--holdout", "test.parquet", "--json")

    assert {"model": "shop", "version": "1"} == json.loads(out)
    registry = Registry(world.settings)
    assert "1" == registry.version("shop", "champion")
    assert Path("model.onnx").read_bytes() == registry.onnx("shop", "1").read_bytes()
    reference = references.load(world.spec, world.settings, "1")
    assert 900 == reference.population
    assert reference.performance["roc_auc"].low > 0.6
    again = run("model.onnx", "--data", "train.parquet", "--holdout", "test.parquet")
    assert "version 1 is the champion of shop\n" == again


def test_who_adopted_and_why_is_told_by_the_lineage(
    house: tuple[Any, Pipeline], run: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`--as` and `--reason` are kept with the version and in the alias's history."""
    world, pipeline = house
    onnx.save(to_onnx(world.spec, pipeline), "model.onnx")

    rows = ("--data", "train.parquet", "--holdout", "test.parquet")
    run("model.onnx", *rows, "--as", "ada", "--reason", "the audit's")

    (version,) = Registry(world.settings).versions("shop")
    told = tuple(version.tags[f"trimtab.approved_{name}"] for name in ("by", "because"))
    assert ("ada", "the audit's") == told
    cli(["lineage", "shop"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "approved by ada (the audit's); its status is champion." in shown
    assert re.search(r"champion from 2024-03-11 .* until now, approved by ada: the audit's", shown)


def test_a_pipeline_comes_by_skops(house: tuple[Any, Pipeline], run: Callable[..., str]) -> None:
    """A file of the learners' own types needs nobody's trust; it is converted and held to the parity gate."""
    world, pipeline = house
    native.save(pipeline, Path("native"))

    run("native/pipeline.skops", "--data", "train.parquet", "--holdout", "test.parquet")

    assert "LGBMClassifier" == Registry(world.settings).params("shop", "1")["learner"]


def same(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns as they are; it stands for code of somebody else."""
    return frame


def graph(inputs: dict[str, int], outputs: dict[str, int]) -> onnx.ModelProto:
    """Return a graph of constants with these inputs and outputs."""
    nodes = [
        helper.make_node("Constant", [], [name], value=helper.make_tensor(name, kind, [1, 1], [0]))
        for name, kind in outputs.items()
    ]
    values = [
        [helper.make_tensor_value_info(name, kind, [None, 1]) for name, kind in named.items()]
        for named in (inputs, outputs)
    ]
    return helper.make_model(
        helper.make_graph(nodes, "g", *values), opset_imports=[helper.make_opsetid("", 18)]
    )


WRONG = """
amount': must be float32; found int64
weight': must be float32; found none
colour': is not in the spec
probabilities': must be float32; found none
"""


def test_a_graph_with_other_inputs_is_told_all_of_them(
    house: tuple[Any, Pipeline], run: Callable[..., str]
) -> None:
    """Every input and output that is wrong is named at once, and nothing is registered."""
    kinds = {"country": TensorProto.STRING, "member": TensorProto.FLOAT}
    inputs = {"amount": TensorProto.INT64, "colour": TensorProto.FLOAT, **kinds}
    onnx.save(graph(inputs, {"label": TensorProto.INT64}), "other.onnx")

    with pytest.raises(TrimtabError) as error:
        run("other.onnx", "--data", "train.parquet", "--holdout", "test.parquet")

    assert all(line in str(error.value) for line in WRONG.strip().splitlines())
    assert () == Registry(house[0].settings).versions("shop")


def test_probabilities_that_are_none_are_refused(
    house: tuple[Any, Pipeline], run: Callable[..., str]
) -> None:
    """A graph with the right names may still answer margins; real rows show it."""
    world, pipeline = house
    model = to_onnx(world.spec, pipeline)
    for node in model.graph.node:
        node.output[:] = ["margin" if name == "probabilities" else name for name in node.output]
    three = helper.make_node("Constant", [], ["three"], value_float=3.0)
    model.graph.node.extend([three, helper.make_node("Mul", ["margin", "three"], ["probabilities"])])
    onnx.save(model, "margin.onnx")

    with pytest.raises(TrimtabError, match=r"probabilities: must lie in \[0, 1\]; found 0.* to [12]"):
        run("margin.onnx", "--data", "train.parquet", "--holdout", "test.parquet")


def test_a_type_that_nobody_trusts_is_not_built(house: tuple[Any, Pipeline], run: Callable[..., str]) -> None:
    """The refusal prints the flag; with it, the file is loaded."""
    _, pipeline = house
    own = Pipeline([("own", FunctionTransformer(same)), *pipeline.steps])
    skops.io.dump(own, "own.skops")
    rows_of = ("--data", "train.parquet", "--holdout", "test.parquet")

    with pytest.raises(TrimtabError, match="holds types that are not trusted") as error:
        run("own.skops", *rows_of)
    (flag,) = (line for line in str(error.value).splitlines() if "--trust" in line)
    named = flag.split("--trust ")[1]

    assert named.endswith(".same")
    with pytest.raises(TrimtabError) as later:  # it is built now; that it has no ONNX form is another matter
        run("own.skops", *rows_of, "--trust", named)
    assert "not trusted" not in str(later.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("model.pkl", "must be a .onnx or a .skops file; found .pkl. Convert the model to ONNX"),
        ("pickle.onnx", "must be an ONNX model; found something else"),
        ("pickle.skops", "must be a file of skops"),
        ("nowhere.onnx", "must be a readable file"),
    ],
)
def test_a_pickle_is_loaded_under_no_name(
    house: tuple[Any, Pipeline], run: Callable[..., str], name: str, told: str
) -> None:
    """Whatever the file is called, a pickle's code does not run."""
    if name != "nowhere.onnx":
        Path(name).write_bytes(pickle.dumps(house[1].steps[0][0]))

    with pytest.raises(TrimtabError) as error:
        run(name, "--data", "train.parquet", "--holdout", "test.parquet")

    assert told in str(error.value)


def test_a_graph_needs_rows_it_has_not_seen(house: tuple[Any, Pipeline], run: Callable[..., str]) -> None:
    """It cannot be fitted again on older rows, so the command says what to give it."""
    onnx.save(to_onnx(house[0].spec, house[1]), "model.onnx")

    with pytest.raises(TrimtabError, match="--holdout: must name rows that the graph has not seen"):
        run("model.onnx", "--data", "train.parquet")
    with pytest.raises(TrimtabError, match=r"none.parquet: must be a Parquet file"):
        run("model.onnx", "--data", "none.parquet")
