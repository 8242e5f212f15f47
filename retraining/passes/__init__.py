"""Passes that make a model smaller or faster; each a file with one contract, `optimization_pass.Pass`.

A pass is imported when it is asked for: some need seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retraining.passes.optimization_pass import Pass

PASSES = {
    "select_features": "select_features:SelectFeatures",
    "prune_cost_complexity": "prune_cost_complexity:PruneCostComplexity",
    "distil": "distil:Distil",
    "prune_trees": "prune_trees:PruneTrees",
    "prune_units": "prune_units:PruneUnits",
    "low_rank": "low_rank:LowRank",
    "half": "half:Half",
    "quantize": "quantize:Quantize",
}
"""Name to ``module:class``, in the order in which passes may follow one another in a chain.

What fits again comes first, for it would undo a change of the graph; then what changes the structure, then
the precision. `half` and `quantize` exclude each other.
"""

TUNES = frozenset({"prune_units", "low_rank"})
"""Passes that let layers learn again, which takes seconds."""
REFITS = frozenset({"select_features", "prune_cost_complexity", "distil"})
"""Passes that fit models again, which takes as long as the training, or longer."""


def effort(name: str) -> int:
    """Return how long a pass takes beside others: 0 changes the graph, 1 tunes it, 2 fits again."""
    return 2 if name in REFITS else int(name in TUNES)


def named(name: str) -> Pass:
    """Return a pass by its name in the spec's `optimize.passes`.

    Raises
    ------
    KeyError
        No pass has the name.
    """
    module, kind = PASSES[name].split(":")
    made: Pass = getattr(import_module(f"{__name__}.{module}"), kind)()
    return made
