"""How far two sets of counts lie apart: one statistic a file, and a registry of them all.

Counts are of the reference first, of the current side second, both by the same frozen bins. Every statistic
is finite, at least 0, and 0 for equal shares; none has a reading of NaN.
"""

from __future__ import annotations

from monitors.distances.chi_square import chi_square
from monitors.distances.hellinger import hellinger
from monitors.distances.jensenshannon import jensenshannon
from monitors.distances.kl_div import kl_div
from monitors.distances.ks import ks, ks_within
from monitors.distances.l_infinity import l_infinity
from monitors.distances.psi import psi
from monitors.distances.registry import METHODS, Method, of_name
from monitors.distances.total_variation import total_variation
from monitors.distances.wasserstein import wasserstein, wasserstein_measured

__all__ = [
    "METHODS",
    "Method",
    "chi_square",
    "hellinger",
    "jensenshannon",
    "kl_div",
    "ks",
    "ks_within",
    "l_infinity",
    "of_name",
    "psi",
    "total_variation",
    "wasserstein",
    "wasserstein_measured",
]
