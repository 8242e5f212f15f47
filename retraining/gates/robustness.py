"""What reaches a model is worse than what it was trained on: noise, missing columns, new categories."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitors.performance import blocks
from retraining.gates.exam import Exam
from retraining.gates.paired import Bounds, bounds
from retraining.records import Gate
from spec import FeatureType, ModelSpec

NAME = "robustness"
_NOISE = 0.1
"""Standard deviation of the noise, as a part of each column's own."""
_MOST_ROWS = 2_000
_FEWEST_ROWS = 20
_STEPS = 8
Days = NDArray[np.int64]


def judge(exam: Exam, seed: int = 0) -> Gate:
    """Judge by the loss of both sides on spoilt rows, up to 2,000 of them; paired, with days as the units.

    Passes where the candidate's loss is shown to be above the champion's on the same rows by no more than
    ``validate.robustness`` of it, at ``validate.confidence``, whatever is done to the rows: noise of a tenth
    of each number's deviation, a column that is missing, categories that are dealt out anew among the rows.
    With ``validate.adversarial`` also the share of decisions that some small step turns (a tenth of a
    deviation in every number, the worst of 8 random directions) must be shown to be no more above that of
    the champion.
    """
    if exam.against is None:
        return Gate(name=NAME, passed=True, reason="there is no champion to be less robust than")
    if len(exam.rows) < _FEWEST_ROWS:
        return Gate(name=NAME, passed=True, reason="too few rows to spoil")
    rng = np.random.default_rng(seed)
    part = _sampled(exam, rng)
    allowed, days = exam.spec.validation.robustness, blocks(part.truth(part.ours).times)
    found = {
        name: _above(part, inputs, days, seed) for name, inputs in _spoilt(exam.spec, part.rows.inputs, rng)
    }
    failed = [f"{name}: {_against(above)}" for name, above in found.items() if above.high > allowed]
    if exam.spec.validation.adversarial:
        failed += _turned(part, days, rng)
    worst = max(found, key=lambda name: found[name].high)
    told = f"the worst of {len(found)} ways to spoil rows is {worst}: {_against(found[worst])}"
    return Gate(
        name=NAME,
        passed=not failed,
        reason="; ".join(failed) or told,
        value=found[worst].value,
        upper=found[worst].high,
        limit=allowed,
        rows=len(part.rows),
        days=int(days.max()) + 1,
    )


def _above(part: Exam, inputs: pd.DataFrame, days: Days, seed: int) -> Bounds:
    """Return by how much the candidate's loss lies above the champion's, as a part of it."""
    tiny = np.finfo(float).tiny
    ours, theirs = (np.bincount(days, losses) for losses in part.losses(inputs))
    confidence = part.spec.validation.confidence
    return bounds(
        lambda weights: (weights @ ours) / np.maximum(weights @ theirs, tiny) - 1, len(ours), confidence, seed
    )


def _against(above: Bounds) -> str:
    told = f"loss {abs(above.value):.1%} {'above' if above.value > 0 else 'below'} the champion's"
    return f"{told}, at worst {above.high:+.1%}"


def _sampled(exam: Exam, rng: np.random.Generator) -> Exam:
    kept = np.sort(rng.permutation(len(exam.frame))[:_MOST_ROWS])
    return Exam.of(exam.spec, exam.frame.iloc[kept], exam.ours, exam.theirs, exam.against)


def _spoilt(
    spec: ModelSpec, inputs: pd.DataFrame, rng: np.random.Generator
) -> Iterator[tuple[str, pd.DataFrame]]:
    numbers = list(spec.features_of(FeatureType.NUMERIC))
    texts = list(spec.features_of(FeatureType.CATEGORICAL))
    if numbers:
        yield "noise", _moved(inputs, numbers, rng.standard_normal((len(inputs), len(numbers))))
    for name in spec.features:
        missing = "" if name in texts else np.float32(np.nan)
        yield f"{name} missing", inputs.assign(**{name: missing})
    for name in texts:
        yield f"{name} dealt anew", inputs.assign(**{name: rng.permutation(inputs[name].to_numpy())})


def _moved(inputs: pd.DataFrame, numbers: list[str], steps: np.ndarray) -> pd.DataFrame:
    """Move numbers by steps [n, numbers] in units of `_NOISE` of each column's deviation."""
    values = inputs[numbers].to_numpy("float64")
    spread = np.nan_to_num(np.nanstd(values, axis=0)) * _NOISE
    moved = (values + steps * spread).astype("float32")
    return inputs.assign(**{name: moved[:, index] for index, name in enumerate(numbers)})


def _turned(exam: Exam, days: Days, rng: np.random.Generator) -> list[str]:
    numbers = list(exam.spec.features_of(FeatureType.NUMERIC))
    if not numbers:
        return []
    signs = [rng.choice([-1.0, 1.0], (len(exam.rows), len(numbers))) for _ in range(_STEPS)]
    steps = [_moved(exam.rows.inputs, numbers, sign) for sign in signs]
    turned = []
    for answer in (exam.ours, exam.theirs):
        before = _decided(exam.spec, answer(exam.rows.inputs))
        turned.append(np.any([_decided(exam.spec, answer(step)) != before for step in steps], axis=0))
    ours, theirs = (share.astype("float64") for share in turned)
    more, sizes, wanted = np.bincount(days, ours - theirs), np.bincount(days), exam.spec.validation
    apart = bounds(lambda weights: (weights @ more) / (weights @ sizes), len(sizes), wanted.confidence)
    if apart.high <= wanted.robustness:
        return []
    told = f"small steps turn {ours.mean():.1%} of decisions, the champion's {theirs.mean():.1%}"
    return [f"{told}, at worst {apart.high:+.1%}"]


def _decided(spec: ModelSpec, scores: np.ndarray) -> np.ndarray:
    """Return the decision of each row; a value is another one when it moves by a tenth of their spread."""
    if scores.ndim > 1:
        return np.asarray(scores.argmax(axis=1))
    if spec.task.value == "binary":
        return np.asarray(scores > 0.5)  # noqa: PLR2004 - even odds
    return np.asarray(np.round(scores / max(float(np.std(scores)) * _NOISE, 1e-12)))
