from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitors.concept.blocks import BlockLoss
from monitors.concept.onset import Onset, onset
from monitors.concept.risk import log_evidence
from monitors.profiles.plan import Floats
from spec.concept import Dependence

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
losses: st.SearchStrategy[Floats] = st.integers(1, 20).flatmap(
    lambda rows: arrays(np.float64, rows, elements=st.floats(0, 1, width=32))
)
series = st.lists(losses, min_size=1, max_size=12)
dependences: st.SearchStrategy[Dependence] = st.sampled_from(["measured", "days", "none"])


def blocks(parts: list[Floats]) -> list[BlockLoss]:
    """A block a day."""
    return [BlockLoss.of(FIRST + timedelta(days=at), part) for at, part in enumerate(parts)]


def near(block: BlockLoss) -> Any:
    """The numbers of a block, to rounding."""
    return pytest.approx((block.rows, block.mean, block.variance, *block.growth), abs=1e-9)


@given(losses, losses)
def test_two_blocks_put_together_are_the_block_of_their_rows(one: Floats, other: Floats) -> None:
    """Adding records loses nothing, in either order."""
    both = near(BlockLoss.of(FIRST, np.concatenate([one, other])))
    first, second = BlockLoss.of(FIRST, one), BlockLoss.of(FIRST + timedelta(hours=1), other)

    for total in (first + second, second + first):
        assert total.start == FIRST
        assert (total.rows, total.mean, total.variance, *total.growth) == both


@given(series, dependences, st.floats(0.01, 0.9), st.floats(0.001, 0.09), st.floats(0, 1))
def test_a_higher_risk_is_never_easier_to_disprove(
    parts: list[Floats], dependence: Dependence, mean: float, more: float, intraclass: float
) -> None:
    """Evidence against a risk is evidence against every lower one, so the bounds are where they cross."""
    low, high = (log_evidence(blocks(parts), each, dependence, intraclass) for each in (mean, mean + more))

    assert np.isfinite(low).all()
    assert (high <= low + 1e-9).all()


@given(series, dependences, st.floats(0.01, 0.99), st.floats(0, 1))
def test_days_to_come_change_nothing_of_the_evidence_so_far(
    parts: list[Floats], dependence: Dependence, mean: float, intraclass: float
) -> None:
    """The evidence after each day follows from the days until then."""
    whole = log_evidence(blocks(parts), mean, dependence, intraclass)
    until = log_evidence(blocks(parts[: len(parts) // 2 + 1]), mean, dependence, intraclass)

    assert whole[: len(until)] == pytest.approx(until, abs=1e-9)


@given(st.lists(losses, min_size=6, max_size=20))
def test_an_onset_lies_in_its_set_and_is_a_rise(parts: list[Floats]) -> None:
    """Whatever the series, a date lies within its bounds and the loss is higher after it."""
    found = onset(blocks(parts))

    if isinstance(found, Onset):
        assert FIRST < found.low <= found.time <= found.high
        assert np.isfinite([found.before, found.after]).all()
        assert found.after > found.before
