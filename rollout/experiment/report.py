"""What an experiment has shown so far, and whether that ends it. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollout import bounds
from rollout.experiment.comparison import Comparison, Word
from rollout.experiment.comparisons import compare
from rollout.observations import Evidence
from rollout.verdict import Finite, GateResult, Outcome, Verdict
from spec import ModelSpec, format_duration
from spec.experiment import Experiment

LIMITED = ("disagreement", "drift", "memory", "cpu")
"""Gates that hold one number against a limit: there is no value of each version to compare."""


class Drawn(BaseModel):
    """Which part of the live requests was the challenger's."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    share: Finite
    of: Annotated[int, Field(ge=1)]
    """Live requests of both versions."""
    low: Finite | None = None
    """Interval of the share at all looks together; None where users keep their version: then requests need
    not divide as users do."""
    high: Finite | None = None

    def strays(self, share: float) -> bool:
        """Whether the split is shown not to be the one that was set."""
        return self.low is not None and self.high is not None and not self.low <= share <= self.high


class Report(BaseModel):
    """An experiment at one look; the last one before its end stays."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: Literal[1] = 1
    model: str
    challenger: str
    champion: str
    terms: Experiment
    began: AwareDatetime
    """Processing time at which the split was set."""
    at: AwareDatetime
    """Processing time of the look."""
    end: str = ""
    """Why it ended; empty while it goes on."""
    alpha: Finite
    requests_per_user: int
    sticky: str = ""
    """What keeps a user at one version, such as ``header x-user-id``; empty where each request is drawn."""
    drawn: Drawn | None = None
    comparisons: tuple[Comparison, ...]
    limits: tuple[GateResult, ...]
    """Gates without a value of each version."""
    missing: tuple[str, ...] = ()
    """What could not be known at this look."""

    def headline(self) -> str:
        """Return the report in one line."""
        counted = {word: [one.name for one in self.comparisons if one.word is word] for word in Word}
        told = "; ".join(f"{word}: {', '.join(names)}" for word, names in counted.items() if names)
        return f"{self.model} {self.challenger} against {self.champion}: {told}."


def report(evidence: Evidence, verdict: Verdict, spec: ModelSpec, terms: Experiment) -> Report:
    """Return the report of one look, with why the experiment ends where it does.

    Parameters
    ----------
    evidence, verdict
        What was seen, and what `rollout.judge` said of it.
    spec
        The model as of `rollout.experiment.plan`.
    """
    comparisons = tuple(compare(evidence, verdict, spec))
    limits = tuple(gate for gate in verdict.gates if gate.gate in LIMITED)
    sticky = spec.rollout.sticky
    kept = sticky and (f"header {sticky.header}" if sticky.header else f"cookie {sticky.cookie}")
    return Report(
        model=spec.model,
        challenger=evidence.challenger,
        champion=evidence.champion,
        terms=terms,
        began=evidence.began,
        at=evidence.at,
        end=_end(evidence, verdict, comparisons, limits, terms),
        alpha=spec.rollout.alpha,
        requests_per_user=spec.rollout.requests_per_user,
        sticky=kept or "",
        drawn=_drawn(evidence, spec, terms),
        comparisons=comparisons,
        limits=limits,
        missing=evidence.missing,
    )


def _end(
    evidence: Evidence,
    verdict: Verdict,
    comparisons: tuple[Comparison, ...],
    limits: tuple[GateResult, ...],
    terms: Experiment,
) -> str:
    harmed = [gate.gate for gate in verdict.gates if gate.outcome is Outcome.ROLLBACK]
    if harmed:
        return f"Harm is shown: {', '.join(harmed)}."
    if evidence.at - evidence.began >= terms.lasts:
        return f"Its time is over: {format_duration(terms.lasts)}."
    open_gates = [gate for gate in limits if gate.outcome is Outcome.HOLD]
    if terms.early and not open_gates and all(one.word is not Word.OPEN for one in comparisons):
        return "Each gate and metric has its answer."
    return ""


def _drawn(evidence: Evidence, spec: ModelSpec, terms: Experiment) -> Drawn | None:
    arms = evidence.errors
    if arms is None or not (arms.challenger.of + arms.champion.of):
        return None
    ours, of = arms.challenger.of, arms.challenger.of + arms.champion.of
    if spec.rollout.sticky is not None:
        return Drawn(share=ours / of, of=of)
    low, high = bounds.interval(ours, of, spec.rollout.alpha, terms.share)
    return Drawn(share=ours / of, of=of, low=low, high=high)
