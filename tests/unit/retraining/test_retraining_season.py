from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from retraining import adopt, retrain
from retraining.dataset import rows
from spec import loads
from spec.retrain import Learner

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture
def seasons(orders: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Return 60 days of orders; from day 10 to day 30 it is winter, and other things come back."""
    frame = orders(n=4000)
    age = frame["ordered_at"].max() - frame["ordered_at"]
    winter = (age > timedelta(days=30)) & (age <= timedelta(days=50))
    frame["weight"] = frame["weight"].fillna(5.0) + 20.0 * winter
    frame["returned"] = frame["returned"].where(~winter, ~frame["returned"])
    return frame


@pytest.mark.parametrize(("season", "accepted"), [("40d", False), ("null", True)])
def test_a_season_that_returns_must_not_surprise(
    registry_world: Callable[..., Any],
    shop_yaml: Callable[..., str],
    put_history: Callable[..., None],
    small_pipeline: Callable[..., Any],
    seasons: pd.DataFrame,
    season: str,
    accepted: bool,
) -> None:
    """Learnt from the last 15 days, a candidate is as good as the champion by all recent evidence: a trap.

    Winter comes again. The champion knows it; the candidate is rejected by the rows of the last one, and
    without them it would have been accepted.
    """
    world = registry_world()
    yaml = shop_yaml(validate=f"season: {season}, margin: 5%, calibration: 100%")
    yaml = yaml.replace("holdout: 10d", "holdout: 10d\n  windows: [15d]")
    world.spec = loads(yaml)
    put_history(world, seasons)
    older = seasons[seasons["ordered_at"] < seasons["ordered_at"].max() - timedelta(days=10)]
    newer = seasons.drop(older.index)
    champion = small_pipeline(world.spec, Learner.LIGHTGBM)
    champion.fit(rows.inputs(world.spec, older), rows.target(world.spec, older))
    adopt(world.spec, world.settings, champion, as_inputs(older), as_inputs(newer))

    verdict = retrain(world.spec, world.settings, "r").validation

    gates = {gate.name: gate for gate in verdict.gates}
    assert gates["recent"].passed
    assert accepted is verdict.accepted, verdict.reasons
    assert accepted is gates["season"].passed
    if not accepted:
        assert "season: a season ago: " in verdict.reasons[-1]
        assert "not shown to be non-inferior" in verdict.reasons[-1]


def as_inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return orders as the pipeline takes them."""
    return frame.assign(
        country=frame["country"].astype(object).fillna(""), member=frame["member"].astype("Float64")
    )
