"""What a file may state of a feature's values, and of a window's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from spec import FeatureType, SpecError, loads
from spec.features import Feature
from spec.quality import Door, Quality

HEAD = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
"""


def test_a_bare_type_states_nothing() -> None:
    """`amount: numeric` is a feature without constraints, as ever."""
    feature = Feature.model_validate("numeric")

    assert feature == Feature(type=FeatureType.NUMERIC)
    assert (feature.min, feature.max, feature.values, feature.nulls, feature.unique) == (
        None,
        None,
        None,
        None,
        False,
    )


def test_constraints_are_read_as_people_write_them() -> None:
    """Bounds are numbers, nulls a share, values a list."""
    spec = loads(
        HEAD + "features: {a: {type: numeric, min: -1.5, max: 1e3, nulls: 2%}, "
        "b: {type: categorical, values: [x, 'on'], unique: true}}"
    )

    assert (spec.features["a"].min, spec.features["a"].max, spec.features["a"].nulls) == (-1.5, 1000, 0.02)
    assert spec.features["b"].values == ("x", "on")


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ({"type": "categorical", "min": 1}, "min: only a numeric feature has a range"),
        ({"type": "boolean", "min": 0, "max": 1}, "min and max: only a numeric feature has a range"),
        ({"type": "numeric", "min": 2, "max": 1}, "min: must not be above max; found 2 and 1"),
        ({"type": "numeric", "values": ["a"]}, "values: only a categorical feature lists its values"),
        ({"type": "categorical", "values": ["a", "a"]}, "values: must name each value once"),
        ({"type": "categorical", "values": []}, "at least 1 item"),
        ({"type": "boolean", "unique": True}, "unique: a boolean has two values only"),
        ({"type": "numeric", "max": float("inf")}, "finite"),
        ({"type": "numeric", "nulls": 1.5}, "less than or equal to 1"),
    ],
)
def test_constraints_suit_the_type(stated: dict[str, object], problem: str) -> None:
    """A constraint that makes no sense for the feature is refused, in words."""
    with pytest.raises(ValidationError, match=problem):
        Feature.model_validate(stated)


def test_all_that_is_unsuitable_is_told_at_once() -> None:
    """Two features, three mistakes: one error with the place of each feature."""
    text = (
        HEAD + "features:\n  a: {type: boolean, min: 1, values: [x]}\n  b: {type: numeric, min: 2, max: 1}\n"
    )

    with pytest.raises(SpecError) as caught:
        loads(text, "m.yaml")

    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == 2
    assert told[0].startswith("m.yaml:6: features.a: min: only a numeric feature has a range; values: only")
    assert told[1].startswith("m.yaml:7: features.b: min: must not be above max")


def test_equal_bounds_are_a_range() -> None:
    """A feature may be stated to be one number."""
    assert Feature.model_validate({"type": "numeric", "min": 1, "max": 1}).max == 1


def test_the_defaults_of_quality() -> None:
    """Old files mean what they meant; what is new is lenient, and the door is open."""
    quality = Quality()

    assert (quality.null_rate, quality.unseen_categories, quality.out_of_range, quality.min_rows) == (
        0.1,
        0.05,
        0.05,
        1,
    )
    assert (quality.broken, quality.duplicates, quality.volume_drop, quality.unit_change) == (
        0.01,
        0,
        0.5,
        1.5,
    )
    assert (quality.freshness, quality.constant, quality.door) == (None, True, Door.OFF)


def test_quality_is_read_as_people_write_it() -> None:
    """The door's word `off` is no boolean, durations and shares have units, null switches off."""
    stated = "{door: off, freshness: 2h, volume_drop: 70%, unit_change: null, constant: false}"
    quality = loads(f"{HEAD}features: {{a: numeric}}\nmonitor: {{quality: {stated}}}\n").monitor.quality

    assert quality.door is Door.OFF
    assert quality.freshness == timedelta(hours=2)
    assert (quality.volume_drop, quality.unit_change, quality.constant) == (0.7, None, False)


@pytest.mark.parametrize(
    "stated", ["{door: ajar}", "{unit_change: 1}", "{unit_change: 0.5}", "{broken: 2}", "{freshness: 0s}"]
)
def test_bad_limits_are_refused(stated: str) -> None:
    """A factor is above 1, a share at most 1, a span above 0, and the door knows three words."""
    with pytest.raises(SpecError):
        loads(f"{HEAD}features: {{a: numeric}}\nmonitor: {{quality: {stated}}}\n")
