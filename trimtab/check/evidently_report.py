"""Evidently's own report of the same two files, on a sample, for those who know it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitors.engines import local
from monitors.engines.sources import open_source
from monitors.profiles.plan import Kind
from trimtab.check.outcome import Outcome
from trimtab.check.request import Request

if TYPE_CHECKING:
    import pandas as pd

ROWS = 5000
"""Rows of each side that Evidently sees; it takes minutes for a million."""

_SEED = 0
_NUMBERS = {Kind.NUMERIC}


def write(request: Request, outcome: Outcome, file: Path) -> None:
    """Write the report with Evidently's own defaults; its verdicts may differ from ours.

    The columns are those of our table that have a value on both sides, because Evidently fails on the others.
    The same rows are drawn every time.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # what Evidently's own dependencies deprecate is not the user's concern
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset, DataSummaryPreset

        columns = [*outcome.columns, *([outcome.target] if outcome.target else [])]
        kinds = {column.name: column.kind for column in columns if column.n_reference and column.n_current}
        definition = DataDefinition(
            numerical_columns=[name for name, kind in kinds.items() if kind in _NUMBERS],
            categorical_columns=[
                name for name, kind in kinds.items() if kind in {Kind.CATEGORICAL, Kind.BOOLEAN}
            ],
            text_columns=[name for name, kind in kinds.items() if kind is Kind.TEXT],
            datetime_columns=[name for name, kind in kinds.items() if kind is Kind.DATETIME],
        )
        current, reference = (
            Dataset.from_pandas(_frame(side, kinds), definition)
            for side in (request.current, request.reference)
        )
        run = Report([DataDriftPreset(), DataSummaryPreset()]).run(current, reference)
        file.write_text(run.get_html_str(as_iframe=False), "utf-8")


def _frame(path: str, kinds: dict[str, Kind]) -> pd.DataFrame:
    """Return a sample with the types that Evidently knows: float64, strings, naive times."""
    names = [name for name in open_source(path).schema.names if name in kinds]
    frame: pd.DataFrame = local.sample(path, ROWS, _SEED, columns=names).to_pandas()
    types = {Kind.NUMERIC: "float64", Kind.DATETIME: "datetime64[ns]"}
    for name, kind in kinds.items():
        if kind is Kind.DATETIME and getattr(frame[name].dtype, "tz", None) is not None:
            frame[name] = frame[name].dt.tz_localize(None)
        there = frame[name].notna()
        wanted: Any = types.get(kind, "str")
        frame[name] = frame[name].astype(wanted).where(there)
    return frame
