"""Which of many p-values (or e-values) are discoveries: Benjamini–Hochberg, Benjamini–Yekutieli, e-BH."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monitors.finding import NoData
from monitors.laws.tables import Array
from spec.errors import DataError, Problem

Evidence = Mapping[str, float | NoData]
"""A p-value or an e-value by name; NoData where there is none."""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What is left of one hypothesis after all were looked at.

    Parameters
    ----------
    p_value
        Smallest false-discovery rate at which it is rejected, in [0, 1].
    rejected
        Whether it is rejected at the rate that was asked for.
    """

    p_value: float
    rejected: bool


def benjamini_hochberg(p_values: Evidence, rate: float) -> dict[str, Adjusted | NoData]:
    """Reject the k smallest p-values, k the largest with p₍ₖ₎ ≤ rate·k/K.

    The expected share of true hypotheses among the rejected is ≤ `rate` when the p-values are independent or
    positively dependent. Hypotheses without data are not counted in K and stay without data.

    Parameters
    ----------
    p_values
        Each in [0, 1], or NoData; may be empty.
    rate
        False-discovery rate, in (0, 1).

    Returns
    -------
    The same names in the same order, with min over j ≥ k of K·p₍ⱼ₎/j as adjusted p-value.

    Raises
    ------
    DataError
        A value outside [0, 1], NaN included, or a rate outside (0, 1). All problems at once.

    References
    ----------
    Benjamini and Hochberg (1995), JRSS B 57.
    """
    return _step_up(p_values, rate, 1.0)


def benjamini_yekutieli(p_values: Evidence, rate: float) -> dict[str, Adjusted | NoData]:
    """Reject as Benjamini–Hochberg at rate/(1 + ½ + … + 1/K): valid under any dependence.

    Parameters, result and errors as `benjamini_hochberg`.

    References
    ----------
    Benjamini and Yekutieli (2001), Annals of Statistics 29.
    """
    known = sum(not isinstance(p, NoData) for p in p_values.values())
    return _step_up(p_values, rate, math.fsum(1 / j for j in range(1, known + 1)))


def e_benjamini_hochberg(e_values: Evidence, rate: float) -> dict[str, Adjusted | NoData]:
    """Reject the k largest e-values, k the largest with e₍ₖ₎ ≥ K/(rate·k): valid under any dependence.

    It is Benjamini–Hochberg on 1/e, and the adjusted p-value is that one's, at most 1.

    Parameters
    ----------
    e_values
        Each ≥ 0 with mean ≤ 1 under its hypothesis (infinity is a certain rejection), or NoData.
    rate
        False-discovery rate, in (0, 1).

    Raises
    ------
    DataError
        A negative value or NaN, or a rate outside (0, 1). All problems at once.

    References
    ----------
    Wang and Ramdas (2022), JRSS B 84.
    """
    _check(e_values, rate, math.inf)
    inverse = {name: e if isinstance(e, NoData) else 1 / e if e > 1 else 1.0 for name, e in e_values.items()}
    return _step_up(inverse, rate, 1.0)


def _step_up(p_values: Evidence, rate: float, penalty: float) -> dict[str, Adjusted | NoData]:
    _check(p_values, rate, 1.0)
    known = {name: p for name, p in p_values.items() if not isinstance(p, NoData)}
    adjusted = dict(zip(known, _adjusted(np.array(list(known.values()), dtype=float), penalty), strict=True))
    return {
        name: p if isinstance(p, NoData) else Adjusted(float(adjusted[name]), bool(adjusted[name] <= rate))
        for name, p in p_values.items()
    }


def _adjusted(p: Array, penalty: float) -> Array:
    order = np.argsort(p)
    scaled = p[order] * len(p) * penalty / np.arange(1, len(p) + 1)
    monotone = np.minimum.accumulate(scaled[::-1])[::-1]
    result = np.empty(len(p))
    result[order] = np.minimum(1.0, monotone)
    return result


def _check(values: Evidence, rate: float, most: float) -> None:
    problems = [
        Problem(name, f"must be in [0, {most:g}]", str(value), "Where there is no value, say NoData")
        for name, value in values.items()
        if not isinstance(value, NoData) and not 0 <= value <= most
    ]
    if not 0 < rate < 1:
        problems.append(Problem("rate", "must be between 0 and 1", str(rate)))
    if problems:
        raise DataError(problems)
