"""Pandas frames in the dtypes of a spec, the same for a log and for a reference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from spec.features import FeatureType
from spec.model import ModelSpec
from spec.performance import Task

DTYPES = {FeatureType.NUMERIC: "float64", FeatureType.CATEGORICAL: "str", FeatureType.BOOLEAN: "boolean"}

ARROW = {
    FeatureType.NUMERIC: pa.float64(),
    FeatureType.CATEGORICAL: pa.string(),
    FeatureType.BOOLEAN: pa.bool_(),
}

_NULLABLE = {pa.bool_(): pd.BooleanDtype()}


def typed(spec: ModelSpec, rows: pa.Table | pd.DataFrame) -> pd.DataFrame:
    """Return rows with the features among their columns in the spec's dtypes.

    Numeric features are ``float64`` (null is NaN), categorical ones ``str`` (null is NaN), boolean ones
    pandas' nullable ``boolean``. Other columns stay as they are.

    Raises
    ------
    ValueError, TypeError
        A column cannot be converted.
    """
    frame = rows.copy() if isinstance(rows, pd.DataFrame) else rows.to_pandas(types_mapper=_NULLABLE.get)
    dtypes = {name: DTYPES[feature.type] for name, feature in spec.features.items() if name in frame.columns}
    return frame.astype(dtypes)


def arrow(spec: ModelSpec, rows: pd.DataFrame) -> pa.Table:
    """Return the features and `prediction` of a typed frame as the drift engine counts them: NaN is null.

    Columns that the frame lacks are left out.
    """
    kinds = {name: ARROW[feature.type] for name, feature in spec.features.items()} | {
        "prediction": pa.float64()
    }
    schema = pa.schema([(name, kind) for name, kind in kinds.items() if name in rows.columns])
    return pa.Table.from_pandas(rows[schema.names], schema, preserve_index=False)


def prediction(spec: ModelSpec, scores: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return one number a row of scores: P(positive), the value, or the index of the likeliest class."""
    if spec.task is not Task.MULTICLASS:
        first = pc.list_element(scores, 0)
        return np.asarray(first.to_numpy(), dtype=np.float64)
    classes = len(spec.data.target.classes or ())
    flat = pc.list_flatten(scores).to_numpy()
    return np.asarray(flat.reshape(len(scores), classes).argmax(axis=1), dtype=np.float64)
