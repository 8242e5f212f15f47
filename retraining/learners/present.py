"""The columns that hold a value: histogram boosting cannot bin one that is null in every row."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Present:
    """What a scikit-learn ``ColumnTransformer`` asks for columns when it is fitted.

    A feature that is null in all rows, such as in those from before it was introduced, is in no tree.
    """

    names: list[str]

    def __call__(self, inputs: pd.DataFrame) -> list[str]:
        """Return those of the columns that hold a value in some row."""
        return [name for name in self.names if inputs[name].notna().any()]
