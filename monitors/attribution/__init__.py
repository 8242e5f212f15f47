"""Why the loss changed: inputs that moved against a relation that changed, and what carries each.

`explain` is the door: `sides` holds what goes in, `explanation` what comes out; between them, one step a
file: `pooled`, `learned`, `shared_space`, `input_carriers`, `relation_carriers`, `region`.
"""

from __future__ import annotations

from monitors.attribution.explanation import Carrier, Explanation, Region
from monitors.attribution.sides import Side
from monitors.attribution.split import explain

__all__ = ["Carrier", "Explanation", "Region", "Side", "explain"]
