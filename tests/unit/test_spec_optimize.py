from __future__ import annotations

from datetime import timedelta
from typing import get_args

import pytest

from retraining.passes import PASSES
from spec import SpecError, loads
from spec.model import Optimize

SHOP = """
model: shop
task: binary
data:
  inference_log: shop/inference
  labels: shop/labels
  id: order_id
  time: ordered_at
  target: {name: returned}
features: {amount: numeric}
"""


def test_the_spec_names_every_pass_there_is() -> None:
    """What can be written is what can be done, in the order in which it is done."""
    named = get_args(get_args(Optimize.model_fields["passes"].annotation)[0])

    assert tuple(PASSES) == named


def test_the_defaults_fit_no_model_again() -> None:
    """A first user's retrain takes no longer than its search; both kinds of models have something to gain."""
    optimize = loads(SHOP).optimize

    assert ("distil", "prune_trees", "quantize") == optimize.passes
    assert (24, timedelta(minutes=1)) == (optimize.max_variants, optimize.time)


def test_limits_are_written_as_people_write_them() -> None:
    """Sizes and durations with their units."""
    within = loads(SHOP + "optimize: {within: {memory: 200MB, cpu_per_million: 60s}}").optimize.within

    assert (200_000_000, timedelta(minutes=1)) == (within.memory, within.cpu_per_million)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("{passes: [half, half]}", "must name each pass once"),
        ("{passes: [prune]}", "optimize.passes"),
        ("{max_variants: 0}", "optimize.max_variants"),
        ("{time: 0s}", "optimize.time"),
    ],
)
def test_what_cannot_be_is_told(wrong: str, told: str) -> None:
    """The place in the file and what it must be."""
    with pytest.raises(SpecError, match=told):
        loads(SHOP + f"optimize: {wrong}")
