from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retraining.registry import Approval, Registry
from retraining.release import Release
from spec import NotFound

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


def test_files_are_kept_beside_a_versions_own(
    house: tuple[Any, Callable[..., Release]], tmp_path: Path
) -> None:
    """A report goes to a folder of the version's run, where the newest text of a name stays."""
    from mlflow import MlflowClient

    world, release = house
    registry = Registry(world.settings)
    version = registry.adopt(world.spec, release("adopt-0"), Approval.by_hand("ada"))
    file = tmp_path / "report.md"
    for text in ("# Half way", "# Ended"):
        file.write_text(text, "utf-8")
        registry.attach("shop", version, (file,), "experiments/2024-03-10T120000Z")

    client = MlflowClient(world.settings.mlflow_uri, world.settings.mlflow_uri)
    run_id = registry.versions("shop")[-1].run_id
    kept = client.download_artifacts(run_id, "experiments/2024-03-10T120000Z/report.md", str(tmp_path))
    assert "# Ended" == Path(kept).read_text("utf-8")
    assert "rollout.json" not in {item.path for item in client.list_artifacts(run_id)}
    with pytest.raises(NotFound, match="no version '9'"):
        registry.attach("shop", "9", (file,), "experiments")
