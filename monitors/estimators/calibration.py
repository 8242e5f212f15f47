"""Calibration: from a model's scores to probabilities that come true as often as they say.

Each class is calibrated against the rest and the classes are then normalized, as Zadrozny and Elkan (2002),
Transforming classifier scores into accurate multiclass probability estimates, KDD. Isotonic regression is
free of form but needs rows; with fewer than `FEW` of either kind a logistic curve of the score's logit is
fitted instead (Platt 1999, with his smoothed targets).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from monitors.estimators import blocks
from monitors.estimators.blocks import Mask
from monitors.metrics import Array, Blocks

FEW = 50
"""Rows of a class, or not of it, below which isotonic regression would follow chance."""
FOLDS = 5
_BINS = 10
_STEPS = 50
_CLOSE = 1e-9
_EDGE = 1e-6


class Curve(Protocol):
    """From scores of one class to its probabilities, shape (rows,) both."""

    def __call__(self, scores: Array) -> Array:
        """Return the probabilities."""


@dataclass(frozen=True, slots=True, eq=False)
class Isotonic:
    """A rising line through knots, level beyond them."""

    scores: Array
    probabilities: Array

    def __call__(self, scores: Array) -> Array:
        """Return the line at the scores."""
        return np.interp(scores, self.scores, self.probabilities)


@dataclass(frozen=True, slots=True)
class Logistic:
    """P = 1 / (1 + exp(-(intercept + slope·logit(score))))."""

    intercept: float
    slope: float

    def __call__(self, scores: Array) -> Array:
        """Return the curve at the scores."""
        return _expit(self.intercept + self.slope * _logit(scores))


@dataclass(frozen=True, slots=True)
class Identity:
    """The scores as they are."""

    def __call__(self, scores: Array) -> Array:
        """Return the scores."""
        return scores


@dataclass(frozen=True, slots=True)
class Calibrator:
    """One curve a class; a single one for P(positive) of two."""

    curves: tuple[Curve, ...]

    def __call__(self, scores: Array) -> Array:
        """Return probabilities of every class, shape (rows, classes), from scores of that shape."""
        if len(self.curves) == 1:
            positive = np.clip(self.curves[0](scores[:, 1]), 0.0, 1.0)
            return np.column_stack([1 - positive, positive])
        raw = np.column_stack([curve(scores[:, at]) for at, curve in enumerate(self.curves)])
        total = raw.sum(axis=1, keepdims=True)
        return np.where(total > 0, raw / np.where(total > 0, total, 1), scores)


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """A calibrator, and curves fitted to resampled blocks of the same rows, whose spread is its error."""

    point: Calibrator
    draws: tuple[Calibrator, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Labelled rows, sorted once for however many fits.

    Parameters
    ----------
    scores
        Shape (rows, classes), two classes or more; rows sum to 1.
    labels
        Index of the class, shape (rows,).
    knots, places
        Of each class that has a curve: the different scores, and each row's place among them.
    """

    scores: Array
    labels: Array
    knots: tuple[Array, ...]
    places: tuple[Blocks, ...]

    @classmethod
    def of(cls, scores: Array, labels: Array) -> Sample:
        """Sort the scores."""
        pairs = [np.unique(scores[:, at], return_inverse=True) for at in _asked(scores)]
        return cls(scores, labels, tuple(knots for knots, _ in pairs), tuple(places for _, places in pairs))

    def fit(self, weights: Array | None = None) -> Calibrator:
        """Fit a calibrator to the rows with weights of 0 or more, shape (rows,); 1 if None."""
        weight = np.ones(len(self.labels)) if weights is None else weights
        return Calibrator(
            tuple(
                _curve(knots, place, self.labels == at, weight)
                for at, knots, place in zip(_asked(self.scores), self.knots, self.places, strict=True)
            )
        )


def ensemble(sample: Sample, block: Blocks, *, weights: Array | None, draws: int, seed: int) -> Ensemble:
    """Fit a calibrator and `draws` others on blocks drawn with replacement.

    Without weights the scores stay as they are where calibration does not help; their error is the spread of
    the others all the same.
    """
    whole = np.ones(len(sample.labels)) if weights is None else weights
    if weights is None and not helps(sample.scores, sample.labels, block):
        point = Calibrator((Identity(),) * len(sample.knots))
    else:
        point = sample.fit(weights)
    resampled = (drawn * whole for drawn in blocks.draws(block, draws, seed))
    return Ensemble(point, tuple(sample.fit(drawn) for drawn in resampled))


def cross_fitted(scores: Array, labels: Array, block: Blocks) -> Array:
    """Return probabilities of every row by a calibrator blind to its block, shape (rows, classes)."""
    found = scores.copy()
    for tested in blocks.folds(block, FOLDS):
        if not tested.all():
            found[tested] = Sample.of(scores[~tested], labels[~tested]).fit()(scores[tested])
    return found


def helps(scores: Array, labels: Array, block: Blocks) -> bool:
    """Say whether calibration lowers the expected calibration error of rows that it has not seen."""
    calibrated = cross_fitted(scores, labels, block)
    return calibration_error(calibrated, labels) < calibration_error(scores, labels)


def calibration_error(probabilities: Array, labels: Array) -> float:
    """Return the mean distance of probability and frequency over ten bins of equal mass, worst class first.

    Ties stay in one bin. Shape (rows, classes); the mean over classes. In [0, 1].
    """
    errors = []
    for at in range(probabilities.shape[1]):
        column, true = probabilities[:, at], labels == at
        cuts = np.unique(np.quantile(column, np.arange(1, _BINS) / _BINS))
        apart = np.bincount(np.searchsorted(cuts, column, "right"), weights=column - true)
        errors.append(np.abs(apart).sum() / len(labels))
    return float(np.mean(errors))


def _asked(scores: Array) -> range:
    """Classes that have a curve: the second of two, or all."""
    return range(1, 2) if scores.shape[1] == 2 else range(scores.shape[1])  # noqa: PLR2004 - binary


def _curve(knots: Array, place: Blocks, true: Mask, weights: Array) -> Curve:
    drawn = weights > 0
    rarer = min(np.count_nonzero(true & drawn), np.count_nonzero(~true & drawn))
    if rarer < FEW:
        return _logistic(knots[place], true, weights)
    return _isotonic(knots, place, true, weights)


def _isotonic(knots: Array, place: Blocks, true: Mask, weights: Array) -> Isotonic:
    from sklearn.isotonic import isotonic_regression  # noqa: PLC0415 - heavy

    weight = np.bincount(place, weights=weights, minlength=len(knots))
    hits = np.bincount(place, weights=weights * true, minlength=len(knots))
    used = weight > 0
    share = hits[used] / weight[used]
    risen = isotonic_regression(share, sample_weight=weight[used], y_min=0, y_max=1)
    return Isotonic(knots[used], np.asarray(risen, dtype=float))


def _logistic(scores: Array, true: Mask, weights: Array) -> Logistic:
    """Newton's method on the likelihood of Platt's targets, which no separation drives to infinity."""
    positives, negatives = float(weights @ true), float(weights @ ~true)
    target = np.where(true, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    rows = np.column_stack([np.ones_like(scores), _logit(scores)])
    found = np.zeros(2)
    for _ in range(_STEPS):
        probability = _expit(rows @ found)
        curvature = (rows * (weights * probability * (1 - probability))[:, None]).T @ rows
        step = np.linalg.solve(curvature + _CLOSE * np.eye(2), rows.T @ (weights * (target - probability)))
        found = found + np.clip(step, -2, 2)
        if np.abs(step).max() < _CLOSE:
            break
    return Logistic(float(found[0]), float(found[1]))


def _logit(scores: Array) -> Array:
    inside = np.clip(scores, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _expit(values: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(values / 2)))
