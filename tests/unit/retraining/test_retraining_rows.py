from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from retraining.dataset import rows
from spec import DataError, ModelSpec


def test_nulls_become_nan_and_the_empty_string(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Every kind of null is what the model server makes of a JSON null."""
    frame = orders(n=200).head(2).assign(amount=[1.5, np.nan], country=[None, "de"], member=[pd.NA, True])

    given = rows.inputs(shop(), frame)

    assert ["float32", "float32", "object", "float32"] == [str(kind) for kind in given.dtypes]
    assert ["", "de"] == given["country"].tolist()
    assert [True, False] == given["member"].isna().tolist()
    assert 1.0 == given["member"].iloc[1]


def test_inputs_come_in_the_order_of_the_spec(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Columns of the frame may stand in any order and others may be among them."""
    frame = orders(n=200)

    given = rows.inputs(shop(), frame[sorted(frame, reverse=True)])

    assert ["amount", "weight", "country", "member"] == list(given)


@pytest.mark.parametrize(
    ("task", "given", "wanted"),
    [
        ("binary", [True, False], [1, 0]),
        ("multiclass", ["all", "none"], [2, 0]),
        ("regression", [0.5, 2], [0.5, 2.0]),
    ],
)
def test_the_target_is_a_number(shop: Callable[..., ModelSpec], task: str, given: list, wanted: list) -> None:
    """Truth is 0 or 1, the index of the class in the spec, or the value."""
    assert wanted == rows.target(shop(task), pd.DataFrame({"returned": given})).tolist()


def test_all_problems_of_a_frame_are_named_at_once(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """A missing column, a wrong type and a foreign label are one error, each with its column."""
    frame = orders(n=200).drop(columns="weight")
    frame = frame.assign(country=1.5, returned=["maybe"] + [True] * 199)

    with pytest.raises(DataError) as caught:
        rows.check(shop(), frame, "train_frame")

    text = str(caught.value)
    assert 3 == len(caught.value.problems)
    assert "train_frame: column 'weight': must be there" in text
    assert "column 'country': must hold strings; found float64" in text
    assert "column 'returned': must be true or false (or 1 and 0); found 'maybe'" in text


def test_a_null_label_is_no_label(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """Rows without truth cannot be trained on."""
    frame = orders(n=200).astype({"returned": "boolean"})
    frame.loc[3, "returned"] = pd.NA

    with pytest.raises(DataError, match="must have a label in every row; found 1 nulls"):
        rows.check(shop(), frame, "history")


def test_labels_as_ones_and_zeros_are_fine(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """A history may store the truth as integers or floats."""
    rows.check(shop(), orders(n=200).astype({"returned": "int64"}), "history")
    rows.check(shop(), orders(n=200).astype({"returned": "float64"}), "history")
