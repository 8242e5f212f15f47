"""The example of docs/check.md, made again from the data that it was made from."""

from __future__ import annotations

import datetime as dt
import random
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from scipy.special import ndtri

from trimtab.cli import cli

P_VALUE = re.compile(r"\b[01]\.\d{4}\b")
"""Some are drawn: another processor may add up the draws in another order."""

PAGE = Path(__file__).parents[3] / "docs" / "check.md"
ROWS = 2000


class _Dice:
    """Numbers of Python's own generator, which gives the same in every version."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - an example, no secret

    def even(self, n: int = ROWS) -> npt.NDArray[np.float64]:
        return np.array([self._random.random() for _ in range(n)])

    def normal(self, n: int = ROWS) -> npt.NDArray[np.float64]:
        return np.asarray(ndtri(self.even(n)))

    def pick(self, values: str) -> list[str]:
        listed = values.split()
        return [listed[int(at * len(listed))] for at in self.even()]


def _month(seed: int, month: int) -> pa.Table:
    """Return customers; from March on slower, on watches, with a broken gauge and other tickets."""
    dice, moved = _Dice(seed), month >= 3
    temp = dice.normal()
    tickets = dice.normal(ROWS * 8).reshape(ROWS, 8) + 0.5 * moved
    seconds = np.sort(dice.even()) * 30 * 86400
    first = dt.datetime(2026, month, 1, tzinfo=dt.UTC)
    pressure = np.where(dice.even() < (0.3 if moved else 0.02), np.nan, 1013 + 8 * dice.normal())
    columns = {
        "customer_id": [f"c{seed}-{at}" for at in range(ROWS)],
        "booked_at": [first + dt.timedelta(seconds=int(each)) for each in seconds],
        "latency_ms": np.exp(4 + 0.9 * moved + 0.5 * dice.normal()).round(1),
        "device": dice.pick("ios ios android web watch" if moved else "ios ios android web"),
        "pressure": pa.array(pressure.tolist(), from_pandas=True),
        "age": (18 + 60 * dice.even()).astype(int),
        "temp": temp,
        "load": temp * (-0.4 if moved else 0.9) + (0.9 if moved else 0.4) * dice.normal(),
        "ticket": pa.FixedSizeListArray.from_arrays(pa.array(tickets.ravel()), 8),
        "churned": dice.even() < (0.36 if moved else 0.18),
    }
    return pa.table(columns if moved else columns | {"signal_7": dice.normal()})


def test_the_documented_example_is_what_the_command_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block of docs/check.md that begins with the command goes on with its output, p-values to 0.002."""
    pq.write_table(_month(1, 1), tmp_path / "january.parquet")
    pq.write_table(_month(3, 3), tmp_path / "march.parquet")
    documented = PAGE.read_text("utf-8").split("```\n$ trimtab ")[1].split("\n```")[0]
    command, _, expected = documented.partition("\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner(env={"COLUMNS": "100", "NO_COLOR": "1"}).invoke(cli, command.split())
    found = "\n".join(line.rstrip() for line in done.stdout.rstrip().splitlines())

    assert P_VALUE.sub("p", expected) == P_VALUE.sub("p", found)
    assert [pytest.approx(float(p), abs=0.002) for p in P_VALUE.findall(expected)] == [
        float(p) for p in P_VALUE.findall(found)
    ]
    assert 1 == done.exit_code
