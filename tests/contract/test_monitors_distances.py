"""The detector contract, held against every statistic of counts."""

from __future__ import annotations

import math
import pickle
import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.special import ndtr

from monitors.distances import METHODS, Method, wasserstein

ALL = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
OF_EVIDENTLY = ["jensenshannon", "psi", "kl_div", "hellinger"]
INNER = np.concatenate([[-1e9, -30.0, -8.0], np.linspace(-3, 3, 19), [8.0, 30.0, 1e9]])
EDGES = np.concatenate([[-np.inf], INNER, [np.inf]])


def counts(rows: int, shift: float = 0.0) -> npt.NDArray[np.int64]:
    """The expected counts of normal rows, rounded; tails beyond eight deviations are empty."""
    shares = np.diff(ndtr(EDGES - shift))
    return np.round(rows * shares).astype(np.int64)


def distance(method: Method, reference: npt.ArrayLike, current: npt.ArrayLike, reach: float = 6.0) -> float:
    """Any statistic of the bins above; the values reach from -`reach` to `reach`."""
    if method.name == "wasserstein":
        return wasserstein(reference, current, EDGES, 1.0, -reach, reach)
    return method.function(reference, current)


@ALL
def test_the_counts_are_not_changed(method: Method) -> None:
    """A statistic is pure, and of frozen counts as well."""
    reference, current = counts(1000), counts(300, 0.5)
    kept = pickle.dumps((reference, current))
    reference.flags.writeable = current.flags.writeable = False

    distance(method, reference, current)

    assert pickle.dumps((reference, current)) == kept


@ALL
def test_a_method_crosses_processes(method: Method) -> None:
    """The record and its functions pickle."""
    assert pickle.loads(pickle.dumps(method)) == method  # noqa: S301 - our own bytes


@ALL
def test_a_method_is_documented(method: Method) -> None:
    """The docstring has a formula's range, the errors and a source; the record has a sentence for people."""
    text = method.function.__doc__ or ""

    assert all(word in text for word in ("ange [0", "Parameters", "Raises", "References", "shape (bins,)"))
    assert method.sentence
    assert method.most > 0


@ALL
def test_the_score_grows_with_the_shift(method: Method) -> None:
    """A larger shift has a larger distance."""
    scores = [distance(method, counts(5000), counts(2000, shift)) for shift in (0.0, 0.25, 0.5, 1.0, 2.0)]

    assert scores == sorted(scores)
    assert scores[1] > 3 * scores[0]


@ALL
@pytest.mark.parametrize("rows", [(2000, 2000), (100, 20_000), (20_000, 100)], ids=str)
@pytest.mark.parametrize("side", ["reference", "current"])
@pytest.mark.parametrize("end", [0, -1], ids=["low", "high"])
def test_one_extreme_row_does_not_lower_the_score(
    method: Method, rows: tuple[int, int], side: str, end: int
) -> None:
    """A drift of one deviation is seen as before, but for dilution, when one value is absurd."""
    reference, current = counts(rows[0]), counts(rows[1], 1.0)
    before = distance(method, reference, current)
    (reference if side == "reference" else current)[end] += 1

    after = distance(method, reference, current, reach=2e9)

    assert after >= before * (1 - 2 / min(rows))


@pytest.mark.parametrize("name", ["psi", "kl_div", "jensenshannon", "hellinger"])
def test_one_extreme_row_makes_no_alarm_by_itself(name: str) -> None:
    """A row in an empty bin is no drift: of 500 rows each it stays below 0.1, Evidently's threshold."""
    reference = counts(500)
    current = reference.copy()
    current[-1] += 1

    assert METHODS[name].function(reference, current) < 0.1


@pytest.mark.parametrize("name", OF_EVIDENTLY)
def test_categories_have_evidentlys_distance(name: str) -> None:
    """On values that both sides have, the number is Evidently's; the smoothing shows with few rows only."""
    shares = np.array([400, 300, 200, 100]), np.array([120, 180, 150, 50])
    values = [pd.Series(np.repeat(["a", "b", "c", "d"], side)) for side in shares]

    expected = evidently(name, *values, numeric=False)

    rows = 10**8 if name in {"psi", "kl_div"} else 1
    assert METHODS[name].function(*(side * rows for side in shares)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["jensenshannon", "psi", "kl_div"])
def test_numbers_in_evidentlys_bins_have_evidentlys_distance(name: str) -> None:
    """In the bins that Evidently takes from both sides together, the number is the same."""
    random = np.random.default_rng(0)
    values = [pd.Series(random.uniform(0, 1, 3000) ** power) for power in (1.0, 1.2)]
    bins = np.histogram_bin_edges(pd.concat(values), bins="sturges")
    sides = [np.histogram(side, bins)[0] for side in values]

    rows = 10**8 if name in {"psi", "kl_div"} else 1
    found = METHODS[name].function(*(side * rows for side in sides))
    assert found == pytest.approx(evidently(name, *values, numeric=True), rel=1e-6)


def test_whole_numbers_have_evidentlys_wasserstein() -> None:
    """One value a bin, the distance is Evidently's: SciPy's over the reference's deviation."""
    random = np.random.default_rng(0)
    values = [pd.Series(random.poisson(rate, 800).astype(float)) for rate in (5, 5.6)]
    edges = np.arange(-0.5, 30)
    sides = [np.histogram(side, edges)[0] for side in values]
    ends = (values[0].min(), values[1].min()), (values[0].max(), values[1].max())

    found = wasserstein(*sides, edges, values[0].std(ddof=0), *ends, np.ones(30, dtype=bool))

    assert found == pytest.approx(evidently("wasserstein", *values, numeric=True), rel=1e-12)


def evidently(name: str, reference: pd.Series, current: pd.Series, *, numeric: bool) -> float:
    """Evidently's own number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its import says of its dependencies
        from evidently.legacy.calculations import stattests
        from evidently.legacy.core import ColumnType

        kind = ColumnType.Numerical if numeric else ColumnType.Categorical
        test = stattests.registry.get_registered_stattest(name, kind)
        score = float(test(reference, current, kind, None).drift_score)
    assert math.isfinite(score)
    return score
