from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, ttest_ind
from sklearn.decomposition import PCA

from monitors.finding import NoData
from monitors.multivariate.reconstruction import (
    ReconstructionPlan,
    ReconstructionVerdict,
    reconstruction,
    reconstruction_plan,
)
from spec.errors import DataError


def pair(rows: int, correlation: float, seed: int) -> pd.DataFrame:
    """Two standard normal columns of a correlation."""
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(2, rows))
    return pd.DataFrame({"a": first, "b": correlation * first + (1 - correlation**2) ** 0.5 * second})


def mixed(rows: int, seed: int) -> pd.DataFrame:
    """Four columns that depend on one hidden number, and a category that does."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=rows)
    frame = pd.DataFrame({f"x{at}": hidden + random.normal(0, 0.5, size=rows) for at in range(4)})
    return frame.assign(city=np.where(hidden > 0, "Rome", "Oslo"))


def planned(reference: pd.DataFrame, **settings: float) -> ReconstructionPlan:
    """Return a plan, which must be possible."""
    plan = reconstruction_plan(reference, **settings)  # type: ignore[arg-type]
    assert isinstance(plan, ReconstructionPlan)
    return plan


def verdict(plan: ReconstructionPlan, current: pd.DataFrame) -> ReconstructionVerdict:
    """Return a verdict, which must be one."""
    found = reconstruction(plan, current)
    assert isinstance(found, ReconstructionVerdict)
    return found


PLAN = planned(mixed(1000, 1))


def test_correlation_alone_is_seen_where_no_column_shows_anything() -> None:
    """Same marginals, correlation 0.8 turned to 0: KS sees nothing in either column, the errors do."""
    reference, current = pair(2000, 0.8, 0), pair(500, 0.0, 1)
    found = verdict(planned(reference), current)

    assert all(ks_2samp(reference[name], current[name]).pvalue > 0.05 for name in "ab")
    assert found.drifted
    assert found.shift > 1


def test_the_components_are_scikit_learns() -> None:
    """On standardized numbers the components span the space that scikit-learn's PCA finds."""
    plan = planned(mixed(1000, 1).drop(columns="city"), seed=5)
    theirs = PCA(n_components=len(plan.components)).fit(_numbers(plan))

    assert pytest.approx(theirs.explained_variance_ratio_.sum(), rel=0.02) == plan.explained
    agreement = np.linalg.svd(plan.components @ theirs.components_.T)[1]
    assert agreement == pytest.approx(1, abs=0.01)


def _numbers(plan: ReconstructionPlan) -> np.ndarray:
    """Fresh rows as the plan's numbers: value and missing mark of each column."""
    fresh = mixed(5000, 9).drop(columns="city").to_numpy()
    numbers = np.zeros((5000, 8))
    for at, rule in enumerate(plan.rules):
        numbers[:, 2 * at] = (fresh[:, at] - rule.mean) / rule.deviation  # type: ignore[union-attr]
    return numbers


def test_the_p_value_is_welchs() -> None:
    """On two columns without ties the p-value is SciPy's Welch test of errors computed by hand."""
    reference, current = pair(400, 0.8, 0), pair(100, 0.7, 1)
    plan = planned(reference)
    numbers = np.column_stack([(current[rule.name] - rule.mean) / rule.deviation for rule in plan.rules])  # type: ignore[union-attr]
    direction = plan.components[0, [0, 2]]
    centred = np.clip(numbers, -5, 5) - plan.center[[0, 2]]
    errors = np.linalg.norm(centred - np.outer(centred @ direction, direction), axis=1)
    cap = np.quantile(plan.errors, 0.999, method="higher")
    before, now = np.minimum(plan.errors, cap), np.minimum(errors, cap)
    found = verdict(plan, current)

    assert pytest.approx(ttest_ind(now, before, equal_var=False).pvalue, rel=1e-6) == found.p_value
    assert pytest.approx((now.mean() - before.mean()) / before.std(ddof=1)) == found.shift


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("x1", lambda column: column.where(np.arange(400) % 5 > 0)),
        ("x2", lambda column: column + 3),
        ("city", lambda column: column.where(np.arange(400) % 4 > 0, "Oz")),
        ("city", lambda column: column.where(np.arange(400) % 4 > 0)),
        ("x0", lambda column: column.where(np.arange(400) % 9 > 0, np.inf)),
    ],
    ids=["nulls", "location", "unseen category", "null category", "infinite"],
)
def test_what_breaks_the_pattern_is_seen_and_named(column: str, change: object) -> None:
    """Missing values, shifts across the components, unseen categories: seen, and in the right column."""
    current = mixed(400, 2)
    current[column] = change(current[column])  # type: ignore[operator]
    found = verdict(PLAN, current)

    assert found.drifted
    assert found.residuals[0].name == column


def test_errors_that_shrink_are_a_change() -> None:
    """Rows that follow the pattern better than the reference are seen, with a negative shift."""
    found = verdict(planned(pair(1000, 0.5, 0)), pair(500, 0.99, 1))

    assert found.drifted
    assert found.shift < 0


def test_a_constant_that_changes_is_seen() -> None:
    """A column that never varied and now has another value is as far as can be."""
    reference = mixed(400, 1).assign(flag=1.0)

    assert verdict(planned(reference), mixed(200, 2).assign(flag=1.1)).drifted
    assert not verdict(planned(reference), mixed(200, 2).assign(flag=1.0)).drifted


def test_another_unit_changes_nothing() -> None:
    """A column in another unit on both sides gives the same effect."""
    expected = verdict(PLAN, mixed(300, 2)).effect
    scaled = [frame.assign(x0=frame["x0"] * 1000 + 7) for frame in (mixed(1000, 1), mixed(300, 2))]

    assert pytest.approx(expected, rel=1e-6) == verdict(planned(scaled[0]), scaled[1]).effect


def test_the_order_of_rows_does_not_matter() -> None:
    """Shuffled reference and window give the same verdict."""
    shuffled = planned(mixed(1000, 1).sample(frac=1, random_state=1))
    found = verdict(shuffled, mixed(300, 2).iloc[::-1])

    assert pytest.approx(verdict(PLAN, mixed(300, 2)).effect, rel=1e-9) == found.effect


def test_a_pickled_plan_says_the_same() -> None:
    """A plan survives its pickle."""
    copy = pickle.loads(pickle.dumps(PLAN))  # noqa: S301 - our own

    assert verdict(PLAN, mixed(300, 2)).to_dict() == verdict(copy, mixed(300, 2)).to_dict()


def test_a_window_without_the_plans_columns_is_one_error() -> None:
    """Missing columns and changed types are all named."""
    window = mixed(300, 2).drop(columns="x0").assign(x1="text")
    with pytest.raises(DataError) as caught:
        reconstruction(PLAN, window)

    assert ["column 'x0'", "column 'x1'"] == [problem.where for problem in caught.value.problems]


@pytest.mark.parametrize("variance", [0.0, 1.0, -1.0])
def test_the_share_of_variance_is_a_share(variance: float) -> None:
    """A share outside (0, 1) is refused."""
    with pytest.raises(DataError, match="variance"):
        reconstruction_plan(mixed(200, 1), variance=variance)


def test_too_little_is_no_data() -> None:
    """Few rows, no varying column and no value give their reasons."""
    assert reconstruction_plan(mixed(99, 1)) == NoData("100 reference rows are needed, there are 99")
    assert reconstruction(PLAN, mixed(19, 1)) == NoData("20 rows are needed, there are 19")
    assert reconstruction_plan(pd.DataFrame({"x": np.ones(100)})) == NoData(
        "no column of the reference varies"
    )
    assert reconstruction_plan(pd.DataFrame({"x": np.full(100, np.nan)})) == NoData(
        "no column of the reference holds a value"
    )
