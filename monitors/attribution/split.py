"""Why did the loss change? The one question, asked of two sides of labelled rows."""

from __future__ import annotations

import numpy as np

from monitors.attribution.explanation import Explanation, certain
from monitors.attribution.input_carriers import input_carriers
from monitors.attribution.learned import learn
from monitors.attribution.pooled import Pooled, pool
from monitors.attribution.region import region
from monitors.attribution.relation_carriers import relation_carriers
from monitors.attribution.shared_space import overlap, parts, share
from monitors.attribution.sides import Side, check
from monitors.finding import NoData
from monitors.multivariate.rows import arrow, pairs

MINIMUM = 200
"""Labelled rows a side below which nothing is said."""
LEAST_OVERLAP = 0.1
_LEAST_SHARED = 100


def explain(reference: Side, current: Side, *, loss: str = "loss", seed: int = 0) -> Explanation | NoData:
    """Split the change of the mean loss into moved inputs and a changed relation, and name what carries each.

    See `shared_space` for the split. The intervals are at 95 %, over days where five or more are known of a
    side, over rows otherwise (too narrow if the rows of few days go together). The order of rows does not
    matter; the seed deals the folds. One thread; about two seconds for 5,000 rows a side of 20 features.

    A shift of the labels alone (the same inputs for each label, another mix of labels) moves the inputs *and*
    changes the relation, and shows as both.

    Parameters
    ----------
    reference, current
        `MINIMUM` labelled rows a side or more; a few thousand are plenty.
    loss
        What the losses are, in words, for the sentence.

    Returns
    -------
    `NoData` with fewer rows, or where the sides' inputs have too little in common to compare the loss of any.

    Raises
    ------
    DataError
        Losses or times do not fit the rows, a loss is not finite, or the sides share no column.
    """
    check(reference, current)
    if min(len(reference), len(current)) < MINIMUM:
        rows = f"reference has {len(reference)}, current {len(current)}"
        return NoData(f"{MINIMUM} labelled rows a side are needed; {rows}")
    columns, _ = pairs(arrow(reference.frame), arrow(current.frame))
    if not columns:
        return NoData("no feature that both sides have holds a value")
    pooled = pool(reference, current, columns, seed)
    learned = learn(pooled, seed)
    shared = share(pooled, learned)
    common = overlap(pooled, shared)
    if common < LEAST_OVERLAP or common * min(len(reference), len(current)) < _LEAST_SHARED:
        return NoData(_apart(pooled, common))
    found = parts(pooled, shared)
    changed = certain(found.relation)
    return Explanation(
        loss=loss,
        total=found.total,
        inputs=found.inputs,
        relation=found.relation,
        new_inputs=found.new_inputs,
        moved=found.moved,
        overlap=common,
        input_carriers=input_carriers(pooled, learned, found, seed) if certain(found.moved) else (),
        relation_carriers=relation_carriers(pooled, shared, seed) if changed else (),
        region=region(pooled, shared, found) if changed else None,
        rows_reference=len(reference),
        rows_current=len(current),
    )


def _apart(pooled: Pooled, common: float) -> str:
    """Say how little the sides share, and which single feature parts them most."""
    alone = [_shared_alone(pooled, feature) for feature in range(len(pooled.names))]
    worst = int(np.argmin(alone))
    return (
        f"the inputs of both sides have too little in common to tell why the loss changed: an overlap of "
        f"{common:.2f} of {LEAST_OVERLAP:g} needed; {pooled.names[worst]} alone has {alone[worst]:.2f}"
    )


def _shared_alone(pooled: Pooled, feature: int) -> float:
    """Return 2 ∫ pq / (p + q) of one feature's grades, a missing value being one more."""
    _, grades = np.unique(pooled.matrix[:, feature], return_inverse=True)
    old, new = (np.bincount(grades, pooled.weight * side) for side in (~pooled.current, pooled.current))
    return float(np.sum(4 * old * new / (old + new)))
