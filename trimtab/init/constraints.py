"""The line of a feature in the YAML, with the constraints that the data suggest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from monitors.profiles.counting import columns as stored
from monitors.quality.inferred import Constraints, constraints, of_booleans, of_categories, of_numbers
from monitors.references import Reference
from spec import Feature, FeatureType, ModelSpec

_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*$")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "nan", "inf", "y", "n"}
_WHOLE = 1e15


def inferred(values: pa.ChunkedArray, kind: FeatureType) -> Constraints:
    """Return what the values of a column suggest."""
    array = values.combine_chunks()
    if kind is FeatureType.NUMERIC:
        numbers = np.asarray(stored.numbers(array), dtype=np.float64)
        return of_numbers(numbers[~np.isnan(numbers)], len(array))
    if kind is FeatureType.CATEGORICAL:
        return of_categories(stored.decoded(stored.strings(array).drop_null()), len(array))
    return of_booleans(array.null_count, len(array))


def line(
    name: str,
    kind: FeatureType,
    stated: Constraints,
    remark: str = "",
    *,
    also: Mapping[str, str] | None = None,
) -> str:
    """Return ``name: {type: …, min: …}`` with what was seen, and a remark, in a comment.

    Parameters
    ----------
    also
        Other keys of the feature, with their values as YAML.
    """
    keys = "".join(f", {key}: {value}" for key, value in [*(also or {}).items(), *_keys(stated)])
    said = f"{{type: {kind.value}{keys}}}" if keys else kind.value
    told = "; ".join(part for part in (f"seen {stated.seen}" if stated.seen else "", remark) if part)
    return f"{scalar(name)}: {said}{f'  # {told}' if told else ''}"


def suggested(spec: ModelSpec, reference: Reference) -> Iterator[str]:
    """Yield the lines of ``features:`` with what a reference suggests; what the file states stays."""
    types = {name: feature.type for name, feature in spec.features.items()}
    found = constraints(reference.frame, types, ranges=reference.ranges, categories=reference.categories)
    for name, feature in spec.features.items():
        also = {} if feature.unit is None else {"unit": scalar(feature.unit)}
        also |= {"protected": "true"} if feature.protected else {}
        yield line(name, feature.type, _with_stated(found[name], feature), also=also)


def scalar(text: str) -> str:
    """Return a string as YAML: bare if it cannot be read as anything else, else quoted."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in quoted)


def listed(values: Sequence[str]) -> str:
    """Return a list of strings as YAML, on one line."""
    return f"[{', '.join(map(scalar, values))}]"


def _with_stated(found: Constraints, feature: Feature) -> Constraints:
    keys = ("min", "max", "values", "nulls")
    stated = {key: getattr(feature, key) for key in keys if getattr(feature, key) is not None}
    return replace(found, **stated, unique=found.unique or feature.unique)


def _keys(stated: Constraints) -> Iterator[tuple[str, str]]:
    if stated.min is not None:
        yield "min", _number(stated.min)
    if stated.max is not None:
        yield "max", _number(stated.max)
    if stated.values is not None:
        yield "values", listed(stated.values)
    if stated.nulls is not None:
        yield "nulls", f"{stated.nulls * 100:.4g}%"
    if stated.unique:
        yield "unique", "true"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < _WHOLE else repr(value)
