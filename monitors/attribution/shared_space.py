"""DISDE: the change of a loss as a sum, by way of the inputs that both sides share.

The shared space S has the density s ∝ p·q / (p + q) of inputs that are common in the reference (p) and in the
window (q). With E_P, E_Q the mean loss of the sides and E_S[μ_P], E_S[μ_Q] the loss to expect on the shared
space under the relation of either::

    E_Q - E_P  =  (E_S[μ_P] - E_P)  +  (E_S[μ_Q] - E_S[μ_P])  +  (E_Q - E_S[μ_Q])
    total      =  inputs            +  relation                +  new_inputs

With π = q / (p + q), what a domain classifier learns, s ∝ (p + q)·π·(1 - π): S is the overlap population of
the study of treatments, and E_S[μ] is estimated by its efficient influence function,

    E_S[μ_P] = mean[(D - π)²·μ_P + π·(1 - D)·(l - μ_P)] / mean[(D - π)²]      D = 1 in the window
    E_S[μ_Q] = mean[(D - π)²·μ_Q + (1 - π)·D·(l - μ_Q)] / mean[(D - π)²]

the means over an equal mixture of the sides. The plain weighting by π takes for a changed relation whatever
the classifier has not learned; here that error meets the error of the loss models and only their product is
left.

Sources: Cai, Namkoong, Yadlowsky (2023), Diagnosing model performance under distribution shift,
arXiv:2303.02011, for the split; Li, Morgan, Zaslavsky (2018), Balancing covariates via propensity score
weighting, JASA 113:390-400, for the population; Liu et al. (2025), Rate doubly robust estimation for weighted
average treatment effects, arXiv:2509.14502, for the estimator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitors.attribution.blocks import interval
from monitors.attribution.learned import Learned
from monitors.attribution.pooled import Pooled
from monitors.attribution.sides import Array
from monitors.performance import Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """What each row adds to the means over the shared space, shape (rows,).

    Parameters
    ----------
    share
        (D - π)².
    before, now
        The share times the loss under the reference's relation, and under the window's.
    """

    share: Array
    before: Array
    now: Array

    @property
    def risen(self) -> Array:
        """The share times the rise of the loss."""
        return self.now - self.before


@dataclass(frozen=True, slots=True)
class Parts:
    """The change of the mean loss and its parts; `moved` is inputs + new_inputs."""

    total: Estimate
    inputs: Estimate
    relation: Estimate
    new_inputs: Estimate
    moved: Estimate


def share(pooled: Pooled, learned: Learned) -> Shared:
    """Return each row's contribution to the shared space."""
    away = np.where(pooled.current, 1 - learned.current, learned.current)
    size = away**2
    residual_before = np.where(pooled.current, 0.0, pooled.losses - learned.loss_before)
    residual_now = np.where(pooled.current, pooled.losses - learned.loss_now, 0.0)
    return Shared(
        size,
        size * learned.loss_before + away * residual_before,
        size * learned.loss_now + away * residual_now,
    )


def overlap(pooled: Pooled, shared: Shared) -> float:
    """Return 2 ∫ pq / (p + q), the size of the shared space: 1 where nothing moved, 0 if nothing is shared.

    It is four times the Brier score of the domain classifier, so never less than the truth in expectation.
    """
    return float(4 * pooled.mean(shared.share))


def parts(pooled: Pooled, shared: Shared) -> Parts:
    """Return the parts of the change, each with its interval; they sum to the total."""
    size = pooled.mean(shared.share)
    before, now = (pooled.mean(values) / size for values in (shared.before, shared.now))
    influence_before = (shared.before - before * shared.share) / size
    influence_now = (shared.now - now * shared.share) / size
    reference = np.where(pooled.current, 0.0, 2 * pooled.losses)
    current = np.where(pooled.current, 2 * pooled.losses, 0.0)
    old, new = pooled.mean(reference), pooled.mean(current)
    terms = {
        "total": (new - old, current - reference),
        "inputs": (before - old, influence_before - reference),
        "relation": (now - before, influence_now - influence_before),
        "new_inputs": (new - now, current - influence_now),
        "moved": (before - old + new - now, influence_before - reference + current - influence_now),
    }
    return Parts(
        **{name: interval(pooled, float(value), influence) for name, (value, influence) in terms.items()}
    )
