"""The real model server loads the file that would be registered, and answers real rows as it should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from retraining.dataset.rows import FloatArray
from retraining.graphs.scorer import Scorer
from retraining.measurement import protocol
from retraining.measurement.trial_server import TrialServer, trial_server
from retraining.records import Gate
from spec import FeatureType, ModelSpec, Refused

NAME = "served"
_TOLERANCE = 1e-6
_MOST_ROWS = 300
_MOST_INCOMPLETE = 100
_ALONE = 50
_BATCH = 64


def judge(spec: ModelSpec, file: Path, inputs: pd.DataFrame) -> Gate:
    """Judge by a process of the model server that nothing of production sees.

    It is asked for 300 rows, evenly spread, up to 100 with nulls among them, and for the first row once more
    with each feature missing: some one by one, all in batches. Fails when it does not start with the file,
    answers with an error, or with anything but the graph's own scores, to 1e-6 of the larger of 1 and the
    score.

    Parameters
    ----------
    inputs
        [n ≥ 1, features] rows of the holdout, as of `retraining.dataset.rows.inputs`.

    Raises
    ------
    Unavailable
        The server was not ready in time; the machine may be too busy.
    """
    if not spec.validation.served:
        return Gate(name=NAME, passed=True, reason="validate.served is off; no server was asked")
    asked = _asked(spec, inputs)
    wanted = Scorer(spec.task, file).predict(asked)
    try:
        with trial_server(spec, file) as server:
            alone = _answers(spec, server, asked.iloc[-_ALONE:], 1)
            together = _answers(spec, server, asked, _BATCH)
    except Refused as error:
        return Gate(name=NAME, passed=False, reason=str(error), rows=len(asked))
    worst = max(_off(together, wanted), _off(alone, wanted[-_ALONE:]))
    told = f"a model server answered {len(asked)} rows, at most {worst:.1e} from the graph's own scores"
    return Gate(
        name=NAME, passed=worst <= _TOLERANCE, reason=told, value=worst, limit=_TOLERANCE, rows=len(asked)
    )


def _asked(spec: ModelSpec, inputs: pd.DataFrame) -> pd.DataFrame:
    """Return whole rows, then rows with nulls, then one row with each feature missing in turn."""
    texts = spec.features_of(FeatureType.CATEGORICAL)
    missing = {name: "" if name in texts else np.float32(np.nan) for name in spec.features}
    incomplete = (inputs.isna() | (inputs == "")).any(axis=1).to_numpy()
    some = inputs.iloc[_spread(np.flatnonzero(incomplete), _MOST_INCOMPLETE)]
    whole = inputs.iloc[_spread(np.flatnonzero(~incomplete), _MOST_ROWS - len(some))]
    without = [inputs.iloc[[0]].assign(**{name: nothing}) for name, nothing in missing.items()]
    return pd.concat([whole, some, *without], ignore_index=True)


def _spread(indices: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many of the indices, evenly spread."""
    kept = np.linspace(0, len(indices) - 1, min(len(indices), most)).astype("int64")
    return np.asarray(indices[kept])


def _answers(spec: ModelSpec, server: TrialServer, asked: pd.DataFrame, batch: int) -> FloatArray:
    bodies = (
        protocol.request(spec, asked.iloc[start : start + batch]) for start in range(0, len(asked), batch)
    )
    return np.concatenate([protocol.scores(spec.task, server.infer(body)) for body in bodies])


def _off(answers: FloatArray, wanted: FloatArray) -> float:
    """Return the largest difference, of 1 or of the score where that is larger; infinite where not finite."""
    if answers.shape != wanted.shape or not np.isfinite(answers).all():
        return float("inf")
    return float((np.abs(answers - wanted) / np.maximum(np.abs(wanted), 1)).max(initial=0.0))
