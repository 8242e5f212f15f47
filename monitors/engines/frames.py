"""Reads pandas frames, every dtype: nullable, extension, categories, and objects of any kind."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from monitors.engines.memory import open_table
from monitors.engines.source import Source
from monitors.profiles.counting.arrow_arrays import arrow_numbers

if TYPE_CHECKING:
    import pandas as pd


def open_frame(frame: pd.DataFrame) -> Source:
    """Open a pandas frame without its index.

    NaN, NaT and None are nulls, as pandas itself writes them to a file. A column of objects that no one Arrow
    type holds (numbers beside words) is read as strings, and so are periods, intervals and UUIDs.
    """
    series = (frame.iloc[:, place] for place in range(frame.shape[1]))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # NumPy and Arrow run beside
        columns = list(pool.map(to_arrow, series))
    return open_table(pa.table(columns, names=[_word(label) for label in frame.columns]), "pandas frame")


def to_arrow(series: pd.Series) -> pa.Array | pa.ChunkedArray:
    """Return a column as Arrow; see `open_frame`."""
    import pandas as pd  # noqa: PLC0415 - half a second; whoever has a frame has paid it

    if isinstance(series.dtype, pd.SparseDtype):
        series = series.astype(series.dtype.subtype)
    if series.dtype == np.float64 and not _has_nan(series.to_numpy()):
        return arrow_numbers(series.to_numpy())
    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return _as_words(series)
    return _as_words(series) if _is_extension(array.type) else array


def _has_nan(values: npt.NDArray[np.float64]) -> bool:
    return bool(np.isnan(values.min(initial=np.inf)))  # fifteen times as fast as looking for nulls


def _is_extension(kind: pa.DataType) -> bool:
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return isinstance(values, pa.BaseExtensionType)


def _as_words(series: pd.Series) -> pa.Array:
    missing = series.isna().tolist()
    words = [None if gone else _word(value) for value, gone in zip(series.tolist(), missing, strict=True)]
    return pa.array(words, pa.string())


def _word(value: object) -> str:
    """Return a value as text that UTF-8 can hold: Python's may have halves of characters in it."""
    return str(value).encode("utf-8", errors="replace").decode("utf-8")
