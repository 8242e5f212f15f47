from pathlib import Path

import pytest

import spec
from serving import loader

pytestmark = pytest.mark.service


def test_a_version_arrives_whole_with_what_belongs_to_it(store: Path, tmp_path: Path) -> None:
    """The folder of a fetched version is named by version and content, and no half-fetched one is left."""
    uri = f"sqlite:///{store / 'mlflow.db'}"
    fetched = loader.fetch(uri, "tides", tmp_path, version=None, alias="challenger")

    assert fetched.version == "2"
    assert fetched.file.read_bytes() == (store / "2.onnx").read_bytes()
    assert [folder.name.partition("-")[0] for folder in tmp_path.iterdir()] == ["2"]


def test_a_registry_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    """Whatever ends the fetching process, the error names the registry and what went wrong."""
    with pytest.raises(spec.Unavailable, match="registry nonsense://nowhere"):
        loader.fetch("nonsense://nowhere", "tides", tmp_path, version="1")

    assert list(tmp_path.iterdir()) == []


def test_a_second_fetch_finds_the_first(store: Path, tmp_path: Path) -> None:
    """Fetching a version again gives the same file and leaves one copy."""
    uri = f"sqlite:///{store / 'mlflow.db'}"
    files = {loader.fetch(uri, "tides", tmp_path, version="1").file for _ in range(2)}

    assert len(files) == len(list(tmp_path.iterdir())) == 1


def test_only_the_newest_is_kept(tmp_path: Path) -> None:
    """What was fetched before, and what a killed fetch left, is deleted."""
    for name in ("1-a", "2-b", ".fetching-x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").touch()

    loader.keep_only(tmp_path, tmp_path / "2-b" / "model.onnx")

    assert [folder.name for folder in tmp_path.iterdir()] == ["2-b"]
