"""What the data suggest of right values stands in the first file, and is printed for a version."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from monitors import references
from spec import ModelSpec, Settings, loads
from trimtab.cli import cli
from trimtab.init.document import render
from trimtab.init.guesses import draft

ROWS = 2000
SHOP = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: order_id, time: at, target: {name: late}}
features:
  amount: {type: numeric, unit: EUR, max: 5000}
  country: {type: categorical, protected: true}
  member: boolean
"""


def orders(hours: int = 24 * 30) -> pa.Table:
    """A month of orders, every few minutes."""
    rng = np.random.default_rng(1)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    seconds = np.linspace(0, hours * 3600, ROWS)
    return pa.table(
        {
            "order_id": [f"o{at}" for at in range(ROWS)],
            "at": pa.array([start + timedelta(seconds=float(at)) for at in seconds]),
            "amount": np.round(rng.gamma(2, 50, ROWS), 2),
            "country": rng.choice(["de", "no", "it's"], ROWS),
            "member": rng.random(ROWS) < 0.5,
            "late": rng.random(ROWS) < 0.2,
        }
    )


def drafted(table: pa.Table) -> tuple[str, ModelSpec]:
    """The first file, and what the loader reads of it."""
    found, problems = draft(table, {"id": "", "time": "", "target": ""}, "orders")
    assert found is not None, problems
    text = render(found, "orders.parquet")
    return text, loads(text, "the draft")


def test_a_first_file_states_what_was_inferred() -> None:
    """Bounds, categories and nulls stand on the feature's line, with what was seen beside them."""
    text, spec = drafted(orders())
    amount, country = spec.features["amount"], spec.features["country"]

    assert amount.min == 0
    assert amount.max is not None
    assert 500 < amount.max < 5000
    assert country.values == ("de", "it's", "no")  # noqa: PD011 - and `no` is quoted in YAML
    assert (amount.nulls, spec.features["member"].nulls) == (0.05, 0.05)
    line = next(line for line in text.splitlines() if line.startswith("  amount:"))
    assert "  # seen " in line
    assert "LOOK at it" in text


def test_a_first_file_states_volume_and_freshness() -> None:
    """A tenth of the usual rows is the least, three times the longest silence the most; the door is shown."""
    text, spec = drafted(orders())
    quality = spec.monitor.quality

    assert quality.min_rows == pytest.approx(ROWS / 30 * 7 / 10, abs=1)  # few rows a day: weekly windows
    assert quality.freshness == timedelta(minutes=65)
    assert "door: off" in text


def test_rows_far_apart_state_no_freshness() -> None:
    """Where two rows may be days apart, silence says nothing."""
    _, spec = drafted(orders(hours=24 * 30 * 400))

    assert spec.monitor.quality.freshness is None


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with a model, and the reference of its version 3."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "shop.yaml").write_text(SHOP, "utf-8")
    monkeypatch.setenv("TRIMTAB_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    spec = loads(SHOP)
    rows: pd.DataFrame = orders().to_pandas().assign(prediction=0.5)
    references.publish(
        spec,
        Settings.from_env({"TRIMTAB_HOME": str(tmp_path)}),
        "3",
        rows,
        importances=dict.fromkeys(spec.features, 1 / 3),
        performance={},
        window=(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)),
    )
    return tmp_path


def asked(*arguments: str) -> Result:
    """What the command says."""
    return CliRunner().invoke(cli, ["constraints", *arguments])


def test_the_lines_of_a_version_can_be_pasted(home: Path) -> None:
    """The block is a file's `features:`; what the file states already stays: unit, bound, protection."""
    result = asked("shop", "--version", "3", "--home", str(home))

    assert result.exit_code == 0, result.output
    pasted = loads(SHOP[: SHOP.index("features:")] + result.output)
    amount, country = pasted.features["amount"], pasted.features["country"]
    assert (amount.unit, amount.min, amount.max) == ("EUR", 0, 5000)
    assert (country.protected, country.values) == (True, ("de", "it's", "no"))  # noqa: PD011
    assert pasted.features["member"].nulls == 0.05


def test_the_champion_is_looked_at_by_default(home: Path) -> None:
    """Without a version it is the champion's reference; without a champion that is said."""
    assert "has no champion" in str(asked("shop", "--home", str(home)).exception)

    (home / "slots").mkdir()
    state = {"schema_version": 1, "model": "shop", "slot": "blue", "version": "3", "file": "x"}
    (home / "slots" / "shop-blue.json").write_text(json.dumps(state), "utf-8")
    assert asked("shop", "--home", str(home)).output == asked("shop", "--version", "3").output
