from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from monitors.attribution import Explanation, Side, explain

ROWS = 2000


def frame(random: np.random.Generator) -> pd.DataFrame:
    """Flights: three numbers, an airport and a boolean, all independent."""
    return pd.DataFrame(
        {
            "wind": random.normal(10, 4, size=ROWS),
            "hour": random.integers(0, 24, size=ROWS).astype(float),
            "noise": random.normal(size=ROWS),
            "origin": random.choice(["JFK", "EWR", "LGA", None], size=ROWS, p=[0.3, 0.3, 0.3, 0.1]),
            "night": pd.array(random.random(ROWS) < 0.3, dtype="boolean"),
        }
    )


def loss(random: np.random.Generator, rows: pd.DataFrame, rise: np.ndarray | float = 0.0) -> np.ndarray:
    """Twice as much for a knot of wind as for an hour, and noise."""
    expected = 0.2 * rows["wind"] + 0.1 * rows["hour"] + rise
    return np.asarray(expected + random.normal(0, 0.5, size=len(rows)))


def explained(
    seed: int, moved: dict[str, float] | None = None, rise: object = lambda rows: 0.0 * rows["wind"]
) -> Explanation:
    """Explain rows with columns moved and a loss risen somewhere; the explanation must be one."""
    random = np.random.default_rng(seed)
    before, now = frame(random), frame(random)
    for name, step in (moved or {}).items():
        now[name] += step
    found = explain(Side(before, loss(random, before)), Side(now, loss(random, now, rise(now))))  # type: ignore[operator]
    assert isinstance(found, Explanation)
    return found


def test_what_moved_and_matters_carries_the_inputs_part() -> None:
    """Each moved feature's share is what it adds to the loss; one that moved but does not matter has none."""
    shares = {
        carrier.feature: carrier.share
        for carrier in explained(1, {"wind": 2, "hour": 2, "noise": 0.5}).input_carriers
    }

    assert shares["wind"] == pytest.approx(2 / 3, abs=0.08)
    assert shares["hour"] == pytest.approx(1 / 3, abs=0.08)
    assert shares.get("noise", 0) < 0.03
    assert sum(shares.values()) == pytest.approx(1)


def test_what_works_against_the_change_does_not_carry_it() -> None:
    """A feature that lowered the loss is no carrier of its rise."""
    found = explained(2, {"wind": 3, "hour": -2})

    assert found.moved.value > 0
    assert [carrier.feature for carrier in found.input_carriers] == ["wind"]


def test_a_part_that_may_be_nothing_has_no_carriers() -> None:
    """Where nothing changed, nothing is named."""
    found = explained(3)

    assert found.input_carriers == ()
    assert found.relation_carriers == ()
    assert found.region is None


def test_where_the_relation_changed_is_told_by_a_rule() -> None:
    """A rise at one airport in the evening is found as such, with the features, its rows and its size."""
    found = explained(4, rise=lambda rows: 1.5 * ((rows["origin"] == "JFK") & (rows["hour"] >= 17)))

    assert found.region is not None
    conditions = found.region.rule.split(" and ")
    assert "origin = JFK" in conditions
    assert any(condition.startswith("hour >= 1") for condition in conditions)
    assert {"origin", "hour"} == {carrier.feature for carrier in found.relation_carriers}
    assert found.region.share == pytest.approx(0.3 * 7 / 24, abs=0.03)
    assert found.region.rows == round(found.region.share * ROWS)
    assert found.region.rise.low < 1.5 < found.region.rise.high + 0.1


@pytest.mark.parametrize(
    ("rise", "rule"),
    [
        (lambda rows: rows["night"].astype(float), "night = true"),
        (lambda rows: 1.0 - rows["night"].astype(float), "night = false"),
        (lambda rows: rows["origin"].isna() * 2.0, "origin is missing"),
        (lambda rows: 2.0 * (rows["hour"] < 6), "hour < 6"),
    ],
    ids=["true", "false", "missing", "below"],
)
def test_a_rule_reads_as_a_person_would_say_it(rise: object, rule: str) -> None:
    """Booleans, missing values and bounds are written out."""
    found = explained(5, rise=rise)

    assert found.region is not None
    assert rule == found.region.rule


def test_where_the_loss_fell_is_told_as_well() -> None:
    """A relation that became easier at one airport names it, with a rise below 0."""
    found = explained(6, rise=lambda rows: -1.0 * (rows["origin"] == "EWR"))

    assert found.relation.high < 0
    assert found.region is not None
    assert found.region.rule == "origin = EWR"
    assert found.region.rise.high < 0


def test_a_change_alike_everywhere_is_nowhere_in_particular() -> None:
    """A relation that changed by the same everywhere has no carrier and no region."""
    found = explained(7, rise=lambda rows: 0.5 + 0 * rows["wind"])

    assert found.relation.low > 0
    assert found.relation_carriers == ()
    assert found.region is None
