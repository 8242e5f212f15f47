from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from monitors.dependence import FEWEST, Dependence, Dispersion, measured
from monitors.profiles.planning import make_plan
from monitors.profiles.profile import Profile, merged
from monitors.profiles.tally import count

ROWS = 50


def windows(shifts: np.ndarray, seed: int = 0) -> tuple[dict[int, Profile], Profile]:
    """A profile of 50 rows for each window, which lies off by its shift, and that of all rows."""
    random = np.random.default_rng(seed)
    values = random.normal(np.repeat(shifts, ROWS), 1)
    table = pa.table({"x": values, "y": random.normal(size=len(values))})
    plan = make_plan(table, pairs=True)
    found = {
        number: count(plan, table.schema, table.slice(number * ROWS, ROWS).to_batches())
        for number in range(len(shifts))
    }
    return found, merged(list(found.values()))


def test_independent_rows_are_worth_themselves() -> None:
    """Where no window differs from another, design effects are 1 but for noise, at every length."""
    found = measured(*windows(np.zeros(400)), longest=8)

    assert pytest.approx([1, 1, 1, 1], abs=0.45) == list(found.columns["x"].ordered)
    assert (400, 200, 100, 50) == found.blocks


def test_what_lasts_for_a_day_weighs_more_the_longer_one_looks_back() -> None:
    """Where days of eight windows differ, eight windows hang together eight times as much as one."""
    days = np.random.default_rng(1).normal(0, 0.5, 60)

    one, *_, eight = measured(*windows(np.repeat(days, 8)), longest=8).columns["x"].ordered

    assert pytest.approx(8, rel=0.25) == (eight - 1) / (one - 1)
    assert pytest.approx(1 + 0.25 * ROWS / 1.25, rel=0.35) == one


def test_a_length_with_few_blocks_is_taken_for_the_worst() -> None:
    """Of 40 windows, two together are not measured: they count as hanging together twice as much as one."""
    found = measured(*windows(np.random.default_rng(1).normal(0, 0.5, FEWEST + 12)), longest=8)
    one = found.effect("x", "wasserstein", ROWS, 1)

    assert (FEWEST + 12,) == found.blocks
    assert [pytest.approx(1 + (one - 1) * length) for length in (2, 4, 8)] == [
        found.effect("x", "wasserstein", ROWS, length) for length in (2, 4, 8)
    ]


def test_windows_with_more_rows_hang_together_more() -> None:
    """The excess over 1 is in proportion to the rows of a window."""
    found = Dependence({"x": Dispersion((3.0,), (5.0,))}, (), (30,), block_rows=100)

    assert 9 == found.effect("x", "ks", 200, 1)
    assert 2 == found.effect("x", "psi", 50, 1)


def test_an_unknown_column_and_a_reference_without_times_count_rows_as_independent() -> None:
    """No design effect is made up."""
    assert 1 == Dependence().effect("x", "ks", 200, 8)
    assert 1 == Dependence().joint_effects(200, 8)
    assert 1e-6 == Dependence().p_value(1e-6, 8, 1.0)


def test_few_blocks_make_a_p_value_less_sure() -> None:
    """A design effect from 30 blocks is but an estimate; without one nothing changes."""
    found = Dependence({"x": Dispersion((3.0,), (3.0,))}, (), (60, 30), block_rows=100)

    assert 1e-6 < found.p_value(1e-6, 1, 3.0) < found.p_value(1e-6, 2, 3.0) == found.p_value(1e-6, 8, 3.0)
    assert 1e-6 == found.p_value(1e-6, 2, 1.0)


def test_correlations_of_days_that_differ_are_worth_less() -> None:
    """Two columns that go together otherwise each day have a design effect as a pair."""
    random = np.random.default_rng(3)
    signs = np.repeat(random.choice([-0.6, 0.6], 60), ROWS)
    first = random.normal(size=len(signs))
    table = pa.table({"x": first, "y": signs * first + 0.8 * random.normal(size=len(signs))})
    plan = make_plan(table, pairs=True)
    days = {
        number: count(plan, table.schema, table.slice(number * ROWS, ROWS).to_batches())
        for number in range(60)
    }

    effects = measured(days, merged(list(days.values())), longest=1).joint_effects(ROWS, 1)

    assert np.asarray(effects)[0, 1] > 10


def test_the_record_is_json_and_reads_back() -> None:
    """What a reference stores is what it had, correlations to three digits."""
    found = measured(*windows(np.zeros(60)), longest=2)

    again = Dependence.from_record(json.loads(json.dumps(found.to_record())))

    assert found.columns == again.columns
    assert (found.blocks, found.block_rows) == (again.blocks, again.block_rows)
    assert all(map(np.allclose, found.joint, again.joint, [0] * 2, [1e-3] * 2))


def test_what_chance_shows_between_independent_rows_is_not_multiplied() -> None:
    """A dispersion of 1.2 between 30 blocks is no sign of anything: it does not grow, nor doubt a p-value."""
    found = Dependence({"x": Dispersion((1.2,), (1.2,))}, (), (30,), block_rows=10)

    assert pytest.approx(1.2) == found.effect("x", "ks", 200, 8)
    assert 1e-6 == found.p_value(1e-6, 8, 1.2)


def test_longer_lookbacks_go_on_as_an_autoregression() -> None:
    """From the last doubling's growth of 1.6, four pairs of windows are 1 + 2 Σ (1 − k/4) 0.6^k times one."""
    found = Dependence({"x": Dispersion((11.0, 17.0), (11.0, 17.0))}, (), (60, 30), block_rows=100)
    factor = 1 + 2 * (0.75 * 0.6 + 0.5 * 0.36 + 0.25 * 0.216)

    assert pytest.approx(1 + 16 * factor) == found.effect("x", "ks", 100, 8)
