import resource
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import spec
from serving.log import packing
from serving.log.spool import Spool, read_segment

HEADER = {"format": packing.FORMAT}


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes; the kernel refuses the write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_records_come_back_as_written(tmp_path: Path) -> None:
    """A segment gives back its header and its records in order."""
    spool = Spool(tmp_path, HEADER)
    for record in (b"[1]", b'"two"', b"null"):
        spool.append(record)

    (path,) = spool.sealed()
    segment = read_segment(path)

    assert segment.header == HEADER
    assert segment.records == [b"[1]", b'"two"', b"null"]
    assert not segment.damaged


def test_nothing_written_leaves_no_segment(tmp_path: Path) -> None:
    """An idle process makes no files to commit."""
    assert Spool(tmp_path, HEADER).sealed() == []


def test_segments_of_one_process_are_numbered(tmp_path: Path) -> None:
    """Each sealing starts a segment with the next number, oldest first in the list."""
    spool = Spool(tmp_path, HEADER)
    for record in (b"0", b"1", b"2"):
        spool.append(record)
        spool.sealed()

    segments = [read_segment(path) for path in spool.sealed()]

    assert [segment.records for segment in segments] == [[b"0"], [b"1"], [b"2"]]
    assert [segment.number for segment in segments] == [0, 1, 2]
    assert len({segment.boot for segment in segments}) == 1


def test_a_record_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    """What was appended is in the file at once, without a flush or a close."""
    spool = Spool(tmp_path, HEADER)
    spool.append(b"[1]")

    (path,) = tmp_path.glob("*.spool")
    assert read_segment(path).records == [b"[1]"]


def test_a_dead_process_leaves_its_segments_to_the_next(tmp_path: Path) -> None:
    """A new spool in the folder begins with what the old one had not discarded."""
    old = Spool(tmp_path, HEADER)
    old.append(b"[1]")
    old.close()

    new = Spool(tmp_path, HEADER)
    new.append(b"[2]")

    assert [read_segment(path).records for path in new.sealed()] == [[b"[1]"], [b"[2]"]]


def test_two_processes_cannot_share_a_folder(tmp_path: Path) -> None:
    """The second spool in a held folder is refused; once the first is closed it is welcome."""
    first = Spool(tmp_path, HEADER)
    with pytest.raises(spec.Refused, match="one process serves a slot"):
        Spool(tmp_path, HEADER)

    first.close()
    Spool(tmp_path, HEADER).close()


def test_discarded_segments_are_gone(tmp_path: Path) -> None:
    """A discarded segment is neither listed nor on disk."""
    spool = Spool(tmp_path, HEADER)
    spool.append(b"[1]")
    (path,) = spool.sealed()

    spool.discard(path)

    assert spool.sealed() == []
    assert list(tmp_path.glob("*.spool")) == []


def test_damage_in_the_middle_is_told_from_a_torn_tail(tmp_path: Path) -> None:
    """A flipped byte marks the segment as damaged and keeps what stands before it; a torn tail does not."""
    spool = Spool(tmp_path, HEADER)
    for record in (b"[1]", b"[2]", b"[3]"):
        spool.append(record)
    (path,) = spool.sealed()
    whole = path.read_bytes()

    path.write_bytes(whole[:-2] + b"\x00" + whole[-1:])
    assert (read_segment(path).damaged, read_segment(path).records) == (True, [b"[1]", b"[2]"])

    path.write_bytes(whole[:-1])
    assert (read_segment(path).damaged, read_segment(path).records) == (False, [b"[1]", b"[2]"])


@pytest.fixture
def answered(tmp_path: Path) -> tuple[Path, list[bytes], list[int]]:
    """A segment of some answers, their records, and where each ends behind the header."""
    spool = Spool(tmp_path, HEADER)
    records = []
    for number in range(4):
        request = packing.Request(number + 1, "a", None, None, shadow=False, latency_ms=0.5)
        text = {"f_port": ['{"boot":"'] * (number + 1)}
        one = np.ones((number + 1, 1))
        rows = packing.Rows(spool.boot, number, 7, "3", "blue", [request], text, one, one)
        records.append(packing.pack(rows))
        spool.append(records[-1])
    (path,) = spool.sealed()
    spool.close()
    size = path.stat().st_size
    ends = [size - sum(8 + len(record) for record in records[number:]) for number in range(5)]
    return path, records, ends


def test_one_damaged_byte_costs_one_record(answered: tuple[Path, list[bytes], list[int]]) -> None:
    """Wherever it is, in a record's length as in its midst, the answers before and behind it are read."""
    path, records, ends = answered
    whole = path.read_bytes()
    for at in range(ends[0], ends[3]):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :])
        hit = bisect(ends, at) - 1
        segment = read_segment(path)
        assert segment.records == records[:hit] + records[hit + 1 :], at
        assert segment.damaged, at
    for at in range(ends[0]):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :])
        assert (read_segment(path).records, read_segment(path).damaged) == ([], True), at


def test_a_torn_tail_costs_nothing_that_was_answered(answered: tuple[Path, list[bytes], list[int]]) -> None:
    """Wherever a process dies while it writes, the whole records before are read, and nothing is damaged."""
    path, records, ends = answered
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at])
        segment = read_segment(path)
        assert (segment.records, segment.damaged) == (records[: max(0, bisect(ends, at) - 1)], False), at


def test_zeros_are_no_records(answered: tuple[Path, list[bytes], list[int]]) -> None:
    """A machine that dies may leave zeros where a file had grown: what stands before them is read."""
    path, records, _ = answered
    path.write_bytes(path.read_bytes() + bytes(4096))

    segment = read_segment(path)

    assert (segment.records, segment.damaged, segment.rows) == (records, True, 1 + 2 + 3 + 4)


def test_records_of_another_format_are_counted_as_records(tmp_path: Path) -> None:
    """What an earlier version wrote does not say here how many rows it has."""
    spool = Spool(tmp_path, {"format": 2})
    spool.append(b'{"rows": [[1], [2]]}')
    (path,) = spool.sealed()

    assert read_segment(path).rows == 1


def test_a_damaged_segment_keeps_a_copy(tmp_path: Path) -> None:
    """A damaged segment is set aside for a person, not deleted."""
    spool = Spool(tmp_path, HEADER)
    spool.append(b"[1]")
    (path,) = spool.sealed()

    spool.discard(path, keep_copy=True)

    assert [file.suffix for file in tmp_path.glob("*-*")] == [".damaged"]


def test_a_full_disk_refuses_the_record_and_harms_no_other(tmp_path: Path) -> None:
    """A record that cannot be written whole raises Unavailable; those before and after it are whole."""
    spool = Spool(tmp_path, HEADER)
    spool.append(b"[1]")
    with file_size_limit(64), pytest.raises(spec.Unavailable, match="inference log cannot be written"):
        spool.append(b'"' + b"x" * 1000 + b'"')
    spool.append(b"[3]")

    (path,) = spool.sealed()
    assert read_segment(path).records == [b"[1]", b"[3]"]


def test_a_disk_full_from_the_start_recovers(tmp_path: Path) -> None:
    """When not even the header fits, nothing is left behind and the next record starts afresh."""
    spool = Spool(tmp_path, HEADER)
    with file_size_limit(4), pytest.raises(spec.Unavailable):
        spool.append(b"[1]")
    spool.append(b"[2]")

    (path,) = spool.sealed()
    assert read_segment(path).records == [b"[2]"]


def test_a_folder_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    """A spool whose folder was deleted refuses records instead of losing them."""
    folder = tmp_path / "spool"
    spool = Spool(folder, HEADER)
    (folder / "lock").unlink()
    folder.rmdir()

    with pytest.raises(spec.Unavailable, match="No such file"):
        spool.append(b"[1]")
