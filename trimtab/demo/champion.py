"""The model as a data scientist left it: a random forest of January and February.

The notebook split the rows at random, so the test set knows the days of the training set, and promises an AUC
that the first weeks in production do not keep. That promise is what was registered with the model.
"""

from __future__ import annotations

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from trimtab.demo.flights import CATEGORICAL, NUMERIC

TEST_SHARE = 0.2


def notebook_split(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return training and test rows, split at random."""
    train, test = train_test_split(rows, test_size=TEST_SHARE, random_state=0)
    return train, test


def notebook_model(rows: pd.DataFrame, *, trees: int = 100) -> Pipeline:
    """Fit imputer, ordinal encoder and random forest on the feature columns and `late` of `rows`."""
    inputs = ColumnTransformer(
        [
            ("numeric", SimpleImputer(strategy="median"), NUMERIC),
            (
                "categorical",
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
                CATEGORICAL,
            ),
        ]
    )
    forest = RandomForestClassifier(n_estimators=trees, random_state=0, n_jobs=-1)
    features = rows[[*NUMERIC, *CATEGORICAL]].astype(dict.fromkeys(NUMERIC, "float32"))
    return Pipeline([("inputs", inputs), ("forest", forest)]).fit(features, rows["late"])
