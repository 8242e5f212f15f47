"""The test of the loss over a version's whole life: a window's losses are kept, and all of them judged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from monitors.concept.blocks import BlockLoss, block_losses
from monitors.concept.judge import judge as of_blocks
from monitors.concept.source import Source
from monitors.finding import Finding, NoData
from monitors.known_version import KnownVersion
from monitors.performance import Truth
from monitors.records import Measurement, WindowLosses
from monitors.results import Store
from monitors.windows import Window
from spec import ModelSpec


def judge(
    spec: ModelSpec,
    store: Store,
    window: Window,
    version: str,
    known: KnownVersion | None,
    truth: Truth,
    faulty: Collection[Window],
) -> Finding:
    """Keep a window's losses and return the verdict on all of the version's windows that are over by its end.

    Parameters
    ----------
    truth
        The labelled rows of the window alone.
    faulty
        Windows whose data were wrong: their losses are kept and not judged.

    Returns
    -------
    As of `concept.judge`, with what is tolerated as the limit of ``risk``; and ``loss``, the mean of the
    window's rows.
    """
    source = NoData("the version has no reference") if known is None else known.source
    if isinstance(source, NoData):
        return Finding("no_data", (source.measurement(),), 0)
    fresh = block_losses(truth, spec, source.scale)
    for block in fresh:
        store.save_losses(WindowLosses(spec.model, version, window.start, window.end, block.to_record()))
    wrong = {window.start for window in faulty}
    kept = store.losses(spec.model, version, window.end)
    sound = [BlockLoss.from_record(one.content) for one in kept if one.start not in wrong]
    finding = of_blocks(spec, source, sound, window.end)
    tolerated = _tolerated(spec, source)
    judged = (replace(n, limit=tolerated) if n.name == "risk" else n for n in finding.measurements)
    numbers = (Measurement("loss", block.mean, n=block.rows) for block in fresh)
    return replace(finding, measurements=(*judged, *numbers))


def _tolerated(spec: ModelSpec, source: Source) -> float | None:
    """Return the mean loss that production is held against; None where the reference cannot bound it."""
    wanted = spec.monitor.concept_drift
    high = source.upper(wanted.alpha / 2, wanted.dependence)
    return None if isinstance(high, NoData) else (1 + wanted.tolerance) * high
