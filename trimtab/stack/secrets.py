"""Credentials of a local stack: generated once, one file each, readable by their owner only."""

from __future__ import annotations

import base64
import os
import secrets as source
from collections.abc import Callable
from pathlib import Path

from spec import read_secret

NAMES = (
    "airflow",  # the service user that triggers DAG runs
    "airflow-admin",  # the person at Airflow's UI
    "airflow-fernet",
    "airflow-jwt",
    "alertmanager",
    "mlflow",
    "mlflow-session",
    "payload",  # what KServe's payload logger shows
    "private",  # the key of tokens; another key makes the log's tokens strangers
    "receiver",
    "serving",
    "slack",
)
_ENTROPY_BYTES = 48  # 64 characters, what HMAC-SHA512 wants


def ensure(folder: Path) -> None:
    """Generate the secrets that are missing; narrow the modes of those that are there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in NAMES:
        file = folder / name
        if file.exists():
            file.chmod(0o600)
        else:
            write_private(file, _generator(name)())


def write_private(file: Path, content: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = file.with_name(f".{file.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
    os.replace(draft, file)


def secret(home: Path, name: str) -> str:
    """Return a secret of the stack in `home`."""
    return read_secret(home / "secrets" / name)


def _generator(name: str) -> Callable[[], str]:
    if name == "airflow-fernet":
        return lambda: base64.urlsafe_b64encode(source.token_bytes(32)).decode("ascii")
    return lambda: source.token_urlsafe(_ENTROPY_BYTES)
