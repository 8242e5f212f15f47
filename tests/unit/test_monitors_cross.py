from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from monitors.profiles.counting.cross import CrossMoments
from monitors.profiles.planning import make_plan
from monitors.profiles.tally import count


def moments(data: pa.Table, reference: pa.Table | None = None, size: int | None = None) -> CrossMoments:
    """Return the joint moments of a table."""
    plan = make_plan(data if reference is None else reference, pairs=True)
    cross = count(plan, data.schema, data.to_batches(max_chunksize=size)).cross
    assert cross is not None
    return cross


def related(rho: float, n: int = 20_000) -> pa.Table:
    """Return two columns of a normal copula, one of them of wide margins."""
    rng = np.random.default_rng(0)
    one = rng.normal(size=n)
    other = rho * one + np.sqrt(1 - rho**2) * rng.normal(size=n)
    return pa.table({"a": one, "b": np.exp(2 * other), "word": ["w"] * n})


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.3, 1.0])
def test_correlations_are_spearmans(rho: float) -> None:
    """Correlations of the ranks on 127 levels agree with SciPy's Spearman to 0.003."""
    data = related(rho)
    expected = spearmanr(data["a"], data["b"]).statistic
    found = moments(data)

    assert ("a", "b") == found.names
    assert found.spearman()[0, 1] == pytest.approx(expected, abs=0.003)
    assert [1.0, 1.0] == pytest.approx(np.diag(found.spearman()))


def test_one_absurd_row_does_not_show() -> None:
    """A row at 1e300 in both columns moves a correlation by no more than any other row may."""
    data = related(0.0)
    absurd = data.slice(0, 19_999).to_pydict()
    for name in ("a", "b"):
        absurd[name].append(1e300)
    absurd["word"].append("w")

    assert moments(pa.table(absurd), data).spearman()[0, 1] == pytest.approx(
        moments(data).spearman()[0, 1], abs=6 / 20_000
    )


def test_moments_are_plain_sums_over_rows_with_both() -> None:
    """With gaps each pair has the sums over the rows where both are finite, exactly, in any batches."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(9000, 3))
    values[rng.random(values.shape) < 0.2] = np.nan
    values[5, 0] = np.inf
    nulls = rng.random(9000) < 0.1
    data = pa.table({"a": values[:, 0], "b": pa.array(values[:, 1], mask=nulls), "c": values[:, 2]})
    plan = make_plan(data, pairs=True)
    there = np.isfinite(values)
    there[nulls, 1] = False
    ranks = np.zeros((9000, 3), dtype=np.int64)
    for place, column in enumerate(plan.columns.values()):
        bins = np.searchsorted(column.edges[1:-1], values[:, place], side="right")  # type: ignore[union-attr]
        ranks[:, place] = np.where(there[:, place], column.ranks[np.minimum(bins, column.bins - 1)], 0)  # type: ignore[union-attr]
    whole = there.astype(np.int64)
    found = moments(data)

    assert (whole.T @ whole).tolist() == found.n.tolist()
    assert (ranks.T @ whole).tolist() == found.sums.tolist()
    assert (ranks.T**2 @ whole).tolist() == found.squares.tolist()
    assert (ranks.T @ ranks).tolist() == found.products.tolist()
    assert found == moments(data, size=1000)


def test_constants_have_no_correlation() -> None:
    """Beside a constant the correlation is NaN inside; no rows are all NaN."""
    found = moments(pa.table({"a": [1.0, 1.0, 1.0], "b": [1.0, 2.0, 3.0]})).spearman()

    assert np.isnan(found[0, 1])
    assert np.isnan(CrossMoments.zero(["a", "b"]).spearman()).all()
