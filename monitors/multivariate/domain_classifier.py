"""Domain classifier: how well trees tell current rows from reference rows, and by which columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from monitors.finding import NoData
from monitors.multivariate.auc import Area, area, interval
from monitors.multivariate.cross_fitting import MINIMUM, CrossFit, Fold, Index, Score, cross_fit
from monitors.multivariate.grades import Graded, Matrix, grade
from monitors.multivariate.rows import Rows, arrow, pairs
from monitors.multivariate.shuffling import shuffled
from monitors.multivariate.verdict import Verdict

_TREES = 30
_LEAVES = 8
_LEAF = 20


@dataclass(frozen=True, slots=True)
class Carrier:
    """A column that tells the sides apart.

    Parameters
    ----------
    drop
        How much of the AUC is lost when the column is shuffled; about 0, or below, for one that carries
        nothing. Columns that say the same share the credit.
    share
        Of all positive drops, in [0, 1]; 0 everywhere if no drop is positive.
    """

    name: str
    drop: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainVerdict(Verdict):
    """A `Verdict` whose effect is max(0, 2·AUC - 1), with what carries it, the largest drop first.

    `auc` is what people know, ½ where nothing differs; `auc_interval` holds its 95 % interval. `skipped`
    says why columns were left out.
    """

    auc: float
    auc_interval: tuple[float, float]
    carriers: tuple[Carrier, ...]
    skipped: Mapping[str, str]


def domain_classifier(
    reference: Rows,
    current: Rows,
    *,
    categorical: Collection[str] = (),
    threshold: float = 0.1,
    alpha: float = 0.05,
    seed: int = 0,
) -> DomainVerdict | NoData:
    """Tell whether rows have changed as a whole, in one column or only in how columns go together.

    effect = max(0, 2·AUC - 1), the AUC of gradient-boosted trees (30 of 8 leaves, native categories and
    missing values) on rows that they have not seen, over five folds. In [0, 1], without a unit: 0 for
    samples that cannot be told apart, 1 for samples that share no row. 0.1 is an AUC of 0.55. See
    `cross_fitting` for the p-value, which is exact to Wilcoxon's normal limit for any sizes, and for the
    interval.

    A missing value is a value of its own: a null share that moves is seen. A constant column carries
    nothing. An extreme row is one row among others, whatever its size. The order of rows does not matter;
    the seed deals the folds. Inputs stay as they are.

    Parameters
    ----------
    reference, current
        Samples, 50 rows a side at least; a few thousand are plenty. Columns are matched by name.
    categorical
        Columns of numbers that are codes; strings and dictionaries are categorical anyway.

    Returns
    -------
    `NoData` with fewer rows, or if no shared column has a value.

    Raises
    ------
    DataError
        The tables share no column, or `categorical` names an unknown one.

    Source: Lopez-Paz, Oquab (2017), Revisiting classifier two-sample tests, ICLR.
    """
    ours, theirs = arrow(reference), arrow(current)
    columns, skipped = pairs(ours, theirs, categorical)
    if min(len(ours), len(theirs)) < MINIMUM:
        return NoData(f"{MINIMUM} rows a side are needed; reference has {len(ours)}, current {len(theirs)}")
    if not columns:
        return NoData("no column that both samples have holds a value")
    graded = grade(columns)
    fit = _Trees(graded, seed)
    told = cross_fit(graded.reference, graded.current, fit, stack=np.concatenate, seed=seed)
    return DomainVerdict(
        effect=told.effect,
        interval=told.effect_interval,
        p_value=told.p_value,
        rows_reference=len(ours),
        rows_current=len(theirs),
        threshold=threshold,
        alpha=alpha,
        auc=told.auc,
        auc_interval=(told.low, told.high),
        carriers=_carriers([column.name for column in columns], graded, told, seed),
        skipped=skipped,
    )


class _Trees:
    def __init__(self, graded: Graded, seed: int) -> None:
        rows = len(graded.reference) + len(graded.current)
        self._settings: dict[str, Any] = {
            "max_iter": _TREES,
            "max_leaf_nodes": _LEAVES,
            "min_samples_leaf": max(5, min(_LEAF, rows // 50)),
            "early_stopping": False,
            "categorical_features": graded.categorical,
            "class_weight": "balanced",
            "random_state": seed,
        }

    def __call__(self, rows: Matrix, sides: Index) -> Score:
        score: Score = HistGradientBoostingClassifier(**self._settings).fit(rows, sides).decision_function
        return score


def _carriers(names: Sequence[str], graded: Graded, told: CrossFit, seed: int) -> tuple[Carrier, ...]:
    """Shuffle each column within each fold's unseen rows and see how much AUC is lost."""
    random = np.random.default_rng(seed)
    shuffled = [_shuffled_areas(fold, graded, random) for fold in told.folds]
    drops = np.array([told.auc - interval(folds)[0] for folds in zip(*shuffled, strict=True)])
    positive = np.maximum(drops, 0)
    shares = positive / positive.sum() if positive.any() else positive
    ranked = np.argsort(-drops, kind="stable")
    return tuple(Carrier(names[at], float(drops[at]), float(shares[at])) for at in ranked)


def _shuffled_areas(fold: Fold, graded: Graded, random: np.random.Generator) -> list[Area]:
    rows = np.concatenate([graded.reference[fold.reference], graded.current[fold.current]])
    scores = shuffled(rows, fold.score, random)
    return [area(*np.split(score, [len(fold.reference)])) for score in scores.T]
