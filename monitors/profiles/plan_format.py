"""Plans as JSON documents, whose arrays are marks of packed bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from monitors.profiles.packing import Packer, Unpacker
from monitors.profiles.plan import CategoricalPlan, ColumnPlan, Family, Floats, Ints, Kind, NumericPlan, Plan

_WHOLE = 2.0**53
_PLAIN = ("name", "center", "step", "scale", "exact", "whole")


def to_document(plan: Plan, packer: Packer) -> dict[str, Any]:
    """Return the plan as values that fit in JSON, its arrays in `packer`."""
    return {
        "columns": [_column_document(column, packer) for column in plan.columns.values()],
        "skipped": dict(plan.skipped),
        "pairs": plan.pairs,
    }


def from_document(document: Mapping[str, Any], packed: Unpacker) -> Plan:
    """Return the plan that `to_document` wrote.

    Raises
    ------
    LookupError, TypeError, ValueError
        If it wrote something else.
    """
    columns = [_column(fields, packed) for fields in document["columns"]]
    return Plan({column.name: column for column in columns}, document["skipped"], document["pairs"])


def _column_document(column: ColumnPlan, packer: Packer) -> dict[str, Any]:
    kinds = {"kind": column.kind.value, "family": column.family.value}
    if isinstance(column, CategoricalPlan):
        return {"name": column.name, "values": column.values, **kinds}
    arrays = {
        "cuts": _cuts_document(column, packer),
        "groups": packer.ints(np.diff(column.groups, prepend=0)),
        "ranks": packer.ints(np.diff(column.ranks, prepend=0)),
    }
    return {name: getattr(column, name) for name in _PLAIN} | kinds | arrays


def _cuts_document(column: NumericPlan, packer: Packer) -> dict[str, Any]:
    """Write cells as steps between integers, and what is no integer of 53 bits as floats before and after."""
    cuts = column.cuts
    first, last = (0, 0) if column.exact else np.searchsorted(cuts, [-_WHOLE, _WHOLE]).tolist()
    cells: Ints = cuts[first:last].astype(np.int64)
    return {
        "first": packer.floats(cuts[:first]),
        "cells": packer.ints(np.diff(cells, prepend=0)),
        "last": packer.floats(cuts[last:]),
    }


def _column(fields: Mapping[str, Any], packed: Unpacker) -> ColumnPlan:
    kind, family = Kind(fields["kind"]), Family(fields["family"])
    if "values" in fields:
        return CategoricalPlan(fields["name"], kind, family, tuple(fields["values"]))
    return NumericPlan(
        kind=kind,
        family=family,
        cuts=_cuts(fields["cuts"], packed),
        groups=np.cumsum(packed.ints(fields["groups"])),
        ranks=np.cumsum(packed.ints(fields["ranks"])),
        **{name: fields[name] for name in _PLAIN},
    )


def _cuts(fields: Mapping[str, Any], packed: Unpacker) -> Floats:
    cells = np.cumsum(packed.ints(fields["cells"])).astype(np.float64)
    return np.concatenate([packed.floats(fields["first"]), cells, packed.floats(fields["last"])])
