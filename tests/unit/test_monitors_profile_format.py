from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pytest

from monitors.profiles import profile_format
from monitors.profiles.packing import Packer, Unpacker
from monitors.profiles.planning import make_plan
from monitors.profiles.profile import Profile, merged
from monitors.profiles.tally import count
from spec import DataError


def profiled(rows: int = 5000) -> Profile:
    """Return the profile of 20 numeric and 5 string columns."""
    rng = np.random.default_rng(0)
    words = np.array([f"word {n}" for n in range(20)])
    data = pa.table(
        {f"x{n}": rng.normal(size=rows) for n in range(20)}
        | {f"c{n}": rng.choice(words, rows) for n in range(5)}
    )
    return count(make_plan(data), data.schema, data.to_batches())


def test_bytes_are_few() -> None:
    """25 columns take less than 30 kB with the plan, and less than 20 kB without."""
    profile = profiled(50_000)

    assert len(profile_format.to_bytes(profile)) < 30_000
    assert len(profile_format.to_bytes(profile, with_plan=False)) < 20_000


def test_equal_profiles_have_equal_bytes() -> None:
    """The order of merging and the type of whole extremes do not show in the bytes."""
    plan = make_plan(pa.table({"x": [0.0, 1.0], "c": ["a", "b"]}))
    parts = [
        count(plan, data.schema, data.to_batches())
        for data in (pa.table({"x": [1, 5], "c": ["u", "v"]}), pa.table({"x": [-0.0, 5.0], "c": ["z", "w"]}))
    ]
    one, other = merged(parts), merged(parts[::-1])

    assert one == other
    assert profile_format.to_bytes(one) == profile_format.to_bytes(other)


def test_every_damaged_byte_is_noticed() -> None:
    """A changed byte anywhere, a missing end or an added one is a DataError, never a wrong profile."""
    content = profile_format.to_bytes(profiled(50))

    for place in [*range(40), *range(40, len(content), 97)]:
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        with pytest.raises(DataError):
            profile_format.from_bytes(bytes(damaged))
    for wrong in (b"", b"TRIM", content[:-1], content + b"x", content[:100], b"x" * 1000):
        with pytest.raises(DataError):
            profile_format.from_bytes(wrong)


def test_later_versions_are_refused() -> None:
    """Bytes of a later version say that Trimtab must be updated."""
    content = bytearray(profile_format.to_bytes(profiled(50)))
    struct.pack_into("<H", content, 4, profile_format.VERSION + 1)

    with pytest.raises(DataError, match=r"version 2\. Update Trimtab"):
        profile_format.from_bytes(bytes(content))


def test_other_documents_are_refused() -> None:
    """Bytes with a right digest that hold something else are a DataError too."""
    text = b'{"plan": {}}'
    body = struct.pack("<I", len(text)) + text
    compressed = pa.Codec("zstd").compress(body, asbytes=True)
    head = struct.pack("<4sHQ16s", b"TRIM", 1, len(body), profile_format._digest(len(body), compressed))

    with pytest.raises(DataError, match="must be a profile"):
        profile_format.from_bytes(head + compressed)


def test_a_plan_that_was_left_out_must_be_given() -> None:
    """Without its plan a profile is not read, nor with another one; the plan given is the plan it has."""
    profile = profiled(50)
    content = profile_format.to_bytes(profile, with_plan=False)
    other = make_plan(pa.table({"x": [1.0]}))

    with pytest.raises(DataError, match="must come with its plan"):
        profile_format.from_bytes(content)
    with pytest.raises(DataError, match=f"plans {profile.plan.fingerprint} and {other.fingerprint}"):
        profile_format.from_bytes(content, plan=other)
    assert profile.plan is profile_format.from_bytes(content, plan=profile.plan).plan
    whole = profile_format.to_bytes(profile)
    assert profile.plan is profile_format.from_bytes(whole, plan=profile.plan).plan


@pytest.mark.parametrize(
    "values", [[], [0], [1, -1, 127, -128], [2**62, -(2**62)], list(range(-500, 500)), [2**63 - 1, -(2**63)]]
)
def test_packed_integers_come_back(values: list[int]) -> None:
    """Integers of any size are read as they were written, beside others."""
    packer = Packer()
    marks = [packer.ints(np.array(part, dtype=np.int64)) for part in (values, [7], values)]
    packed = Unpacker(packer.content())

    assert [values, [7], values] == [packed.ints(mark).tolist() for mark in marks]


def test_packed_floats_come_back() -> None:
    """Floats are read bit by bit as they were written."""
    values = np.array([0.0, -0.0, 1e-310, np.inf, -1.5e300])
    packer = Packer()
    mark = packer.floats(values)

    assert values.tobytes() == Unpacker(packer.content()).floats(mark).tobytes()
