"""All checks of one window, and the finding that they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from monitors.finding import Finding
from monitors.quality import behaviour, columns
from monitors.quality.columns import Known
from monitors.quality.past import Past
from monitors.quality.traffic import Traffic, freshness, volume
from monitors.quality.uniqueness import repeated
from monitors.quality.violation import FAULTS, WINDOWS, Check, Violation
from monitors.references import Reference
from monitors.results.records import Measurement
from spec.features import Feature, FeatureType
from spec.model import ModelSpec

_NO_PAST = Past()


def check(
    frame: pd.DataFrame,
    ids: pd.Series,
    reference: Reference | None,
    spec: ModelSpec,
    *,
    rows: int | Traffic,
    past: Past = _NO_PAST,
) -> tuple[Violation, ...]:
    """Run every check.

    Parameters
    ----------
    frame
        The window's rows of one version; features by name, in the spec's dtypes (see `frames.typed`).
    ids
        Their prediction ids.
    reference
        The version's reference; None where it has none: then only what needs none is checked. A feature that
        the reference knows nothing of may be anything that the spec allows.
    rows
        The window's rows in all versions: their number, or what else is known of them.
    past
        What earlier windows were like; without it a fall of the usual volume and constants pass, and changes
        of unit are measured against the reference.
    """
    quality = spec.monitor.quality
    traffic = rows if isinstance(rows, Traffic) else Traffic(rows)
    found = [*volume(traffic, past.rows, quality, past.few), *freshness(traffic, quality)]
    found += _some(repeated(ids, quality.duplicates))
    for name, feature in spec.features.items():
        wrong = columns.schema(frame, name, feature)
        if wrong is not None:
            found.append(wrong)
        elif len(frame):
            found += columns.values(frame[name], name, feature, Known.of(reference, name), quality)
            if feature.unique:
                found += _some(repeated(frame[name], quality.duplicates, name))
            if reference is not None:
                found += _behaviour(frame[name], name, feature, reference, past, spec)
    return tuple(found)


def judge(violations: tuple[Violation, ...], rows: int, observed: Iterable[Measurement] = ()) -> Finding:
    """Return one measurement a violation, a zero for every clean check, and `alarm` if anything is wrong.

    Parameters
    ----------
    observed
        What `past.observed` yields of the window: for the windows after it.
    """
    measurements = [
        Measurement("violations", v.rows, v.feature, v.check.value, limit=v.limit, n=rows, text=v.detail)
        for v in violations
    ]
    measurements += [
        Measurement(WINDOWS, v.windows, v.feature, v.check.value) for v in violations if v.windows > 1
    ]
    clean = set(Check) - {violation.check for violation in violations}
    measurements += [Measurement("violations", 0, method=name.value, n=rows) for name in sorted(clean)]
    measurements += [Measurement("rows", rows), *observed]
    return Finding("alarm" if violations else "ok", tuple(measurements), rows)


def faults(measurements: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Return the violations of a stored finding by which the data are wrong: none may be trained on them."""
    return tuple(
        number
        for number in measurements
        if number.name == "violations" and number.value and number.method in FAULTS
    )


def _behaviour(
    column: pd.Series, name: str, feature: Feature, reference: Reference, past: Past, spec: ModelSpec
) -> Iterator[Violation]:
    quality = spec.monitor.quality
    if quality.constant:
        yield from _some(behaviour.constant(column, name, reference, past))
    if quality.unit_change is not None and feature.type is FeatureType.NUMERIC:
        yield from _some(behaviour.unit(column, name, reference, past, quality.unit_change, feature.unit))


def _some(violation: Violation | None) -> tuple[Violation, ...]:
    return () if violation is None else (violation,)
