"""A draft is a file that the loader takes, whatever the data hold."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec import InputError, ModelSpec, loads
from trimtab.init.document import render
from trimtab.init.draft import write
from trimtab.init.guesses import draft

GIVEN = {"id": "", "time": "", "target": ""}
TARGET = pa.array([0, 1, 0, 1])
NUMBERS = pa.array([0.5, 1.5, 2.5, 3.5])
ODD = [
    "on",
    "null",
    "a: b",
    "*a",
    "'a'",
    '"a"',
    "#a",
    "",
    " a ",
    "\n",
    "\x7f",
    "\x85",
    "\u2028",
    "\ufeff",
    "1e3",
]


def drafted(table: pa.Table, model: str = "m", source: str = "rows.parquet", **given: str) -> ModelSpec:
    """What the loader reads of a draft."""
    found, problems = draft(table, GIVEN | given, model)
    assert found is not None, problems
    return loads(render(found, source), "the draft")


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_read_as_they_are(name: str) -> None:
    """Words of YAML, its signs and what it takes for the end of a line are names like others."""
    wide = pa.table({"x": NUMBERS, name: ["a", "b", "c", "d"], "y": TARGET})

    assert name in drafted(pa.table({name: NUMBERS, "y": TARGET})).features
    assert name in drafted(wide).features
    if name:
        assert name == drafted(pa.table({"x": NUMBERS, name: TARGET}), target=name).data.target.name
        assert name == drafted(wide, id=name).data.id


@settings(deadline=None, max_examples=50)
@given(name=st.text().filter(lambda text: text not in {"y", "event_time", "prediction_id"}))
def test_any_name_is_read_as_it_is(name: str) -> None:
    """Whatever text a column's name is, the draft has it, and a nested one's comment stays a comment."""
    nested = pa.array([{f"{name}\n: x": 1}] * 4)

    assert [name] == list(drafted(pa.table({name: NUMBERS, "nested\n- x": nested, "y": TARGET})).features)


@pytest.mark.parametrize("model", ["null", "on", "y", "true"])
def test_models_may_be_called_as_words_of_yaml(model: str) -> None:
    """A model's name is a string; the name of the data in the comment does not end it."""
    assert model == drafted(pa.table({"x": NUMBERS, "y": TARGET}), model, "a\u2028b: *c").model


KINDS: dict[str, Any] = {
    "codes": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
    "decimals": pa.array([Decimal("1.5"), Decimal(2), None, Decimal(1)]),
    "half": pa.array(np.array([0, 1, 0, 1], np.float16)),
    "huge": pa.array([2**64 - 1, 0, 1, 2], pa.uint64()),
    "runs": pc.run_end_encode(pa.array([0, 0, 1, 1])),
    "views": pa.array(["a", "b", "c", "a"], pa.string_view()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_any_type_are_features(kind: str) -> None:
    """Codes, runs, halves and the largest integers are features like others."""
    assert ["x"] == list(drafted(pa.table([KINDS[kind], TARGET], ["x", "y"])).features)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "codes"])
def test_columns_of_any_type_are_targets(kind: str) -> None:
    """They can be what the model predicts, too."""
    assert "y" == drafted(pa.table([NUMBERS, KINDS[kind]], ["x", "y"])).data.target.name


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[1]] * 4),
        pa.array([1, 2, 3, 4], pa.time64("us")),
        pa.array([1, 2, 3, 4], pa.duration("us")),
        pa.array([b"x"] * 4),
    ],
    ids=str,
)
def test_what_no_model_predicts_is_refused(values: pa.Array) -> None:
    """Lists, times of day and bytes are no targets: one clear line says so."""
    found, (problem,) = draft(pa.table({"x": NUMBERS, "y": values}), GIVEN, "m")

    assert found is None
    assert str(problem).startswith("--target y: must be")


def test_nothing_is_written_where_a_link_is(tmp_path: Path) -> None:
    """A link that leads nowhere is something that exists; so a file is never made at its end."""
    pq.write_table(pa.table({"x": NUMBERS, "y": TARGET}), tmp_path / "rows.parquet")
    (tmp_path / "m.yaml").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(InputError, match="--out: must be a new file"):
        write(str(tmp_path / "rows.parquet"), GIVEN, "m", tmp_path / "m.yaml")
    assert not (tmp_path / "elsewhere").exists()


def test_a_line_after_the_model_is_no_name(tmp_path: Path) -> None:
    """A name with the end of a line behind it is refused."""
    pq.write_table(pa.table({"x": NUMBERS, "y": TARGET}), tmp_path / "rows.parquet")

    with pytest.raises(InputError, match="--model: must be lower case"):
        write(str(tmp_path / "rows.parquet"), GIVEN, "m\n", None)
