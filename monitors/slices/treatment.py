"""What each group of a protected attribute gets: the rates that fairness compares.

Demographic parity compares what groups get: the share that is decided positive or, of values, the mean
prediction in standard deviations of the predictions. Equalized odds compare how often it is right: the
share of the positives that are found and of the negatives that are taken for positives or, of values, the
mean absolute error in standard deviations of the labels. With several classes, each stands against all
others, and the class that differs most counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitors.metrics import Rows
from monitors.slices.cuts import Codes
from monitors.slices.disparity import Rate
from monitors.slices.losses import Array
from spec import Task
from spec.fairness import FairnessMetric

FEWEST = 10
"""Rows of a group, positive or negative, from which on its rate among them is compared."""
_PARITY = FairnessMetric.DEMOGRAPHIC_PARITY
Chosen = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of one protected attribute; `code` is the group of each row, shape (rows,)."""

    names: tuple[str, ...]
    code: Codes

    def sizes(self, among: Chosen) -> npt.NDArray[np.int64]:
        """Return how many of some rows each group has."""
        return np.bincount(self.code[among], minlength=len(self.names))


def rates(
    task: Task, metric: FairnessMetric, rows: Rows, groups: Groups, min_rows: int
) -> tuple[list[Rate], float]:
    """Return what the metric compares, and fairlearn's value of it: the largest difference of two groups.

    Groups with fewer than `min_rows` rows are left out, and from equalized odds those with fewer than
    `FEWEST` rows of a class or outside of it. Without two groups the value is 0 and says nothing.
    """
    enough = groups.sizes(np.ones(len(rows.labels), dtype=bool)) >= min_rows
    if task is Task.REGRESSION:
        return _of_values(metric, rows, groups, enough)
    found: list[Rate] = []
    most = 0.0
    outputs = rows.scores.shape[1]
    for index in range(1, 2) if outputs == 1 else range(outputs):
        actual, decided = rows.labels == index, rows.decided == index
        told = enough
        if metric is not _PARITY:
            told = enough & (groups.sizes(actual) >= FEWEST) & (groups.sizes(~actual) >= FEWEST)
        if told.sum() < 2:  # noqa: PLR2004 - a difference is between two
            continue
        suffix = "" if outputs == 1 else f" of class {index}"
        for name, among in _shares(metric, actual):
            found.append(_share(name + suffix, among, decided, rows, groups, told))
        most = max(most, _fairlearns(metric, actual, decided, groups.code, told))
    return found, most


def _shares(metric: FairnessMetric, actual: Chosen) -> Iterator[tuple[str, Chosen]]:
    """Yield the names of the shares that are decided positive, and among which rows."""
    if metric is _PARITY:
        yield "selection_rate", np.ones(len(actual), dtype=bool)
    else:
        yield "true_positive_rate", actual
        yield "false_positive_rate", ~actual


def _share(name: str, among: Chosen, decided: Chosen, rows: Rows, groups: Groups, told: Chosen) -> Rate:
    n = rows.sums_by(groups.code, len(groups.names), among.astype(float))[told]
    hits = rows.sums_by(groups.code, len(groups.names), (among & decided).astype(float))[told]
    return Rate.of_hits(name, _names(groups, told), hits, n)


def _fairlearns(metric: FairnessMetric, actual: Chosen, decided: Chosen, code: Codes, told: Chosen) -> float:
    from fairlearn.metrics import (  # noqa: PLC0415 - seconds, and only for protected attributes
        demographic_parity_difference,
        equalized_odds_difference,
    )

    of = demographic_parity_difference if metric is _PARITY else equalized_odds_difference
    kept = told[code]
    truth, answer = (np.asarray(side[kept], dtype=np.int64) for side in (actual, decided))
    return float(of(truth, answer, sensitive_features=code[kept]))


def _of_values(
    metric: FairnessMetric, rows: Rows, groups: Groups, enough: Chosen
) -> tuple[list[Rate], float]:
    parity = metric is _PARITY
    values = rows.scores[:, 0] if parity else np.abs(rows.errors)
    unit = float(np.std(rows.scores[:, 0] if parity else rows.labels))
    if enough.sum() < 2 or unit == 0:  # noqa: PLR2004 - a difference is between two
        return [], 0.0
    rate = _mean("mean_prediction" if parity else "mean_absolute_error", values / unit, rows, groups, enough)
    return [rate], _fairlearns_of_values(metric, rows, groups.code, enough) / unit


def _mean(name: str, values: Array, rows: Rows, groups: Groups, told: Chosen) -> Rate:
    count = len(groups.names)
    n, total, square = (
        rows.sums_by(groups.code, count, of)[told] for of in (np.ones(len(values)), values, values**2)
    )
    size = n.sum(axis=1)
    spread = np.maximum(square.sum(axis=1) / size - (total.sum(axis=1) / size) ** 2, 0)
    return Rate(name, _names(groups, told), total, n, spread / np.maximum(size - 1, 1))


def _fairlearns_of_values(metric: FairnessMetric, rows: Rows, code: Codes, told: Chosen) -> float:
    from fairlearn.metrics import MetricFrame, mean_prediction  # noqa: PLC0415 - as above
    from sklearn.metrics import mean_absolute_error  # noqa: PLC0415 - as above

    kept = told[code]
    frame = MetricFrame(
        metrics=mean_prediction if metric is _PARITY else mean_absolute_error,
        y_true=rows.labels[kept],
        y_pred=rows.scores[kept, 0],
        sensitive_features=code[kept],
    )
    return float(frame.difference())


def _names(groups: Groups, told: Chosen) -> tuple[str, ...]:
    return tuple(name for name, has in zip(groups.names, told, strict=True) if has)


def farthest(told: Sequence[Rate]) -> str:
    """Say which two groups of which rate lie farthest apart; one rate of two groups at least."""
    widest = max(told, key=lambda rate: float(np.ptp(rate.by_group)))
    low, high = int(widest.by_group.argmin()), int(widest.by_group.argmax())
    return (
        f"{widest.name} from {widest.by_group[low]:.3f} ({widest.groups[low]}) "
        f"to {widest.by_group[high]:.3f} ({widest.groups[high]})"
    )
