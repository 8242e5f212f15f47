"""How long one row takes in ONNX Runtime on one thread, as in the model server."""

from __future__ import annotations

from time import perf_counter_ns

import numpy as np
import pandas as pd

from retraining.graphs.scorer import Scorer

_WARM_UP = 30
_CALLS = 250
_ROUNDS = 4


def one_row(scorer: Scorer, inputs: pd.DataFrame) -> tuple[float, float]:
    """Return (p50, p99) in seconds.

    Other work on the machine only ever adds time, so each quantile is the least over four rounds of 250
    calls; the rows take turns.

    Parameters
    ----------
    inputs
        [n ≥ 1, features], as of `retraining.dataset.rows.inputs`.
    """
    feeds = [scorer.feeds(inputs.iloc[[index]]) for index in range(min(len(inputs), _CALLS))]
    for index in range(_WARM_UP):
        scorer.call(feeds[index % len(feeds)])
    quantiles = [np.quantile(_round(scorer, feeds), [0.5, 0.99]) for _ in range(_ROUNDS)]
    p50, p99 = np.min(quantiles, axis=0)
    return float(p50), float(p99)


def _round(scorer: Scorer, feeds: list[dict[str, np.ndarray]]) -> list[float]:
    times = []
    for index in range(_CALLS):
        start = perf_counter_ns()
        scorer.call(feeds[index % len(feeds)])
        times.append((perf_counter_ns() - start) / 1e9)
    return times
