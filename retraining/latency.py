"""How long one row takes in ONNX Runtime on one thread, as in the model server."""

from __future__ import annotations

from time import perf_counter_ns

import numpy as np
import pandas as pd

from retraining.graphs.scorer import Scorer

_WARM_UP = 30
_CALLS = 250
_ROUNDS = 4
_MOST_ROUNDS = 16
_DISTURBED = 20  # the 99th percentile of undisturbed calls is 1 to 3 times their median


def one_row(scorer: Scorer, inputs: pd.DataFrame) -> tuple[float, float]:
    """Return (p50, p99) in seconds.

    Other work on the machine only ever adds time, so each quantile is the least over four rounds of 250
    calls; the rows take turns. Rounds are added, 16 at most, as long as the 99th percentile is more than
    twenty times the median: a call was put aside then, in each of them.

    Parameters
    ----------
    inputs
        [n ≥ 1, features], as of `retraining.dataset.rows.inputs`.
    """
    feeds = [scorer.feeds(inputs.iloc[[index]]) for index in range(min(len(inputs), _CALLS))]
    for index in range(_WARM_UP):
        scorer.call(feeds[index % len(feeds)])
    least = np.full(2, np.inf)
    for count in range(_MOST_ROUNDS):
        if count >= _ROUNDS and least[1] <= _DISTURBED * least[0]:
            break
        least = np.minimum(least, np.quantile(_round(scorer, feeds), [0.5, 0.99]))
    return float(least[0]), float(least[1])


def _round(scorer: Scorer, feeds: list[dict[str, np.ndarray]]) -> list[float]:
    times = []
    for index in range(_CALLS):
        start = perf_counter_ns()
        scorer.call(feeds[index % len(feeds)])
        times.append((perf_counter_ns() - start) / 1e9)
    return times
