from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from retraining.records import Snapshot, Validation
from retraining.workspace import Workspace
from spec import DataError, NotFound, RequestError

SNAPSHOT = Snapshot(
    history_sha256=None,
    gap_rows=0,
    copies=0,
    run="r",
    taken_at=datetime(2024, 1, 1, tzinfo=UTC),
    window_start=datetime(2024, 1, 1, tzinfo=UTC),
    holdout_start=datetime(2024, 1, 2, tzinfo=UTC),
    window_end=datetime(2024, 1, 3, tzinfo=UTC),
    train_rows=2,
    holdout_rows=1,
    history_rows=0,
    base_prediction=(0.5,),
    sha256="00",
    log_version=None,
    labels_version=3,
)


def test_records_survive_json(world: Any) -> None:
    """What a stage stored is what the next one reads, and what XCom carries."""
    work = Workspace(world.settings, "alert-1f~2024-03-10T12:00:00+00:00")

    work.save(SNAPSHOT)

    assert SNAPSHOT == work.load(Snapshot)
    assert SNAPSHOT == Snapshot.model_validate(SNAPSHOT.to_json())


@pytest.mark.parametrize("run", ["", "../x", "a/b", ".hidden", "x" * 251])
def test_a_run_never_leads_out_of_its_folder(world: Any, run: str) -> None:
    """A name that is no single folder name is refused."""
    with pytest.raises(RequestError, match="run: must be"):
        Workspace(world.settings, run)


def test_a_missing_stage_is_named(world: Any) -> None:
    """The error says which record is missing and what to do."""
    with pytest.raises(NotFound, match="Run 'r' has no Validation: run the stage that makes it first"):
        Workspace(world.settings, "r").load(Validation)


def test_a_record_of_another_shape_is_an_error(world: Any) -> None:
    """A file of an older Trimtab is not half understood."""
    work = Workspace(world.settings, "r")
    work.put("snapshot.json", b'{"schema_version": 7}')

    with pytest.raises(DataError, match="Run the stage again"):
        work.load(Snapshot)


def test_a_failed_write_leaves_the_old_file(world: Any) -> None:
    """A stage that dies while writing leaves what was there, and no draft."""
    work = Workspace(world.settings, "r")
    work.put("file", b"old")

    def fail(draft: Path) -> None:
        draft.write_bytes(b"ne")
        msg = "disk full"
        raise OSError(msg)

    with pytest.raises(OSError, match="disk full"):
        work.write("file", fail)

    assert [b"old"] == [file.read_bytes() for file in work.folder.iterdir()]


def test_a_verdict_reads_as_one_line() -> None:
    """People get the verdict and every reason in a line."""
    verdict = Validation(
        accepted=False,
        reasons=("not enough evidence: 3 days", "x"),
        against="4",
        rows=9,
        days=3,
        candidate={},
        opponent={},
        difference=0.1,
        upper=None,
        limit=None,
        confidence=0.95,
    )

    assert "candidate rejected: not enough evidence: 3 days; x" == verdict.summary()
