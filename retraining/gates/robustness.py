"""What reaches a model is worse than what it was trained on: noise, missing columns, new categories."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from retraining.gates.exam import Exam
from retraining.records import Gate
from spec import FeatureType, ModelSpec

NAME = "robustness"
_NOISE = 0.1
"""Standard deviation of the noise, as a part of each column's own."""
_MOST_ROWS = 2_000
_STEPS = 8


def judge(exam: Exam, seed: int = 0) -> Gate:
    """Judge by the mean loss of both sides on spoilt rows, up to 2,000 of them.

    Fails where the candidate's loss on rows that are spoilt in one of these ways is above the champion's on
    the same rows by more than ``validate.robustness`` of it: noise of a tenth of each number's deviation, a
    column that is missing, categories that are dealt out anew among the rows. With ``validate.adversarial``
    also where the share of decisions that some small step turns (a tenth of a deviation in every number, the
    worst of 8 random directions) is above that of the champion by as much.
    """
    if exam.against is None:
        return Gate(name=NAME, passed=True, reason="there is no champion to be less robust than")
    rng = np.random.default_rng(seed)
    part = _sampled(exam, rng)
    allowed = 1 + exam.spec.validation.robustness
    ratios = {}
    for name, inputs in _spoilt(exam.spec, part.rows.inputs, rng):
        ours, theirs = (float(losses.mean()) for losses in part.losses(inputs))
        ratios[name] = ours / max(theirs, np.finfo(float).tiny)
    failed = [f"{name}: {_against(ratio)}" for name, ratio in ratios.items() if ratio > allowed]
    if exam.spec.validation.adversarial:
        failed += _turned(part, rng)
    worst = max(ratios, key=lambda name: ratios[name])
    told = f"the worst of {len(ratios)} ways to spoil rows is {worst}: {_against(ratios[worst])}"
    return Gate(
        name=NAME,
        passed=not failed,
        reason="; ".join(failed) or told,
        value=ratios[worst] - 1,
        limit=exam.spec.validation.robustness,
        rows=len(part.rows),
    )


def _against(ratio: float) -> str:
    return f"loss {abs(ratio - 1):.1%} {'above' if ratio > 1 else 'below'} the champion's"


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


def _turned(exam: Exam, rng: np.random.Generator) -> list[str]:
    numbers = list(exam.spec.features_of(FeatureType.NUMERIC))
    if not numbers:
        return []
    signs = [rng.choice([-1.0, 1.0], (len(exam.rows), len(numbers))) for _ in range(_STEPS)]
    steps = [_moved(exam.rows.inputs, numbers, sign) for sign in signs]
    shares = []
    for answer in (exam.ours, exam.theirs):
        before = _decided(exam.spec, answer(exam.rows.inputs))
        turned = np.any([_decided(exam.spec, answer(step)) != before for step in steps], axis=0)
        shares.append(float(turned.mean()))
    ours, theirs = shares
    limit = theirs + exam.spec.validation.robustness
    return [f"small steps turn {ours:.1%} of decisions, the champion's {theirs:.1%}"] if ours > limit else []


def _decided(spec: ModelSpec, scores: np.ndarray) -> np.ndarray:
    """Return the decision of each row; a value is another one when it moves by a tenth of their spread."""
    if scores.ndim > 1:
        return np.asarray(scores.argmax(axis=1))
    if spec.task.value == "binary":
        return np.asarray(scores > 0.5)  # noqa: PLR2004 - even odds
    return np.asarray(np.round(scores / max(float(np.std(scores)) * _NOISE, 1e-12)))
