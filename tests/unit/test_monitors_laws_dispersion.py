from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm

from monitors.finding import NoData
from monitors.laws import design_effect, effective_size, p_value, studentized
from spec.errors import DataError

EDGES = np.concatenate(([-np.inf], norm.ppf(np.arange(1, 20) / 20), [np.inf]))
Counts = npt.NDArray[np.int64]


def normal_days(generator: np.random.Generator, days: int, rows: int, spread: float) -> Counts:
    """Counts of days whose mean is drawn anew each day."""
    means = generator.normal(0, spread, days)
    return np.array([generator.multinomial(rows, np.diff(norm.cdf(EDGES - mean))) for mean in means])


def test_independent_rows_have_the_effect_one() -> None:
    """Over many references of independent rows φ has mean 1 before the cut, dense or sparse cells alike."""
    generator = np.random.default_rng(50)
    for cells, rows in ((4, 1_000), (30, 20)):
        above = [
            design_effect(generator.multinomial(rows, np.full(cells, 1 / cells), 40)) - 1 for _ in range(300)
        ]

        assert 0.3 < np.mean(np.array(above) > 0) < 0.65
        assert max(above) < 0.6


def test_clusters_of_rows_have_their_size() -> None:
    """If each row is there five times, five rows are worth one."""
    counts = 5 * np.random.default_rng(51).multinomial(200, np.full(10, 0.1), 200)

    assert design_effect(counts) == pytest.approx(5.0, rel=0.1)
    assert design_effect(counts, ordered=True) == pytest.approx(5.0, rel=0.3)
    assert design_effect(counts, window=2.0) == pytest.approx(9.0, rel=0.1)


def test_seasons_are_no_dispersion_within_them() -> None:
    """Hours that differ alike on every day have the effect one; what goes together has its own."""
    generator = np.random.default_rng(56)
    hours = np.tile(np.arange(24), 28)
    mean = 2 * np.sin(2 * np.pi * hours / 24)
    laws = np.diff(norm.cdf(EDGES - mean[:, None]), axis=1)
    steady = np.array([generator.multinomial(300, law) for law in laws])

    assert design_effect(steady, ordered=True) > 50
    assert design_effect(steady, ordered=True, strata=hours) < 1.15
    assert design_effect(5 * steady, ordered=True, strata=hours) == pytest.approx(5.0, rel=0.15)
    assert isinstance(design_effect(steady[:24], strata=hours[:24]), NoData)


@pytest.mark.parametrize("method", ["wasserstein", "ks"])
def test_days_with_their_own_mean_inflate_false_alarms_and_effective_sizes_hold_the_level(
    method: str,
) -> None:
    """Windows of one day are rejected in a third of identical cases, and in 5 % with effective sizes."""
    generator = np.random.default_rng(52)
    law = {"edges": EDGES} if method == "wasserstein" else {}
    plain, right = 0, 0
    for _ in range(300):
        days = normal_days(generator, 29, 500, 0.1)
        reference, current = days[:28].sum(0), days[28]
        effect = design_effect(days[:28], ordered=True)
        sizes = {
            "n_effective": effective_size(reference.sum(), effect),
            "m_effective": effective_size(current.sum(), effect),
        }
        plain += p_value(method, reference, current, **law) <= 0.05
        right += p_value(method, reference, current, **law, **sizes) <= 0.05

    assert plain > 60
    assert right <= 28


def test_mixes_that_change_by_the_day_hold_their_level() -> None:
    """Categories whose mix is drawn anew each day (Dirichlet) are right for the distances without order."""
    generator = np.random.default_rng(53)
    plain, right = 0, 0
    for _ in range(300):
        mixes = generator.dirichlet(np.full(8, 25.0), 31)
        days = np.array([generator.multinomial(400, mix) for mix in mixes])
        effect = design_effect(days[:30])
        sizes = {"n_effective": effective_size(12_000, effect), "m_effective": effective_size(400, effect)}
        plain += p_value("jensenshannon", days[:30].sum(0), days[30]) <= 0.05
        right += p_value("jensenshannon", days[:30].sum(0), days[30], **sizes) <= 0.05

    assert plain > 150
    assert right <= 28


def test_far_out_the_estimate_of_the_effect_counts() -> None:
    """With ten days, 1 in 1000 is exceeded many times over by the normal deviate and held by Student's."""
    generator = np.random.default_rng(54)
    plain, student = 0, 0
    for _ in range(1_500):
        days = normal_days(generator, 11, 2_000, 0.2)
        effect = design_effect(days[:10], ordered=True)
        sizes = {"n_effective": effective_size(20_000, effect), "m_effective": effective_size(2_000, effect)}
        p = p_value("wasserstein", days[:10].sum(0), days[10], edges=EDGES, **sizes)
        plain += p <= 1e-3
        student += studentized(p, 10) <= 1e-3

    assert plain >= 8
    assert student <= 6


def test_studentized_is_milder_and_tends_to_the_same() -> None:
    """A p-value never falls, 1 stays 1, and with many blocks nothing changes."""
    for p in (1.0, 0.5, 0.01, 1e-12, 1e-300):
        assert studentized(p, 5) >= studentized(p, 50) >= p * (1 - 1e-9)
    assert studentized(1e-6, 10_000_000) == pytest.approx(1e-6, rel=0.01)
    with pytest.raises(DataError, match="blocks: must be at least 2"):
        studentized(0.5, 1)


def test_no_blocks_and_constants_have_no_effect_to_tell() -> None:
    """One block with rows, or one occupied cell, is no data; the size then stays what it is."""
    assert isinstance(design_effect([[3, 4], [0, 0]]), NoData)
    assert isinstance(design_effect([[3, 0], [4, 0]]), NoData)
    assert 70.0 == effective_size(70.0, NoData("one block"))
    assert 35.0 == effective_size(70.0, 2.0)
    assert 1.0 == effective_size(70.0, 1e9)
    assert 0.0 == effective_size(0.0, 2.0)


def test_wrong_blocks_are_told() -> None:
    """One row of counts, and a window of no size, are one error."""
    with pytest.raises(DataError) as raised:
        design_effect([1, 2], window=0.0)

    assert ["blocks", "window"] == [problem.where for problem in raised.value.problems]
