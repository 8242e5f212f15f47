"""Two halves become one finished pair, whatever the order, the repeats and the deaths in between."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.log.packing import FORMAT
from serving.payloads.pairs import Pairs
from spec import Problem, Refused, RequestError, Unavailable

HEADER = {"format": FORMAT, "columns": {}}
RECORD = (2).to_bytes(4, "little") + bytes(4)


def join(request: bytes, response: bytes) -> tuple[int, bytes]:
    """Two rows of any pair; the record tells of its halves."""
    return 2, RECORD + request + b"+" + response


def mismatch(_request: bytes, _response: bytes) -> tuple[int, bytes]:
    """No pair."""
    raise RequestError([Problem("response", "must fit", "something else")])


@pytest.fixture
def pairs(tmp_path: Path) -> Iterator[Pairs]:
    """An empty file."""
    opened = Pairs(tmp_path, HEADER)
    yield opened
    opened.close()


def finish(pairs: Pairs, key: str, now: int = 0) -> None:
    """Offer both halves of a pair."""
    pairs.offer(key, "request", b"q", now, join)
    pairs.offer(key, "response", b"a", now, join)


@pytest.mark.parametrize("first", ["request", "response"])
def test_halves_pair_in_either_order(pairs: Pairs, first: str) -> None:
    """Whoever comes first waits; the record is made of the request and the response."""
    order = [("request", b"q"), ("response", b"a")]
    outcomes = []
    for kind, half in order if first == "request" else order[::-1]:
        outcomes.append(pairs.offer("one", kind, half, 0, join))
        outcomes.append((pairs.waiting, pairs.rows))

    assert outcomes == ["waiting", (1, 0), "paired", (0, 2)]
    segment = pairs.segment()
    assert segment is not None
    assert segment.records[0] == RECORD + b"q+a"


def test_the_first_of_each_kind_counts_and_a_pair_is_finished_once(pairs: Pairs) -> None:
    """Repeats change nothing, before the pair is finished and after."""
    assert pairs.offer("one", "request", b"q", 0, join) == "waiting"
    assert pairs.offer("one", "request", b"other", 0, join) == "duplicate"
    assert pairs.offer("one", "response", b"a", 0, join) == "paired"
    for kind in ("request", "response"):
        assert pairs.offer("one", kind, b"late", 0, join) == "duplicate"

    segment = pairs.segment()
    assert segment is not None
    assert segment.records == [RECORD + b"q+a"]
    assert (pairs.waiting, pairs.rows) == (0, 2)


def test_halves_of_different_predictions_never_pair(pairs: Pairs) -> None:
    """Each waits for its own other half."""
    assert pairs.offer("one", "request", b"q", 0, join) == "waiting"
    assert pairs.offer("two", "response", b"a", 0, join) == "waiting"
    assert pairs.segment() is None


def test_a_half_that_does_not_fit_changes_nothing(pairs: Pairs) -> None:
    """After an answer of another shape the right one still finishes the pair."""
    pairs.offer("one", "request", b"q", 0, join)
    with pytest.raises(RequestError, match="must fit"):
        pairs.offer("one", "response", b"bad", 0, mismatch)

    assert (pairs.waiting, pairs.rows) == (1, 0)
    assert pairs.offer("one", "response", b"a", 0, join) == "paired"


def test_what_stays_alone_is_dropped_and_counted_by_kind(pairs: Pairs) -> None:
    """Halves older than a time go, younger ones stay; a finished pair is forgotten as late as they are."""
    pairs.offer("old", "request", b"q", 9, join)
    pairs.offer("old too", "response", b"a", 9, join)
    pairs.offer("young", "request", b"q", 10, join)
    finish(pairs, "done", 9)

    assert pairs.offer("done", "request", b"q", 9, join) == "duplicate"
    assert pairs.drop_alone(before=10) == {"request": 1, "response": 1}
    assert pairs.waiting == 1
    assert pairs.drop_alone(before=10) == {"request": 0, "response": 0}
    assert pairs.offer("done", "request", b"q", 10, join) == "waiting"


def test_everything_survives_a_new_process(tmp_path: Path) -> None:
    """Halves wait on, pairs stay finished, and a segment keeps its name until it is discarded."""
    before = Pairs(tmp_path, HEADER)
    before.offer("half", "request", b"q", 0, join)
    finish(before, "done")
    named = before.segment()
    finish(before, "later")
    before.close()
    after = Pairs(tmp_path, HEADER | {"columns": {"f_new": "double"}})
    finish(after, "under the new spec")
    try:
        assert (after.waiting, after.rows) == (1, 6)
        assert after.offer("done", "request", b"q", 0, join) == "duplicate"
        assert after.segment() == named
        assert named is not None
        after.discard(named)
        names = []
        while (segment := after.segment()) is not None:
            names.append((segment.boot, segment.number, segment.header["columns"], segment.rows))
            after.discard(segment)
        assert names == [(named.boot, 2, {}, 2), (named.boot, 3, {"f_new": "double"}, 2)]
        assert after.rows == 0
    finally:
        after.close()


def test_what_delta_refuses_waits_for_the_next_start(tmp_path: Path) -> None:
    """A refused segment does not hold up the others; a new process tries it under a new number."""
    before = Pairs(tmp_path, HEADER)
    finish(before, "bad")
    refused = before.segment()
    assert refused is not None
    before.refuse(refused)
    assert (before.segment(), before.rows) == (None, 0)
    before.close()
    after = Pairs(tmp_path, HEADER)
    again = after.segment()
    after.close()

    assert again is not None
    assert (again.records, again.number) == (refused.records, refused.number + 1)


def test_one_process_holds_the_file(pairs: Pairs, tmp_path: Path) -> None:
    """A second receiver of the same model is refused while the first lives."""
    assert pairs.waiting == 0
    with pytest.raises(Refused, match="Another payload receiver"):
        Pairs(tmp_path, HEADER)


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    """Without room a half is not kept, and the sender is told; with room again it is."""
    pairs = Pairs(tmp_path, HEADER)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(Unavailable, match="cannot be written"):
            pairs.offer("one", "request", b"q" * 2_000_000, 0, join)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert pairs.waiting == 0

    assert pairs.offer("one", "request", b"q" * 100_000, 0, join) == "waiting"
    pairs.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file where the folder should be is an error that names it."""
    (tmp_path / "payloads").write_text("")
    with pytest.raises(Unavailable, match=r"pairs\.db cannot be opened"):
        Pairs(tmp_path / "payloads" / "tides", HEADER)
