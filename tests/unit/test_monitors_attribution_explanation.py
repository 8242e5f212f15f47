from __future__ import annotations

from dataclasses import replace

import pytest

from monitors.attribution import Carrier, Explanation, Region
from monitors.performance import Estimate

BY = "The log loss rose by 0.08 [0.05, 0.11]"
RELATION = "85% of it because the relation changed"
CHANCE = "The log loss did not change beyond chance (+0.01 [-0.02, +0.04])"
CANCELLED = "but the relation changed (+0.11 [+0.1, +0.12]) and the inputs moved (-0.1 [-0.11, -0.09])"
AGAINST = "the relation changed (+0.1 [+0.09, +0.11]), the inputs moved (-0.02 [-0.03, -0.01])"
UNTOLD = "whether the inputs moved or the relation changed cannot be told from these rows"


def part(value: float, reach: float = 0.01) -> Estimate:
    """An estimate of 1000 rows."""
    return Estimate(value, value - reach, value + reach, 1000, 1000)


RISEN = Explanation(
    loss="log loss",
    total=part(0.08, 0.03),
    inputs=part(0.008),
    relation=part(0.068),
    new_inputs=part(0.004),
    moved=part(0.012, 0.02),
    overlap=0.8,
    input_carriers=(),
    relation_carriers=(Carrier("hour", 0.7), Carrier("origin", 0.3)),
    region=Region("origin = JFK and hour >= 17", 120, 0.12, part(0.4)),
    rows_reference=600,
    rows_current=400,
)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {},
            f"{BY}; {RELATION}, most where origin = JFK and hour >= 17.",
        ),
        (
            {"region": None},
            f"{BY}; {RELATION}, mostly with hour (70%), origin (30%).",
        ),
        (
            {"moved": part(0.012, 0.005), "region": None, "relation_carriers": ()},
            f"{BY}; {RELATION}, 15% of it because the inputs moved.",
        ),
        (
            {"relation": part(0.01, 0.02), "moved": part(0.07), "input_carriers": (Carrier("wind", 1.0),)},
            f"{BY}; 88% of it because the inputs moved, mostly wind (100%).",
        ),
        (
            {"relation": part(0.1), "moved": part(-0.02), "region": None, "relation_carriers": ()},
            f"{BY}; {AGAINST}.",
        ),
        (
            {"relation": part(0.04, 0.05), "moved": part(0.04, 0.05)},
            f"{BY}; {UNTOLD}.",
        ),
        (
            {"total": part(-0.08, 0.03), "relation": part(-0.068), "region": None, "relation_carriers": ()},
            f"{BY}; {RELATION}.".replace("rose", "fell"),
        ),
        (
            {"total": part(0.01, 0.03), "relation": part(0.01, 0.03)},
            f"{CHANCE}.",
        ),
        (
            {
                "total": part(0.01, 0.03),
                "relation": part(0.11),
                "moved": part(-0.1),
                "region": None,
                "relation_carriers": (),
            },
            f"{CHANCE}, {CANCELLED}.",
        ),
    ],
    ids=[
        "region", "carriers", "both", "inputs", "against", "untold", "fell", "nothing", "cancelled",
    ],
)  # fmt: skip
def test_the_sentence_says_what_happened(changed: dict[str, object], sentence: str) -> None:
    """Only parts that are certain are named, as shares where they add up and as amounts where they do not."""
    assert sentence == replace(RISEN, **changed).sentence()  # type: ignore[arg-type]


def test_the_measurements_hold_every_number() -> None:
    """Parts with their bounds, carriers by feature, the overlap, and the region with its rule as text."""
    found = replace(RISEN, input_carriers=(Carrier("wind", 1.0),)).measurements()
    parts = {one.method: one for one in found if one.name == "loss_change"}
    carriers = [(one.feature, one.method, one.value) for one in found if one.name == "loss_change_carrier"]
    region = next(one for one in found if one.name == "loss_change_region")

    assert ["total", "inputs", "relation", "new_inputs", "moved"] == list(parts)
    assert (0.068, 0.058, 0.078, 1000) == pytest.approx(
        (parts["relation"].value, parts["relation"].low, parts["relation"].high, parts["relation"].n)
    )
    assert parts["total"].text is not None
    assert parts["total"].text.startswith("The log loss rose")
    assert [("wind", "inputs", 1.0), ("hour", "relation", 0.7), ("origin", "relation", 0.3)] == carriers
    assert ("origin = JFK and hour >= 17", 120, 0.4) == (region.text, region.n, region.value)
    assert [0.8] == [one.value for one in found if one.name == "loss_change_overlap"]


def test_without_a_region_there_is_none_among_the_measurements() -> None:
    """No number stands for what was not found."""
    names = {one.name for one in replace(RISEN, region=None, relation_carriers=()).measurements()}

    assert {"loss_change", "loss_change_overlap"} == names
