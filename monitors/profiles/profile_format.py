"""Profiles as bytes: versioned, checked, compact, and the same bytes for equal profiles.

A reference keeps its plan with it; windows may leave it out (`with_plan=False`), being told it when read.

The bytes are a head (``TRIM``, version, size, digest) and a body, compressed by Zstandard: a JSON document,
whose arrays are marks of what follows it (`monitors.profiles.packing`).
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from monitors.profiles import plan_format
from monitors.profiles.counting.cross import CrossMoments
from monitors.profiles.packing import Packer, Unpacker
from monitors.profiles.plan import CategoricalPlan, NumericPlan, Plan
from monitors.profiles.profile import CategoricalColumn, Column, NumericColumn, Profile
from spec import DataError, Problem

VERSION = 1
"""Of what is written here; later ones are refused."""

_WHERE = "profile"
_MAGIC = b"TRIM"
_HEAD = struct.Struct("<4sHQ16s")
_LENGTH = struct.Struct("<I")
_LARGEST = 2**32  # bytes of a body: more than any plan can make
_MOMENTS = ("n", "sums", "squares", "products")
_ODD = ("nulls", "nans", "pos_inf", "neg_inf", "total", "squares")


def to_bytes(profile: Profile, *, with_plan: bool = True) -> bytes:
    """Return a profile as bytes.

    Parameters
    ----------
    with_plan
        Whether the plan goes along, which is more than half of the size; else its fingerprint does.
    """
    packer = Packer()
    document = {
        "plan": plan_format.to_document(profile.plan, packer) if with_plan else profile.plan.fingerprint,
        "rows": profile.rows,
        "columns": {
            name: _column_document(profile.columns[name], packer)
            for name in profile.plan.columns
            if name in profile.columns
        },
        "cross": _cross_document(profile.cross, packer) if profile.cross is not None else None,
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    body = _LENGTH.pack(len(text)) + text + packer.content()
    compressed: bytes = pa.Codec("zstd", compression_level=9).compress(body, asbytes=True)
    return _HEAD.pack(_MAGIC, VERSION, len(body), _digest(len(body), compressed)) + compressed


def from_bytes(content: bytes, *, plan: Plan | None = None) -> Profile:
    """Return the profile that `to_bytes` wrote.

    Parameters
    ----------
    plan
        The plan that it was counted by; needed where it was left out.

    Raises
    ------
    DataError
        If these are no profile's bytes, are damaged, are of a later version, or are of another plan.
    """
    body = _body(content)
    try:
        (length,) = _LENGTH.unpack_from(body)
        document = json.loads(body[_LENGTH.size : _LENGTH.size + length])
        return _profile(document, Unpacker(body[_LENGTH.size + length :]), plan)
    except (ValueError, LookupError, TypeError, struct.error) as error:
        raise DataError([Problem(_WHERE, "must be a profile", f"what cannot be read: {error}")]) from error


def _body(content: bytes) -> bytes:
    if len(content) < _HEAD.size or not content.startswith(_MAGIC):
        raise DataError(
            [Problem(_WHERE, "must be a profile of Trimtab", f"{len(content)} bytes of something else")]
        )
    _, version, size, digest = _HEAD.unpack_from(content)
    if version > VERSION:
        raise DataError(
            [
                Problem(
                    _WHERE, f"must be of version {VERSION} or before", f"version {version}", "Update Trimtab"
                )
            ]
        )
    compressed = content[_HEAD.size :]
    if digest != _digest(size, compressed) or size > _LARGEST:
        raise DataError(
            [Problem(_WHERE, "must be whole", "bytes that were damaged or cut off", "Profile the data again")]
        )
    body: bytes = pa.Codec("zstd").decompress(compressed, size, asbytes=True)
    return body


def _digest(size: int, compressed: bytes) -> bytes:
    return hashlib.blake2b(size.to_bytes(8, "little") + compressed, digest_size=16).digest()


def _profile(document: Mapping[str, Any], packed: Unpacker, plan: Plan | None) -> Profile:
    plan = _plan(document["plan"], packed, plan)
    counted = document["columns"].items()
    columns = {name: _column(fields, plan.columns[name], packed) for name, fields in counted}
    cross = document["cross"]
    return Profile(plan, document["rows"], columns, None if cross is None else _cross(cross, packed))


def _plan(written: str | Mapping[str, Any], packed: Unpacker, given: Plan | None) -> Plan:
    if not isinstance(written, str):
        found = plan_format.from_document(written, packed)
        if given is None:
            return found
        written = found.fingerprint
    if given is None:
        raise DataError(
            [Problem(_WHERE, "must come with its plan", "none", "Pass the plan of its reference: plan=…")]
        )
    if given.fingerprint != written:
        raise DataError(
            [Problem(_WHERE, "must be of the plan given", f"plans {written} and {given.fingerprint}")]
        )
    return given


def _column_document(column: Column, packer: Packer) -> dict[str, Any]:
    if isinstance(column, CategoricalColumn):
        names = sorted(column.rare)
        rare = np.array([column.rare[name] for name in names], dtype=np.int64)
        return {
            "counts": packer.ints(column.counts),
            "others": packer.ints(column.others),
            "names": names,
            "rare": packer.ints(rare),
            "nulls": column.nulls,
        }
    ends = [_end(value, column.plan) for value in (column.minimum, column.maximum)]
    return {"counts": packer.ints(column.counts), "ends": ends} | {
        name: getattr(column, name) for name in _ODD
    }


def _end(value: float | None, plan: NumericPlan) -> float | None:
    """Return an extreme as the plan has it, integer or float: 1 and 1.0 are equal, and so are their bytes."""
    if value is None:
        return None
    if isinstance(plan.center, int):
        return int(value) if value == int(value) else value
    return float(value) if float(value) == value else value


def _column(
    fields: Mapping[str, Any], plan: NumericPlan | CategoricalPlan, packed: Unpacker
) -> NumericColumn | CategoricalColumn:
    counts = packed.ints(fields["counts"])
    if isinstance(plan, CategoricalPlan):
        rare = dict(zip(fields["names"], packed.ints(fields["rare"]).tolist(), strict=True))
        return CategoricalColumn(plan, counts, packed.ints(fields["others"]), rare, fields["nulls"])
    low, high = fields["ends"]
    odd = {name: fields[name] for name in _ODD}
    return NumericColumn(plan, counts, minimum=low, maximum=high, **odd)


def _cross_document(cross: CrossMoments, packer: Packer) -> dict[str, Any]:
    return {"names": cross.names} | {name: packer.ints(getattr(cross, name)) for name in _MOMENTS}


def _cross(fields: Mapping[str, Any], packed: Unpacker) -> CrossMoments:
    names = tuple(fields["names"])
    shape = (len(names), len(names))
    return CrossMoments(names, *(packed.ints(fields[name]).reshape(shape) for name in _MOMENTS))
