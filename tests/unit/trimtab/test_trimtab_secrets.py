import base64
import stat
from pathlib import Path

import pytest

from spec import SettingsError
from trimtab.stack import secrets


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    """The folder has mode 0700 and every secret 0600."""
    folder = tmp_path / "secrets"
    secrets.ensure(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert {file.name for file in folder.iterdir()} == set(secrets.NAMES)


def test_secrets_stay_what_they_were(tmp_path: Path) -> None:
    """A second run keeps every secret and narrows a mode that somebody widened."""
    secrets.ensure(tmp_path)
    before = {name: (tmp_path / name).read_text() for name in secrets.NAMES}
    (tmp_path / "serving").chmod(0o644)
    secrets.ensure(tmp_path)
    assert {name: (tmp_path / name).read_text() for name in secrets.NAMES} == before
    assert stat.S_IMODE((tmp_path / "serving").stat().st_mode) == 0o600


def test_secrets_are_long_and_differ(tmp_path: Path) -> None:
    """Every secret has at least 256 random bits; the one of Fernet has exactly those."""
    secrets.ensure(tmp_path)
    values = [(tmp_path / name).read_text() for name in secrets.NAMES]
    assert len(set(values)) == len(values)
    assert all(len(value) >= 43 for value in values)
    assert len(base64.urlsafe_b64decode((tmp_path / "airflow-fernet").read_text())) == 32


def test_a_private_file_replaces_one_that_all_could_read(tmp_path: Path) -> None:
    """What replaces a public file is private from its first byte."""
    file = tmp_path / "plan.json"
    file.write_text("{}")
    file.chmod(0o644)
    secrets.write_private(file, "new")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    """The error says which file lacks, not what it should hold."""
    with pytest.raises(SettingsError, match="secrets/mlflow: must be a readable secret file"):
        secrets.secret(tmp_path, "mlflow")
