"""Columns of vectors: which ones a file has, and how long their vectors are."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def holds_vectors(kind: pa.DataType) -> bool:
    """Return whether a column may hold vectors: lists of floats, or of a fixed number of any numbers."""
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    if pa.types.is_fixed_size_list(kind):
        return bool(pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(listed and pa.types.is_floating(kind.value_type))


def plain(column: pa.ChunkedArray) -> pa.Array:
    """Return the lists themselves, without an extension type such as Arrow's fixed-shape tensor."""
    array = column.combine_chunks()
    return array.storage if isinstance(array.type, pa.BaseExtensionType) else array


def lengths(vectors: pa.Array) -> list[int]:
    """Return the lengths that there are, the shortest first; none where every vector is missing."""
    if pa.types.is_null(vectors.type):
        return []
    return sorted(pc.unique(pc.list_value_length(vectors.drop_null())).to_pylist())
