"""What is known of a version: its reference, and what is learnt from it once, when it is first asked for."""

from __future__ import annotations

from functools import cached_property

from monitors.concept.source import Source
from monitors.estimators.estimate import Estimator, fit
from monitors.finding import NoData
from monitors.performance import Truth
from monitors.references import Reference
from spec import ModelSpec

_UNHELD = NoData("the version was registered without held-out rows")


class KnownVersion:
    """A reference with the estimator and the usual loss that its held-out rows tell of."""

    def __init__(self, spec: ModelSpec, reference: Reference) -> None:
        self._spec, self.reference = spec, reference

    @cached_property
    def truth(self) -> Truth | None:
        """The held-out rows' scores and labels."""
        held = self.reference.held
        return None if held is None else Truth(held.scores, held.labels, held.times)

    @cached_property
    def estimator(self) -> Estimator | NoData:
        """What estimates the version's performance without labels."""
        if self.reference.held is None or self.truth is None:
            return _UNHELD
        return fit(self._spec, self.reference.held.frame, self.truth)

    @cached_property
    def source(self) -> Source | NoData:
        """The loss that the version was registered with."""
        return _UNHELD if self.truth is None else Source.of(self.truth, self._spec)
