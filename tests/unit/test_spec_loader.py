from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import spec

FLIGHTS = Path("models/flights.yaml").read_text("utf-8")
TEN_LINES = """\
model: fraud
task: binary
data:
  inference_log: fraud/log
  labels: fraud/labels
  id: payment
  time: paid_at
  target: {name: fraudulent}
features:
  amount: numeric
"""


def _problems(text: str) -> list[str]:
    with pytest.raises(spec.SpecError) as caught:
        spec.loads(text, "models/x.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_a_ten_line_file_is_enough() -> None:
    """Ten lines describe a model; everything else has a default."""
    loaded = spec.loads(TEN_LINES)

    assert "fraud" == loaded.model
    assert ["shadow", 0.05, 0.25, 0.5, 1.0] == [step.share for step in loaded.rollout.steps]
    assert spec.PerformanceMetric.ROC_AUC == loaded.performance_metric


def test_the_shipped_models_load() -> None:
    """Every YAML in models/ is valid."""
    assert ["flights"] == sorted(spec.load_folder(Path("models")))


def test_units_are_read_as_people_write_them() -> None:
    """Durations, fractions and sizes are read with their units."""
    loaded = spec.loads(FLIGHTS)

    assert 0.05 == loaded.monitor.latency.p99.total_seconds()
    assert 0.999 == pytest.approx(loaded.monitor.latency.slo)
    assert 5_000_000 == loaded.optimize.within.size


def test_all_problems_are_reported_at_once_with_their_places() -> None:
    """Several errors in one file are all named, each with line, path and what was found."""
    text = (
        FLIGHTS.replace("method: wasserstein", "method: waserstein")
        .replace("cooldown: 2w", "coldown: 2w")
        .replace("size: 5MB", "size: -5MB")
        .replace("  id: flight_id\n", "")
    )

    found = _problems(text)

    assert 4 == len(found)
    assert any("data.id: must be given; found nothing" in f for f in found)
    assert any("monitor.data_drift.method" in f and "Did you mean 'wasserstein'?" in f for f in found)
    assert any("retrain.coldown" in f and "Did you mean 'cooldown'?" in f for f in found)
    assert any("optimize.within.size" in f and "found '-5MB'" in f for f in found)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("model: fraud", "model: Fraud-1", "model: string should match pattern"),
        ("task: binary", "task: binry", "Did you mean 'binary'?"),
        ("  amount: numeric", "  amount: numerc", "Did you mean 'numeric'?"),
        ("  amount: numeric", "  amount: {kind: numeric}", "features.amount.kind"),
        ("  amount: numeric", "  fraudulent: numeric", "cannot be a feature"),
        ("  id: payment", "  id: paid_at", "must be three different columns"),
        ("task: binary", "task: multiclass", "a multiclass model names its classes"),
        ("task: binary", "task: binary\nmonitor: {performance: {metric: rmse}}", "rmse is not defined"),
        ("task: binary", "task: binary\nrollout: {steps: [5%, shadow, 100%]}", "shadow may only come first"),
        ("task: binary", "task: binary\nrollout: {steps: [5%, 50%]}", "must rise and end with 100%"),
        ("task: binary", "task: binary\nrollout: {steps: [50%, 5%, 100%]}", "must rise and end with 100%"),
        ("task: binary", "task: binary\nrollout: {steps: [0%, 100%]}", "use shadow"),
        ("task: binary", "task: binary\nrollout: {steps: [2.5%, 100%]}", "whole percents"),
        ("task: binary", "task: binary\ntask: binary", "must be given once"),
        ("task: binary", "task: binary\nretrain: {on: [drift]}", "retrain.on.0"),
        ("task: binary", "task: [", "must be valid YAML"),
    ],
)
def test_each_kind_of_mistake_has_one_clear_error(old: str, new: str, expected: str) -> None:
    """Each mistake a person makes is named by what must hold."""
    assert any(expected in problem for problem in _problems(TEN_LINES.replace(old, new)))


def test_a_file_that_is_no_mapping_is_refused() -> None:
    """A list or an empty file gets an error, not a traceback."""
    assert _problems("- model")
    assert _problems("")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error of a missing file has its path."""
    with pytest.raises(spec.SpecError, match=r"nowhere\.yaml"):
        spec.load(tmp_path / "nowhere.yaml")


def test_a_folder_reports_every_file(tmp_path: Path) -> None:
    """The problems of all files of a folder come together, duplicates of a name included."""
    (tmp_path / "a.yaml").write_text(TEN_LINES)
    (tmp_path / "b.yaml").write_text(TEN_LINES)
    (tmp_path / "c.yaml").write_text(TEN_LINES.replace("task: binary", "task: x"))

    with pytest.raises(spec.SpecError) as caught:
        spec.load_folder(tmp_path)

    assert ["b.yaml: model", "c.yaml:2: task"] == [
        problem.where.removeprefix(f"{tmp_path}/") for problem in caught.value.problems
    ]


def test_an_unknown_model_lists_the_known_ones() -> None:
    """Asking for a model that does not exist names the close one."""
    with pytest.raises(spec.NotFound, match="Did you mean 'fraud'"):
        spec.pick({"fraud": spec.loads(TEN_LINES)}, "frau")


def test_an_input_error_keeps_its_problems_across_processes() -> None:
    """An error that is pickled, as Airflow does, still has every problem."""
    error = spec.DataError([spec.Problem("a", "must hold", "b", "do c")])

    assert error.problems == pickle.loads(pickle.dumps(error)).problems  # noqa: S301 - our own bytes
    assert "a: must hold; found b. do c" == str(error)


def test_the_json_schema_knows_every_default() -> None:
    """The schema for editors uses the names of the file and describes the fields."""
    schema = spec.json_schema()

    assert {"validate", "rollout", "model"} <= set(schema["properties"])
    assert "validation" not in schema["properties"]
    assert schema["$defs"]["Rollout"]["properties"]["alpha"]["description"]
