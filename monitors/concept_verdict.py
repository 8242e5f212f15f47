"""The test of the loss over a version's whole life: a window's losses are kept, and all of them judged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from monitors.concept.blocks import BlockLoss, block_losses, whole_days
from monitors.concept.judge import judge as of_blocks
from monitors.concept.recent import recent
from monitors.concept.source import Source
from monitors.finding import Finding, NoData
from monitors.known_version import KnownVersion
from monitors.performance import Truth
from monitors.results.records import Measurement, WindowLosses
from monitors.results.store import Store
from monitors.windows import Window
from spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What other monitors have found of a version up to a window.

    Parameters
    ----------
    faulty
        Windows whose data were wrong: their losses are kept and not judged.
    drifted
        When the inputs began to drift as they still do; None where they do not.
    """

    faulty: Collection[Window]
    drifted: datetime | None


def judge(
    spec: ModelSpec,
    store: Store,
    window: Window,
    version: str,
    known: KnownVersion | None,
    truth: Truth,
    circumstances: Circumstances,
) -> Finding:
    """Keep a window's losses and return the verdict on all of the version's windows that are over by its end.

    Parameters
    ----------
    truth
        The labelled rows of the window alone.

    Returns
    -------
    As of `concept.judge`, with what is tolerated as the limit of ``risk``; ``recent_risk`` of
    `concept.recent`; and ``loss``, the mean of the window's rows.
    """
    source = NoData("the version has no reference") if known is None else known.source
    if isinstance(source, NoData):
        return Finding("no_data", (source.measurement(),), 0)
    fresh = block_losses(truth, spec, source.scale)
    for block in fresh:
        store.save_losses(WindowLosses(spec.model, version, window.start, window.end, block.to_record()))
    wrong = {window.start for window in circumstances.faulty}
    kept = store.losses(spec.model, version, window.end)
    sound = [BlockLoss.from_record(one.content) for one in kept if one.start not in wrong]
    finding = of_blocks(spec, source, sound, window.end)
    tolerated = _tolerated(spec, source)
    judged = (replace(n, limit=tolerated) if n.name == "risk" else n for n in finding.measurements)
    numbers = (Measurement("loss", block.mean, n=block.rows) for block in fresh)
    days = whole_days(sound, spec.monitor.window, window.end)
    newest = recent(spec, source, days, circumstances.drifted)
    return replace(finding, measurements=(*judged, *newest, *numbers))


def _tolerated(spec: ModelSpec, source: Source) -> float | None:
    """Return the mean loss that production is held against; None where the reference cannot bound it."""
    wanted = spec.monitor.concept_drift
    high = source.upper(wanted.alpha / 2, wanted.dependence)
    return None if isinstance(high, NoData) else (1 + wanted.tolerance) * high
