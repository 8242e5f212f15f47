"""The labelled rows that `prepare` froze into files, as the stages after it read them."""

from __future__ import annotations

import pandas as pd

from retraining.workspace import Workspace
from spec import ModelSpec

TRAIN, HOLDOUT = "train.parquet", "holdout.parquet"
DOUBTED = "doubted_labels.csv"
"""Where `train` lists the training rows whose labels are probably wrong, the most doubtful first."""


def load_rows(work: Workspace, name: str) -> pd.DataFrame:
    """Return a file of the snapshot, `TRAIN` or `HOLDOUT`: id, time, target and features, by time."""
    return pd.read_parquet(work.path(name))


def kept(spec: ModelSpec, work: Workspace, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the training rows [n] that count: where the spec says so, those without doubtful labels."""
    if spec.retrain.label_errors != "remove" or not work.path(DOUBTED).exists():
        return frame
    doubted = pd.read_csv(work.path(DOUBTED), dtype={spec.data.id: "str"})[spec.data.id]
    return frame[~frame[spec.data.id].isin(doubted)]
