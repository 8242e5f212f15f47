"""The labelled episodes: what goes wrong, where, how much, and what is to be done about it.

Each kind comes in several strengths, columns and models. Strengths are meant to leave no doubt: by the
labels of all rows, a shift that is to be watched costs less than what the model's file allows, and one that
is to be retrained away more. `triage.py` prints that harm beside each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitors.triage import Action

Floats = npt.NDArray[np.float64]
Random = np.random.Generator
Weigh = Callable[[pd.DataFrame, Floats], Floats]
Edit = Callable[[pd.DataFrame, Random], pd.DataFrame]
AFTER = 16
"""Windows from the onset on, where the label needs no longer proof."""

QUIET = "quiet"
BENIGN, HARMFUL, PRIOR = "benign shift", "harmful shift", "prior shift"
SUDDEN, GRADUAL, RECURRING = "sudden concept", "gradual concept", "recurring concept"
UNIT, NULL, STUCK, REPEATED = "unit change", "null column", "constant column", "duplicated ids"
LABELS, TRAFFIC, SLOW = "label delay", "traffic drop", "slow server"

EXPECTED = {
    QUIET: Action.NONE,
    BENIGN: Action.WATCH,
    HARMFUL: Action.RETRAIN,
    SUDDEN: Action.RETRAIN,
    GRADUAL: Action.RETRAIN,
    RECURRING: Action.RETRAIN,
    UNIT: Action.FIX_DATA,
    NULL: Action.FIX_DATA,
    STUCK: Action.FIX_DATA,
    REPEATED: Action.FIX_DATA,
    LABELS: Action.COLLECT_LABELS,
    TRAFFIC: Action.FIX_INFRA,
    SLOW: Action.FIX_INFRA,
}
"""A prior shift is to be retrained away where it does harm, else watched."""
LASTS = {(HARMFUL, "flights"): 56, (PRIOR, "flights"): 42}
"""Days that an oracle needs to prove a label nine times in ten (`oracle.py`), by kind and data.

Days of flights differ so much by their weather that 16 of them prove little. What is not here is plain in
`AFTER` days.
"""
FAULTS = frozenset({UNIT, NULL, STUCK, REPEATED})


def fully(_: int) -> float:
    """Return the strength of a cause that is all there from its first day."""
    return 1.0


def _ramp(day: int) -> float:
    return min(1.0, (day + 1) / 8)


def _on_and_off(day: int) -> float:
    return float(day % 6 < 4)


@dataclass(frozen=True)
class Cause:
    """What is wrong from the onset on.

    Parameters
    ----------
    weigh
        How likely each row of a day is to come, by its features, label and score; relative.
    flip
        Share of labels that are the other way round, of the rows that `where` says, at full strength.
    strength
        Of `flip` so many days after the onset.
    edit
        What happens to the rows' features before the model sees them.
    traffic, repeated
        Share of the usual rows that come; share of rows that come twice.
    slower, slow
        Factor of the latencies, for this share of rows.
    labels_after, labelled
        Days until labels come, None for never; share of rows that get one.
    """

    weigh: Weigh | None = None
    flip: float = 0.0
    where: str = ""
    strength: Callable[[int], float] = fully
    edit: Edit | None = None
    traffic: float = 1.0
    repeated: float = 0.0
    slower: float = 1.0
    slow: float = 1.0
    labels_after: int | None = 1
    labelled: float = 1.0


@dataclass(frozen=True)
class Episode:
    """A cause in a world; it is there for `lasts` days from the onset on."""

    kind: str
    what: str
    world: tuple[str, int]
    cause: Cause = field(default_factory=Cause)
    lasts: int = AFTER

    @property
    def days(self) -> int:
        """Days that are replayed from the onset on."""
        return max(AFTER, self.lasts)

    @property
    def is_fault(self) -> bool:
        """Whether the data are wrong."""
        return self.kind in FAULTS


def _tilt(name: str, by: float, rows: pd.DataFrame, _: Floats) -> Floats:
    """More rows with large (or small) values: e^(by·z)."""
    values = rows[name]
    z = ((values - values.mean()) / values.std()).fillna(0.0).clip(-3, 3)
    return np.exp(by * z.to_numpy(float))


def _more(name: str, value: str, times: float, rows: pd.DataFrame, _: Floats) -> Floats:
    """More rows of a category."""
    return np.where(rows[name] == value, times, 1.0)


def _between(name: str, low: float, high: float, rows: pd.DataFrame, _: Floats) -> Floats:
    """Nearly all rows from a range."""
    return np.where(rows[name].between(low, high), 1.0, 0.05)


def _uncertain(sharpness: float, _: pd.DataFrame, scores: Floats) -> Floats:
    """More rows of which the model is not sure: a function of the features."""
    return np.exp(-sharpness * (scores - 0.5) ** 2)


def _labelled(times: float, rows: pd.DataFrame, _: Floats) -> Floats:
    """More rows of the positive class, whatever their features."""
    return np.where(rows["label"], times, 1.0)


def _scaled(name: str, by: float, plus: float, rows: pd.DataFrame, _: Random) -> pd.DataFrame:
    return rows.assign(**{name: rows[name] * by + plus})


def _nulled(name: str, share: float, rows: pd.DataFrame, random: Random) -> pd.DataFrame:
    return rows.assign(**{name: rows[name].where(random.random(len(rows)) >= share)})


def _stuck(name: str, rows: pd.DataFrame, _: Random) -> pd.DataFrame:
    return rows.assign(**{name: rows[name].mode().iloc[0]})


F, C = "flights", "census"


def catalogue(seeds: tuple[int, int] = (0, 1)) -> tuple[Episode, ...]:
    """Return the episodes; the numbers of the worlds make another deal of days, models and draws of all."""
    a, b = seeds
    fa, fb, ca, cb = (F, a), (F, b), (C, a), (C, b)
    shift = partial(_episode, BENIGN)
    harm = partial(_episode, HARMFUL)
    prior = partial(_episode, PRIOR)
    flipped = partial(_flipped, SUDDEN, fully)
    ramped = partial(_flipped, GRADUAL, _ramp)
    returning = partial(_flipped, RECURRING, _on_and_off)
    unit = partial(_edited, UNIT)
    null = partial(_edited, NULL)
    stuck = partial(_edited, STUCK)
    return (
        *(Episode(QUIET, f"draw {at}", world) for at, world in enumerate([fa, fb, ca, cb, fa, cb])),
        shift("more JetBlue", fa, weigh=partial(_more, "carrier", "B6", 4.0)),
        shift("more of Newark", fb, weigh=partial(_more, "origin", "EWR", 4.0)),
        shift("shorter flights", fa, weigh=partial(_tilt, "distance", -0.7)),
        shift("more men", ca, weigh=partial(_more, "SEX", "1", 4.0)),
        shift("more of the second race", cb, weigh=partial(_more, "RAC1P", "2", 6.0)),
        shift("older people", ca, weigh=partial(_tilt, "AGEP", 0.5)),
        harm("later hours", fa, weigh=partial(_tilt, "hour", 3.0)),
        harm("uncertain flights", fb, weigh=partial(_uncertain, 40.0)),
        harm("of working age", ca, weigh=partial(_between, "AGEP", 17, 64)),
        harm("uncertain people", cb, weigh=partial(_uncertain, 20.0)),
        prior("a half as many late", fa, weigh=partial(_labelled, 0.5)),
        prior("more than twice as many late", fb, weigh=partial(_labelled, 3.0)),
        prior("fewer employed", ca, weigh=partial(_labelled, 0.4)),
        prior("more employed", cb, weigh=partial(_labelled, 3.0)),
        flipped("30 % of the labels", fa, 0.30),
        flipped("60 % of the early flights", fb, 0.60, "hour < 13"),
        flipped("25 % of the labels", ca, 0.25),
        flipped("60 % of the married", cb, 0.60, "MAR == '1'"),
        ramped("to 40 % of the labels", fa, 0.40),
        ramped("to 80 % of the late hours", fb, 0.80, "hour >= 13"),
        ramped("to 30 % of the labels", cb, 0.30),
        returning("40 % of the labels", fb, 0.40),
        returning("35 % of the labels", ca, 0.35),
        returning("90 % of the married", cb, 0.90, "MAR == '1'"),
        unit("distance in km", fa, partial(_scaled, "distance", 1.609344, 0.0)),
        unit("temperature in °C", fb, partial(_scaled, "temp", 1 / 1.8, -32 / 1.8)),
        unit("pressure in inHg", fa, partial(_scaled, "pressure", 1 / 33.8639, 0.0), lasts=10),
        unit("duration in hours", fb, partial(_scaled, "sched_minutes", 1 / 60, 0.0), lasts=10),
        unit("age in months", ca, partial(_scaled, "AGEP", 12.0, 0.0)),
        null("all ages", cb, partial(_nulled, "AGEP", 1.0)),
        null("60 % of marital status", ca, partial(_nulled, "MAR", 0.6), lasts=10),
        null("half of the humidity", fb, partial(_nulled, "humid", 0.5)),
        null("all carriers", fa, partial(_nulled, "carrier", 1.0), lasts=10),
        stuck("one age", cb, partial(_stuck, "AGEP")),
        stuck("one origin", fb, partial(_stuck, "origin")),
        _episode(REPEATED, "one row in 20", ca, repeated=0.05),
        _episode(REPEATED, "one row in 3", fa, repeated=0.33),
        replace(_episode(REPEATED, "all rows", cb, repeated=1.0), lasts=10),
        _episode(LABELS, "no labels", fa, labels_after=None),
        _episode(LABELS, "12 days late", fb, labels_after=12),
        _episode(LABELS, "of 3 %", ca, labelled=0.03),
        _episode(LABELS, "no labels, another model", cb, labels_after=None),
        _episode(TRAFFIC, "to 35 %", fa, traffic=0.35),
        _episode(TRAFFIC, "to 15 %", cb, traffic=0.15),
        _episode(TRAFFIC, "to 2 %", fb, traffic=0.02),
        _episode(TRAFFIC, "to nothing", ca, traffic=0.0),
        _episode(SLOW, "8 times", fa, slower=8.0),
        _episode(SLOW, "20 times", cb, slower=20.0),
        _episode(SLOW, "one in 20, 30 times", ca, slower=30.0, slow=0.05),
    )


def _episode(kind: str, what: str, world: tuple[str, int], **cause: object) -> Episode:
    lasts = LASTS.get((kind, world[0]), AFTER)
    return Episode(kind, what, world, replace(Cause(), **cause), lasts)  # type: ignore[arg-type]


def _flipped(
    kind: str,
    strength: Callable[[int], float],
    what: str,
    world: tuple[str, int],
    flip: float,
    where: str = "",
) -> Episode:
    return Episode(kind, what, world, Cause(flip=flip, where=where, strength=strength))


def _edited(kind: str, what: str, world: tuple[str, int], edit: Edit, lasts: int = AFTER) -> Episode:
    return Episode(kind, what, world, Cause(edit=edit), lasts)
