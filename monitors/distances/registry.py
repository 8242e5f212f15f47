"""Every statistic by name, with what a reader must know of its number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from monitors.distances.chi_square import chi_square, chi_square_of_many
from monitors.distances.counts import Floats
from monitors.distances.hellinger import hellinger, hellinger_of_many
from monitors.distances.jensenshannon import jensenshannon, jensenshannon_of_many
from monitors.distances.kl_div import kl_div, kl_div_of_many
from monitors.distances.ks import ks, ks_of_many
from monitors.distances.l_infinity import l_infinity, l_infinity_of_many
from monitors.distances.psi import psi, psi_of_many
from monitors.distances.total_variation import total_variation, total_variation_of_many
from monitors.distances.wasserstein import wasserstein
from spec import InputError, Problem, did_you_mean


@dataclass(frozen=True, slots=True)
class Method:
    """A statistic, as a table's header or a message needs it.

    Parameters
    ----------
    function
        From the counts of both sides, shape (bins,) each, to a float; `wasserstein` wants the edges too.
    of_many
        The same for many pairs of counts at once, shape (…, bins) to (…,), unchecked; None for `wasserstein`.
    ordered
        Whether the order of the bins counts. Such a statistic is taken over all fine bins of a numeric column
        and has no meaning for categories; the others are taken over a numeric column's coarse groups.
    most
        The end of the range, which begins at 0.
    sentence
        What the number is, for people.
    """

    name: str
    function: Callable[..., float]
    of_many: Callable[[Floats, Floats], Floats] | None
    ordered: bool
    symmetric: bool
    unit: str
    most: float
    sentence: str


_ALL = (
    Method(
        "wasserstein",
        wasserstein,
        None,
        ordered=True,
        symmetric=True,
        unit="reference deviations",
        most=math.inf,
        sentence="how far the values moved on average, in standard deviations of the reference",
    ),
    Method(
        "ks",
        ks,
        ks_of_many,
        ordered=True,
        symmetric=True,
        unit="share of rows",
        most=1.0,
        sentence="the largest difference between the shares of rows below any value",
    ),
    Method(
        "jensenshannon",
        jensenshannon,
        jensenshannon_of_many,
        ordered=False,
        symmetric=True,
        unit="√nats",
        most=math.sqrt(math.log(2)),
        sentence="the square root of how much one row tells of which side it is from",
    ),
    Method(
        "psi",
        psi,
        psi_of_many,
        ordered=False,
        symmetric=True,
        unit="nats",
        most=math.inf,
        sentence="the population stability index: relative changes of the shares, weighted by absolute ones",
    ),
    Method(
        "kl_div",
        kl_div,
        kl_div_of_many,
        ordered=False,
        symmetric=False,
        unit="nats",
        most=math.inf,
        sentence="how badly the current shares predict a row of the reference",
    ),
    Method(
        "hellinger",
        hellinger,
        hellinger_of_many,
        ordered=False,
        symmetric=True,
        unit="",
        most=1.0,
        sentence="the distance of the square roots of the shares",
    ),
    Method(
        "total_variation",
        total_variation,
        total_variation_of_many,
        ordered=False,
        symmetric=True,
        unit="share of rows",
        most=1.0,
        sentence="the share of rows that would have to move for both sides to be alike",
    ),
    Method(
        "l_infinity",
        l_infinity,
        l_infinity_of_many,
        ordered=False,
        symmetric=True,
        unit="share of rows",
        most=1.0,
        sentence="the most that the share of any one value or group changed",
    ),
    Method(
        "chi_square",
        chi_square,
        chi_square_of_many,
        ordered=False,
        symmetric=True,
        unit="",
        most=1.0,
        sentence="Cramér's V of side by value or group, with both sides of the same weight",
    ),
)

METHODS = MappingProxyType({method.name: method for method in _ALL})
"""Every statistic by name."""


def of_name(name: str, where: str = "method") -> Method:
    """Return a statistic.

    Raises
    ------
    InputError
        There is none of that name; the known ones are named.
    """
    if name not in METHODS:
        raise InputError([Problem(where, "must be a known statistic", name, did_you_mean(name, METHODS))])
    return METHODS[name]
