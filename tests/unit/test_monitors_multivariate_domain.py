from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from monitors.finding import NoData
from monitors.multivariate.domain_classifier import DomainVerdict, domain_classifier
from spec.errors import DataError


def mixed(rows: int, seed: int) -> pd.DataFrame:
    """Rows of numbers, categories and booleans, a tenth of one column missing."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({f"x{at}": random.normal(size=rows) for at in range(3)})
    frame["city"] = random.choice(["Rome", "Oslo", "Łódź"], size=rows, p=[0.6, 0.3, 0.1])
    frame["member"] = random.random(rows) < 0.3
    frame["gap"] = np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows))
    return frame


def verdict(
    reference: pd.DataFrame | pa.Table, current: pd.DataFrame | pa.Table, **limits: object
) -> DomainVerdict:
    """Return what the classifier says, which must be something."""
    found = domain_classifier(reference, current, **limits)  # type: ignore[arg-type]
    assert isinstance(found, DomainVerdict)
    return found


REFERENCE = mixed(800, 1)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("x1", lambda column: column + 1),
        ("x1", lambda column: column * 3),
        ("city", lambda column: column.where(np.arange(800) % 2 == 0, "Oslo")),
        ("member", lambda column: ~column),
        ("gap", lambda column: column.where(np.arange(800) % 2 == 0)),
    ],
    ids=["location", "scale", "category mix", "boolean", "null share"],
)
def test_what_changed_carries_the_difference(column: str, change: object) -> None:
    """A shift in one column is seen, and that column has nearly all of the credit."""
    current = mixed(800, 2)
    current[column] = change(current[column])  # type: ignore[operator]
    found = verdict(REFERENCE, current)

    assert found.drifted
    assert found.carriers[0].name == column
    assert found.carriers[0].share > 0.8


def test_dependence_alone_is_seen() -> None:
    """Columns with the same marginals whose correlation is gone are told apart, and both carry it."""
    random = np.random.default_rng(3)
    first = random.normal(size=(2, 1500))
    noise = random.normal(size=1500)
    reference = pd.DataFrame(
        {"a": first[0], "b": 0.9 * first[0] + 0.19**0.5 * noise, "c": random.normal(size=1500)}
    )
    current = pd.DataFrame({"a": first[1], "b": random.normal(size=1500), "c": random.normal(size=1500)})
    found = verdict(reference, current)

    assert found.drifted
    assert {"a", "b"} == {carrier.name for carrier in found.carriers[:2]}


def test_shares_add_up_to_one() -> None:
    """Shares are of the positive drops, ranked."""
    current = mixed(800, 2)
    current["x0"] += 1
    carriers = verdict(REFERENCE, current).carriers

    assert pytest.approx(1) == sum(carrier.share for carrier in carriers)
    assert carriers == tuple(sorted(carriers, key=lambda carrier: -carrier.drop))


def test_the_order_of_rows_and_the_kind_of_table_do_not_matter() -> None:
    """Shuffled rows, and the same rows in Arrow, give the identical verdict."""
    current = mixed(500, 2)
    shuffled = current.sample(frac=1, random_state=4)
    table = pa.Table.from_pandas(current, preserve_index=False)
    expected = verdict(REFERENCE, current).to_dict()

    assert expected == verdict(REFERENCE.iloc[::-1], shuffled).to_dict()
    assert expected == verdict(REFERENCE, table).to_dict()


def test_units_do_not_matter() -> None:
    """Only the order of a column's values counts, so another unit changes nothing."""
    current = mixed(500, 2)
    scaled = [frame.assign(x0=frame["x0"] * 2**20) for frame in (REFERENCE, current)]

    assert verdict(REFERENCE, current).to_dict() == verdict(*scaled).to_dict()


def test_dictionaries_are_their_values() -> None:
    """A dictionary-encoded column is compared by value, whatever its codes."""
    current = mixed(500, 2)
    coded = [frame.assign(city=frame["city"].astype("category")) for frame in (REFERENCE, current)]

    assert verdict(REFERENCE, current).to_dict() == verdict(*coded).to_dict()


def test_integers_beyond_what_floats_hold_are_told_apart() -> None:
    """Keys that differ by one beyond 2⁵³ are different values."""
    random = np.random.default_rng(0)
    low, high = (pd.DataFrame({"key": 2**60 + random.integers(0, 2, size=200) + shift}) for shift in (0, 2))

    assert verdict(low, high).auc == 1


def test_infinities_are_values() -> None:
    """±inf are the largest and the smallest value, and a share of them that moves is seen."""
    current = mixed(800, 2)
    current.loc[::4, "x0"] = -np.inf
    current.loc[1::4, "x0"] = np.inf
    found = verdict(REFERENCE, current)

    assert found.drifted
    assert found.carriers[0].name == "x0"


def test_codes_can_be_categories() -> None:
    """Numbers that are named as categorical are compared as categories."""
    random = np.random.default_rng(0)
    odd, even = (pd.DataFrame({"code": random.integers(0, 30, size=500) * 2 + side}) for side in (0, 1))

    assert verdict(odd, even, categorical=["code"]).auc > 0.99


def test_what_cannot_be_compared_is_named() -> None:
    """Nested, absent, doubled, empty columns and those of another type are left out with a reason."""
    table = pa.table(
        [
            pa.array([[1]] * 60),
            pa.array(range(60)),
            *[pa.array(range(60))] * 3,
            pa.nulls(60),
            pa.array(range(60)),
        ],
        names=["nested", "only", "typed", "twice", "twice", "empty", "good"],
    )
    current = table.drop_columns(["only", "typed"]).append_column("typed", pa.array(["a"] * 60))

    assert {
        "nested": "of a nested or binary type",
        "only": "missing in the current rows",
        "typed": "of another type in the current rows",
        "twice": "named twice in the reference rows",
        "empty": "without a value on either side",
    } == verdict(table, current).skipped


def test_mixed_objects_are_compared_as_text() -> None:
    """A pandas column of numbers and strings does not stop anything."""
    frame = pd.DataFrame({"any": [1, "two", None, 3.5] * 30}, dtype=object)

    assert not verdict(frame, frame).drifted


def test_pandas_extension_types_are_read() -> None:
    """Nullable and Arrow-backed columns are compared, not skipped."""
    current = mixed(800, 2).assign(x0=lambda frame: frame["x0"] + 1)
    extended = [
        frame.astype({"x0": "Float64", "x1": "double[pyarrow]", "member": "boolean"})
        for frame in (REFERENCE, current)
    ]

    assert verdict(REFERENCE, current).to_dict() == verdict(*extended).to_dict()


def test_no_shared_column_and_unknown_categories_are_one_error() -> None:
    """Every problem of the call is named at once."""
    with pytest.raises(DataError) as caught:
        domain_classifier(REFERENCE, REFERENCE.add_prefix("new_"), categorical=["colour"])

    assert [problem.where for problem in caught.value.problems] == ["column 'colour'", "current"]


def test_too_few_rows_say_how_many_are_needed() -> None:
    """Below 50 rows a side there is a reason instead of a number; at 50 there is a number."""
    assert domain_classifier(REFERENCE, REFERENCE.head(49)) == NoData(
        "50 rows a side are needed; reference has 800, current 49"
    )
    assert isinstance(domain_classifier(REFERENCE, REFERENCE.head(50)), DomainVerdict)


def test_columns_without_a_value_are_no_data() -> None:
    """All-null samples are no evidence of anything."""
    empty = pa.table({"x": pa.nulls(60, pa.float64())})

    assert domain_classifier(empty, empty) == NoData("no column that both samples have holds a value")


def test_constants_tell_nothing() -> None:
    """Samples of one constant have AUC ½, effect 0 and p 1."""
    constant = pd.DataFrame({"x": np.ones(60)})
    found = verdict(constant, constant)

    assert (0.5, 0.0, 1.0) == (found.auc, found.effect, found.p_value)
    assert [0.0] == [carrier.share for carrier in found.carriers]
