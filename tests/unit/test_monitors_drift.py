from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial import distance as scipy_distance

from monitors.drift import ColumnDrift, Drift, compare, distance, judge
from monitors.finding import NoData
from spec import ModelSpec, SpecError, loads
from spec.model import DriftMethod

SPEC = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric, age: numeric, country: categorical, member: boolean}
monitor: {data_drift: {threshold: 0.3, share: 0.5}}
"""


@pytest.fixture
def spec() -> ModelSpec:
    """The model under watch."""
    return loads(SPEC)


def frame(rows: int, seed: int, *, shift: float = 0.0) -> pd.DataFrame:
    """Rows of one version."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": random.normal(100 + 20 * shift, 20, rows),
            "age": random.integers(18, 90, rows).astype(float),
            "country": pd.Series(random.choice(["de", "fr", "it"], rows), dtype="str"),
            "member": pd.Series(random.random(rows) < 0.3, dtype="boolean"),
            "prediction": random.random(rows),
        }
    )


def numbers(*values: float) -> pd.Series:
    """A numeric column."""
    return pd.Series(values, dtype=float)


def test_wasserstein_is_scipys_in_standard_deviations_of_the_reference() -> None:
    """The default distance of a numeric column is the earth mover's, over the reference's deviation."""
    reference, current = frame(3000, 1)["amount"], frame(400, 2, shift=0.5)["amount"]
    expected = stats.wasserstein_distance(reference, current) / reference.std(ddof=0)

    assert distance(reference, current, DriftMethod.WASSERSTEIN, numeric=True) == pytest.approx(expected)


def test_jensen_shannon_is_scipys_on_the_shares_of_the_categories() -> None:
    """The default distance of a categorical column is scipy's, on counts of the union of values."""
    reference = pd.Series(["a"] * 70 + ["b"] * 30, dtype="str")
    current = pd.Series(["a"] * 20 + ["c"] * 20, dtype="str")
    expected = scipy_distance.jensenshannon([0.7, 0.3, 0], [0.5, 0, 0.5])

    assert distance(reference, current, DriftMethod.JENSEN_SHANNON, numeric=False) == pytest.approx(expected)


def test_psi_and_kl_follow_their_formulas() -> None:
    """PSI is Σ(p-q)ln(p/q) and KL is Σp ln(p/q), on shares of categories that both sides have."""
    reference = pd.Series(["a"] * 70 + ["b"] * 30, dtype="str")
    current = pd.Series(["a"] * 25 + ["b"] * 75, dtype="str")
    p, q = np.array([0.7, 0.3]), np.array([0.25, 0.75])

    psi = distance(reference, current, DriftMethod.PSI, numeric=False)
    kl = distance(reference, current, DriftMethod.KL_DIV, numeric=False)

    assert psi == pytest.approx(((p - q) * np.log(p / q)).sum())
    assert kl == pytest.approx(stats.entropy(p, q))


def test_hellinger_follows_its_formula() -> None:
    """The Hellinger distance is √(1 - Σ√(pq))."""
    reference = pd.Series(["a"] * 70 + ["b"] * 30, dtype="str")
    current = pd.Series(["a"] * 25 + ["b"] * 75, dtype="str")
    expected = (1 - (0.7 * 0.25) ** 0.5 - (0.3 * 0.75) ** 0.5) ** 0.5

    found = distance(reference, current, DriftMethod.HELLINGER, numeric=False)

    assert found == pytest.approx(expected)


def test_nulls_and_infinities_are_left_out() -> None:
    """A null, an infinity or a number next to it changes no distance."""
    reference, current = numbers(1, 2, 3, 4), numbers(2, 3, 5)
    holed = numbers(2, np.nan, 3, np.inf, 5, -1e200)

    plain = distance(reference, current, DriftMethod.WASSERSTEIN, numeric=True)

    assert distance(reference, holed, DriftMethod.WASSERSTEIN, numeric=True) == plain


@pytest.mark.parametrize(
    ("reference", "current", "reason"),
    [
        (None, numbers(1), "the reference does not have the column"),
        (numbers(1), None, "the window does not have the column"),
        (numbers(np.nan, np.nan), numbers(1, 2), "the reference has no values"),
        (numbers(1, 2), numbers(), "the window has no values"),
        (numbers(3, 3, 3), numbers(1, 2), "constant in the reference"),
        (numbers(1, 2), pd.Series(["x", "y"]), "the window has no values"),
    ],
)
def test_a_distance_that_does_not_exist_says_why(
    reference: pd.Series | None, current: pd.Series | None, reason: str
) -> None:
    """A missing, empty, all-null, constant or mistyped column is `NoData` with a reason, never NaN."""
    found = distance(reference, current, DriftMethod.WASSERSTEIN, numeric=True)

    assert isinstance(found, NoData)
    assert reason in found.reason


def test_compare_takes_every_feature_in_the_models_order_and_the_predictions(spec: ModelSpec) -> None:
    """A comparison has one entry a feature, by its type's method, and one for the predictions."""
    drift = compare(frame(2000, 1), frame(300, 2), spec)

    assert [feature.column for feature in drift.features] == ["amount", "age", "country", "member"]
    assert [feature.method.value for feature in drift.features] == [
        "wasserstein",
        "wasserstein",
        "jensenshannon",
        "jensenshannon",
    ]
    assert (drift.prediction.column, drift.prediction.method.value) == ("prediction", "wasserstein")
    assert drift.share == 0.0


def test_predicted_classes_are_compared_as_categories() -> None:
    """The prediction of a multiclass model is a class, and a class has no order."""
    text = SPEC.replace("binary", "multiclass").replace("{name: y}", "{name: y, classes: [a, b, c]}")

    drift = compare(frame(500, 1).round(), frame(500, 2).round(), loads(text))

    assert drift.prediction.method is DriftMethod.JENSEN_SHANNON


def test_the_distance_of_categories_by_order_is_refused() -> None:
    """Asking for Wasserstein on categories names the methods that work."""
    spec = loads(SPEC.replace("threshold: 0.3", "categorical_method: wasserstein"))

    with pytest.raises(SpecError, match=r"categorical_method: must be one of jensenshannon, psi"):
        compare(frame(10, 1), frame(10, 2), spec)


def drift_of(*scores: float | NoData) -> Drift:
    """A drift with the given scores."""
    columns = [ColumnDrift(str(at), DriftMethod.WASSERSTEIN, score, 0.3) for at, score in enumerate(scores)]
    return Drift(tuple(columns), ColumnDrift("prediction", DriftMethod.WASSERSTEIN, 0.1, 0.3))


@pytest.mark.parametrize(
    ("scores", "status"),
    [((0.3, 0.3, 0.2, 0.2), "alarm"), ((0.3, 0.2999, 0.2, 0.2), "ok"), ((9.0, 0, 0, 0), "ok")],
)
def test_the_alarm_is_a_share_of_the_features(
    spec: ModelSpec, scores: tuple[float, ...], status: str
) -> None:
    """Half of the features at the limit is an alarm; one less, or one feature far out, is not."""
    assert judge(drift_of(*scores), spec, 100).status == status


def test_a_feature_without_a_score_counts_as_not_drifted_and_keeps_its_reason(spec: ModelSpec) -> None:
    """What cannot be compared lowers the share, and the reason is written beside the numbers."""
    finding = judge(drift_of(0.4, NoData("no values")), spec, 100)
    by_name = {measurement.name: measurement for measurement in finding.measurements}

    assert by_name["drifted_features_ratio"].value == 0.5
    assert (by_name["no_data"].feature, by_name["no_data"].text) == ("1", "no values")


def test_nothing_to_compare_is_no_data(spec: ModelSpec) -> None:
    """A window in which no feature can be compared passes nothing: its status is `no_data`."""
    finding = judge(compare(frame(100, 1), frame(0, 2), spec), spec, 0)

    assert finding.status == "no_data"
    assert "drifted_features_ratio" not in {measurement.name for measurement in finding.measurements}
