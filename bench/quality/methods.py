"""The methods of the quality benches: each one's shipped rule, and one score a window out of its answers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.peers.client import Failed, ask

Values = npt.NDArray[np.float64]
Batch = dict[str, Any]


@dataclass(frozen=True)
class Method:
    """A way to judge windows.

    Parameters
    ----------
    column
        When a column alarms as shipped.
    window
        When a window alarms as shipped.
    univariate
        It judges each column by two samples alone, so the false alarms of column tests can be counted.
    streams
        It takes part where windows follow one another.
    """

    name: str
    peer: str
    task: str
    column: str
    window: str
    univariate: bool = True
    streams: bool = True


METHODS = (
    Method(
        "trimtab",
        "trimtab-windows",
        "windows",
        "effect >= 0.1 and within the budget, one false alarm a year, in the last 1, 2, 4 or 8 windows",
        "any column, or the correlations",
        univariate=False,
    ),
    Method(
        "trimtab check",
        "trimtab-windows",
        "check",
        "effect >= 0.1 and significant among all columns (Benjamini-Hochberg, 5 %)",
        "any column",
        streams=False,
    ),
    Method(
        "evidently",
        "evidently",
        "windows",
        "n_ref > 1000: Wasserstein or Jensen-Shannon >= 0.1; else KS, chi-square, z: p <= 0.05",
        "any column",
    ),
    Method(
        "nannyml",
        "nannyml",
        "windows",
        "Jensen-Shannon > mean + 3 std of reference chunks",
        "any column",
    ),
    Method("whylogs", "whylogs", "windows", "KS or chi-square p < 0.05", "any column"),
    Method("alibi-detect", "alibi-detect", "windows", "KS or chi-square p < 0.05", "any p < 0.05 / columns"),
    Method("frouros", "frouros", "windows", "KS or chi-square p <= 0.001 (its README)", "any column"),
    Method(
        "nannyml PCA",
        "nannyml",
        "reconstruction",
        "none",
        "reconstruction error outside mean +- 3 std of reference chunks",
        univariate=False,
    ),
)


@dataclass(frozen=True)
class Answer:
    """What a method said of a batch: scores and alarms of (windows, columns), alarms of (windows,)."""

    scores: Values
    alarms: npt.NDArray[np.bool_]
    window_alarms: npt.NDArray[np.bool_]

    @property
    def half(self) -> npt.NDArray[np.bool_]:
        """Windows in which half of the columns alarm: Evidently's rule for a data set, shape (windows,)."""
        return np.asarray(self.alarms.mean(axis=1) >= 0.5)


def judge(method: Method, batches: list[Batch], timeout: float) -> tuple[list[Answer], float]:
    """Return an answer for each batch, and the seconds that the method's process took in all.

    Raises
    ------
    bench.peers.client.Failed
        The method's process failed.
    """
    request = {"task": method.task, "batches": batches}
    answer = ask(method.peer, request, timeout=timeout, threads=1)
    answers = []
    for each in answer["batches"]:
        scores, alarms = np.array(each["scores"], float), np.array(each["alarms"], bool)
        window = np.array(each["window_alarms"], bool) if "window_alarms" in each else alarms.any(axis=1)
        answers.append(Answer(scores, alarms, window))
    return answers, answer["task_seconds"]


def judge_all(
    methods: list[Method], batches: dict[str, list[Batch]], *, workers: int, timeout: float
) -> Iterator[tuple[Method, list[Answer], float]]:
    """Ask `workers` methods at a time, each with one thread; yield what each said, as soon as it has.

    Parameters
    ----------
    batches
        By the method's name.

    Raises
    ------
    bench.peers.client.Failed
        A method's process failed; the others were heard to the end.
    """
    failed: Failed | None = None
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(judge, each, batches[each.name], timeout): each for each in methods}
        for done in as_completed(running):
            try:
                answers, seconds = done.result()
            except Failed as error:
                failed = error
            else:
                yield running[done], answers, seconds
    if failed is not None:
        raise failed


@dataclass(frozen=True)
class Scale:
    """Where each column's score lies without drift, so that columns of different noise share one threshold.

    Evidently has one threshold for all columns of a kind, which its noisiest column would set; standardizing
    each column by its own windows without drift is what a person who tunes thresholds would do, and helps it.
    It changes little for p-values.
    """

    center: Values
    spread: Values

    @classmethod
    def of(cls, answers: list[Answer]) -> Scale:
        """Take the mean and the standard deviation of each column over the windows without drift."""
        scores = np.vstack([each.scores for each in answers])
        return cls(scores.mean(axis=0), np.maximum(scores.std(axis=0), 1e-12))

    def windows(self, answer: Answer) -> Values:
        """Return one score a window: the greatest over its columns."""
        return ((answer.scores - self.center) / self.spread).max(axis=1)
