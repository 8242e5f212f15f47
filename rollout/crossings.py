"""How two versions score the same rows, as counts of pairs on different sides of cuts."""

from __future__ import annotations

import numpy as np

from rollout.observations import Crossing
from rollout.paired import Floats, Pairs
from spec import ModelSpec, Task

_CUTS = np.arange(1, 10) / 10


def crossings(spec: ModelSpec, pairs: Pairs) -> tuple[Crossing, ...] | None:
    """Count the pairs on different sides of each cut.

    At a cut c the two distribution functions differ by (only ours <= c, minus only theirs <= c) / pairs; rows
    that both have on the same side cancel. The cuts are the deciles of the champion's scores on the first
    `min_requests` pairs, which are used for nothing else: what is counted cannot have chosen them. Several
    classes: one cut a class, chosen or not, and every pair counts.

    None while there are no pairs beyond those.
    """
    if spec.task is Task.MULTICLASS:
        ours, theirs = pairs.challenger.argmax(axis=1), pairs.champion.argmax(axis=1)
        names = spec.data.target.classes or ()
        sides = [(name, ours == place, theirs == place) for place, name in enumerate(names)]
    else:
        first = spec.rollout.min_requests
        cuts = _deciles(pairs.champion[:first, 0]) if len(pairs.ids) > first else ()
        late = pairs.challenger[first:, 0], pairs.champion[first:, 0]
        sides = [(f"{cut:.4g}", late[0] <= cut, late[1] <= cut) for cut in cuts]
    found = tuple(
        Crossing(at=at, ours=int((us & ~them).sum()), theirs=int((them & ~us).sum()), of=len(us))
        for at, us, them in sides
    )
    return found if found and found[0].of else None


def _deciles(scores: Floats) -> Floats:
    return np.unique(np.quantile(scores, _CUTS, method="inverted_cdf"))
