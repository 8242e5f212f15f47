"""The verdicts of a rollout, kept with the version that they are about: a file with all, a tag a step."""

from __future__ import annotations

import tempfile
from pathlib import Path

from retraining.records import Rollout
from retraining.registry.connection import Connection
from retraining.registry.records import Version
from retraining.registry.tracking import LONGEST_TAG

_FILE = f"{Rollout.__name__.lower()}.json"
_PREFIX = "trimtab.rollout."


def keep(mlflow: Connection, model: str, version: Version, rollout: Rollout) -> None:
    """Keep what a rollout said, in place of an earlier rollout of the version; may be repeated.

    The file ``rollout.json`` is put to the version's run. Each step gets the tag ``trimtab.rollout.<step>``
    without the per-cent sign, which MLflow does not take in a name.
    """
    client = mlflow.client
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _FILE
        file.write_text(rollout.model_dump_json(indent=1), "utf-8")
        client.log_artifact(version.run_id, str(file))
    tags = {f"{_PREFIX}{one.step.removesuffix('%')}": _cut("\n".join(one.told)) for one in rollout.steps}
    for name in version.tags:
        if name.startswith(_PREFIX) and name not in tags:
            client.delete_model_version_tag(model, version.version, name)
    for name, text in tags.items():
        client.set_model_version_tag(model, version.version, name, text)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TAG else f"{text[: LONGEST_TAG - 1]}…"
