"""Why the loss changed, as numbers for the results store and as a sentence for whoever is on call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitors.performance import Estimate
from monitors.results.records import Measurement

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Carrier:
    """A feature that carries a part of the change.

    `share` is in (0, 1]; the shares of a part's carriers sum to 1.
    """

    feature: str
    share: float


@dataclass(frozen=True, slots=True)
class Region:
    """Inputs among which the relation changed most.

    Parameters
    ----------
    rule
        Readable conditions, joined by ``and``.
    rows, share
        Rows of the window that meet them, and their share of all.
    rise
        How much the loss rose in the region for the same inputs, measured on rows that did not choose the
        rule; negative where it fell.
    """

    rule: str
    rows: int
    share: float
    rise: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The change of the mean loss from the reference to the window: total = inputs + relation + new_inputs.

    Parameters
    ----------
    loss
        What is measured, in words, such as ``log loss``.
    inputs
        Inputs that the reference knows came more often or less: what that did under the old relation.
    relation
        The same inputs have another loss now.
    new_inputs
        Inputs that are new or were rare in the reference, under the relation of the window.
    moved
        inputs + new_inputs: all that moved inputs did.
    overlap
        How much both sides' inputs have in common, in [0, 1]; 1 where nothing moved. An estimate, so it may
        be slightly beyond 1.
    input_carriers, relation_carriers
        The features that carry `moved` and `relation`, the largest share first. Empty where the part may be
        0, or no feature stands out.
    region
        None where the relation may be the same, or changed about alike everywhere.
    rows_reference, rows_current
        Labelled rows of each side.
    """

    loss: str
    total: Estimate
    inputs: Estimate
    relation: Estimate
    new_inputs: Estimate
    moved: Estimate
    overlap: float
    input_carriers: tuple[Carrier, ...]
    relation_carriers: tuple[Carrier, ...]
    region: Region | None
    rows_reference: int
    rows_current: int

    def measurements(self) -> list[Measurement]:
        """Return the rows of the results store.

        ``loss_change`` by method ``total``, ``inputs``, ``relation``, ``new_inputs``, ``moved``, the first
        with the sentence as text; ``loss_change_carrier`` by feature and method ``inputs`` or ``relation``;
        ``loss_change_overlap``; and ``loss_change_region``, whose text is the rule.
        """
        found = [
            _change(method, getattr(self, method), self.sentence() if method == "total" else None)
            for method in ("total", "inputs", "relation", "new_inputs", "moved")
        ]
        found += [
            Measurement("loss_change_carrier", carrier.share, feature=carrier.feature, method=method)
            for method, carriers in (("inputs", self.input_carriers), ("relation", self.relation_carriers))
            for carrier in carriers
        ]
        found.append(Measurement("loss_change_overlap", self.overlap, n=self.total.n))
        if self.region is not None:
            rise = self.region.rise
            found.append(
                Measurement(
                    "loss_change_region",
                    rise.value,
                    low=rise.low,
                    high=rise.high,
                    n=self.region.rows,
                    text=self.region.rule,
                )
            )
        return found

    def sentence(self) -> str:
        """Say it in one sentence."""
        if not certain(self.total):
            return f"The {self.loss} did not change beyond chance ({_signed(self.total)}){self._hidden()}."
        verb = "rose" if self.total.value > 0 else "fell"
        value, low, high = _size(self.total)
        return f"The {self.loss} {verb} by {value:.3g} [{low:.3g}, {high:.3g}]{self._because()}."

    def _because(self) -> str:
        causes = [
            (part, words)
            for part, words in ((self.relation, self._relation()), (self.moved, self._inputs()))
            if certain(part)
        ]
        causes.sort(key=lambda cause: -cause[0].value / self.total.value)
        if not causes:
            return "; whether the inputs moved or the relation changed cannot be told from these rows"
        shares = [part.value / self.total.value for part, _ in causes]
        if all(0 <= share <= 1 for share in shares):
            told = [
                f"{share:.0%} of it because {words}" for share, (_, words) in zip(shares, causes, strict=True)
            ]
            return "; " + ", ".join(told)
        return "; " + ", ".join(f"{words} ({_signed(part)})" for part, words in causes)

    def _hidden(self) -> str:
        """Two parts that cancel are worth a word."""
        if not (certain(self.relation) and certain(self.moved)):
            return ""
        relation, moved = _signed(self.relation), _signed(self.moved)
        return f", but {self._relation()} ({relation}) and {self._inputs()} ({moved})"

    def _relation(self) -> str:
        if self.region is not None:
            return f"the relation changed, most where {self.region.rule}"
        return "the relation changed" + _by("mostly with", self.relation_carriers)

    def _inputs(self) -> str:
        return "the inputs moved" + _by("mostly", self.input_carriers)


def certain(part: Estimate) -> bool:
    """Whether the interval of a part leaves 0 out."""
    return part.low > 0 or part.high < 0


def _size(part: Estimate) -> tuple[float, float, float]:
    """Return value, low and high of a rise, or those of a fall as positive numbers."""
    if part.value > 0:
        return part.value, part.low, part.high
    return -part.value, -part.high, -part.low


def _change(method: str, part: Estimate, text: str | None) -> Measurement:
    return Measurement(
        "loss_change", part.value, method=method, low=part.low, high=part.high, n=part.n, text=text
    )


def _signed(part: Estimate) -> str:
    return f"{part.value:+.3g} [{part.low:+.3g}, {part.high:+.3g}]"


def _by(word: str, carriers: Sequence[Carrier]) -> str:
    named = ", ".join(f"{carrier.feature} ({carrier.share:.0%})" for carrier in carriers[:_NAMED])
    return f", {word} {named}" if named else ""
