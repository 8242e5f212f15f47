from typing import Any

import numpy as np
import orjson
import pytest

import spec
from serving.door import Constraints, constraints, header
from serving.metrics import ServingMetrics
from serving.protocol import InferRequest, Protocol
from serving.values import Values

SHOP = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: y}}
features:
  amount: {type: numeric, min: 0, max: 100, nulls: 0}
  rate: {type: numeric, max: 0.1}
  country: {type: categorical, values: [de, fr]}
  street: {type: categorical, nulls: 0}
  member: {type: boolean, nulls: 0}
  free: numeric
monitor: {quality: {door: DOOR}}
"""
GOOD: dict[str, Any] = {
    "amount": 100,
    "rate": 0.1,
    "country": "fr",
    "street": "Rue",
    "member": True,
    "free": -1e9,
}
TYPES = {"country": "BYTES", "street": "BYTES", "member": "BOOL"}


def model(door: str = "flag") -> spec.ModelSpec:
    """The model, with what its door does."""
    return spec.loads(SHOP.replace("DOOR", door))


def asked(*rows: dict[str, Any]) -> InferRequest:
    """A request as the protocol reads it: good rows with some values replaced."""
    full = [GOOD | row for row in rows]
    inputs = [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": TYPES.get(name, "FP64"),
            "data": [row[name] for row in full],
        }
        for name in GOOD
    ]
    return Protocol(model()).parse(orjson.dumps({"id": "a", "inputs": inputs}), "a")


def broken(*rows: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Rows by feature and check that some rows break."""
    return {(found.feature, found.check): found.rows for found in _constraints().broken(asked(*rows))}


def _constraints() -> Constraints:
    found = constraints(model())
    assert found is not None
    return found


@pytest.mark.parametrize("copies", [1, 3])
def test_bounds_belong_to_what_is_allowed(copies: int) -> None:
    """Values at the bounds pass, alone and in a batch, though 0.1 is another number in single precision."""
    assert broken(*[{"amount": 0}] * copies) == {}
    assert broken(*[{"rate": None, "country": None, "free": None}] * copies) == {}


@pytest.mark.parametrize("others", [0, 2])
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"amount": -0.01}, ("amount", "min")),
        ({"amount": 100.01}, ("amount", "max")),
        ({"rate": 0.11}, ("rate", "max")),
        ({"country": "it"}, ("country", "values")),
        ({"country": ""}, ("country", "values")),
        ({"amount": None}, ("amount", "nulls")),
        ({"street": None}, ("street", "nulls")),
        ({"member": None}, ("member", "nulls")),
    ],
    ids=str,
)
def test_each_constraint_is_told(row: dict[str, Any], expected: tuple[str, str], others: int) -> None:
    """A row that breaks one constraint is told by it, alone and among good rows; nothing else is."""
    assert broken(*[{}] * others, row) == {expected: 1}


def test_rows_are_counted_by_constraint() -> None:
    """Each constraint of a batch has its rows; a column may break more than one."""
    found = broken({"amount": -1}, {"amount": 101}, {"amount": 102, "country": "it"}, {"amount": None})

    assert found == {
        ("amount", "min"): 1,
        ("amount", "max"): 2,
        ("amount", "nulls"): 1,
        ("country", "values"): 1,
    }


def test_all_problems_are_told_with_the_first_row_of_each() -> None:
    """A refused caller reads where, what must hold, and what was found."""
    checks = _constraints()

    told = [str(problem) for problem in checks.problems(checks.broken(asked({}, {"amount": 101}, GOOD)))]
    both = [
        str(problem) for problem in checks.problems(checks.broken(asked({"amount": -1, "country": "it"})))
    ]

    assert told == ["inputs: amount.data[1]: must be at most 100; found 101"]
    assert both == [
        "inputs: amount.data[0]: must be at least 0; found -1",
        "inputs: country.data[0]: must be one of de, fr; found 'it'",
    ]


def test_the_header_is_ascii_and_short() -> None:
    """Names are percent-encoded, and beyond twenty constraints only their number is told."""
    checks = {f"größe {at}": spec.Feature.model_validate({"type": "numeric", "max": 1}) for at in range(30)}
    twos = np.full((len(checks), 1), 2.0)
    values = Values(list(checks), twos, twos.astype(np.float32), {})
    found = Constraints(checks).broken(InferRequest("a", None, None, 1, values, {}))

    name, text = header(found)

    assert name == b"x-trimtab-quality"
    assert text.startswith(b"gr%C3%B6%C3%9Fe%200;max=1, ")
    assert text.endswith(b"and 10 more")


def test_nothing_is_checked_where_nothing_is_stated_or_wanted() -> None:
    """Without a door, or without a constraint, there is nothing on the hot path."""
    assert constraints(model("off")) is None
    assert constraints(spec.loads(SHOP.split("features:", maxsplit=1)[0] + "features: {a: numeric}")) is None


def test_a_bound_beyond_single_precision_is_none_for_a_batch() -> None:
    """A number that the model sees as infinite bounds nothing, and nothing warns of it."""
    wide = {"a": spec.Feature.model_validate({"type": "numeric", "max": 1e300})}

    assert Constraints(wide).checks == (("a", "max"),)


def test_every_constraint_has_a_series_from_the_start() -> None:
    """The counters of a version exist at zero; mirrored requests share them; without a door there is none."""
    metrics = ServingMetrics(model(), "blue")
    live, shadow, _ = metrics.requests("7")
    live.broken["amount", "max"].inc(2)

    lines = metrics.exposition()[0].decode().splitlines()
    series = [line for line in lines if line.startswith("trimtab_door_violations_total{")]
    assert len(series) == len(_constraints().checks) == len(shadow.broken)
    assert (
        'trimtab_door_violations_total{check="max",feature="amount",model="shop",version="7"} 2.0' in series
    )
    assert ServingMetrics(model("off"), "blue").requests("7")[0].broken == {}


def test_many_features_share_a_series() -> None:
    """Beyond two hundred constraints features are counted together, so that a wide model cannot flood."""
    features = "\n".join(f"  f{at}: {{type: numeric, min: 0}}" for at in range(250))
    wide = (
        SHOP.split("features:", maxsplit=1)[0]
        + f"features:\n{features}\nmonitor: {{quality: {{door: flag}}}}\n"
    )
    metrics = ServingMetrics(spec.loads(wide), "blue")
    metrics.requests("7")

    lines = metrics.exposition()[0].decode().splitlines()
    assert 201 == sum(line.startswith("trimtab_door_violations_total{") for line in lines)
