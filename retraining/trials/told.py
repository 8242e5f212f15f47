"""The trials of a search as the tracking server keeps them, from the table that the search left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from retraining.release import Trial

MOST = 200
"""Trials that are told; the table has all."""
_PARAM, _VALUE = "params_", "value"


def trials(file: Path) -> tuple[Trial, ...]:
    """Return the finished trials of the table that `retraining.tune` writes, of many the best ones.

    They are in the order of the table. Of several objectives the first, the loss, says which is best.
    """
    table = pd.read_csv(file, parse_dates=["datetime_start", "datetime_complete"])
    over = table[table["datetime_complete"].notna()]
    values = [name for name in over.columns if name == _VALUE or name.startswith(f"{_VALUE}s_")]
    best = over.sort_values([*values[:1], "number"], kind="stable").index[:MOST]
    return tuple(_trial(over.loc[index], values) for index in sorted(best))


def _trial(row: pd.Series[Any], values: list[str]) -> Trial:
    params = {
        str(name).removeprefix(_PARAM): _text(value)
        for name, value in row.items()
        if str(name).startswith(_PARAM) and pd.notna(value)
    }
    seconds = (row["datetime_complete"] - row["datetime_start"]).total_seconds()
    metrics = {name: float(row[name]) for name in values if pd.notna(row[name])}
    return Trial(
        name=f"{row['learner']} trial {row['number']}",
        params={"learner": str(row["learner"])} | params,
        metrics=metrics | {"seconds": seconds},
        state=str(row["state"]),
        start=row["datetime_start"].to_pydatetime(),
        end=row["datetime_complete"].to_pydatetime(),
    )


def _text(value: Any) -> str:
    """Return a parameter as text; whole numbers became floats in the table, where other trials lack them."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
