"""Bring a registered version to all of the traffic, step by step, or back out.

The judge and the steps are pure; evidence is collected, traffic is moved and leases are guarded around
them. Names are imported when they are first used, so that reading a split does not load SciPy. The judge
is `rollout.judge.judge`; its module keeps the name.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollout.evidence import collect
    from rollout.leases import advance, begin, promote, release, renew
    from rollout.observations import Evidence
    from rollout.routers import Router
    from rollout.split import Split
    from rollout.steps import at_step
    from rollout.verdict import Decision, GateResult, Outcome, Verdict

__all__ = [
    "Decision",
    "Evidence",
    "GateResult",
    "Outcome",
    "Router",
    "Split",
    "Verdict",
    "advance",
    "at_step",
    "begin",
    "collect",
    "promote",
    "release",
    "renew",
]

_HOME = {
    "Decision": "verdict",
    "Evidence": "observations",
    "GateResult": "verdict",
    "Outcome": "verdict",
    "Router": "routers",
    "Split": "split",
    "Verdict": "verdict",
    "advance": "leases",
    "at_step": "steps",
    "begin": "leases",
    "collect": "evidence",
    "promote": "leases",
    "release": "leases",
    "renew": "leases",
}


def __getattr__(name: str) -> object:
    """Import a public name from its module."""
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
