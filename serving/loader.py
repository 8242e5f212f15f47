"""The registry's door: fetch a version's ONNX file; or take one that no registry knows.

MLflow is imported in a child process that ends with the fetch. Importing it takes seconds of Python and
about 150 MB, which a server that is answering requests must neither wait for nor keep.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec import NotFound, Unavailable

_FILE = "model.onnx"
_FETCH_LIMIT_S = 180
_HASH_LENGTH = 12
_CHILD = "from serving.loader import answer_parent; answer_parent()"
_PATIENCE = {  # the defaults try for minutes; whoever asked can ask again
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_ERRORS: dict[str, type[NotFound | Unavailable]] = {"NotFound": NotFound, "Unavailable": Unavailable}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A version's model on this machine: `file` is the ONNX graph, perhaps with weights beside it."""

    version: str
    file: Path


def fetch(
    mlflow_uri: str, model: str, folder: Path, *, version: str | None, alias: str = "champion"
) -> Fetched:
    """Fetch a version of a registered model into `folder`; a version fetched before is not replaced.

    Parameters
    ----------
    version
        Number in the registry; None for the one that `alias` names now.
    folder
        Gets a folder ``<version>-<hash of the content>``, whole or not at all.

    Raises
    ------
    NotFound
        When the model, version, alias or ONNX file does not exist.
    Unavailable
        When the registry or its artifact store does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as draft:
        question = {"uri": mlflow_uri, "model": model, "version": version, "alias": alias, "to": draft}
        answer = _ask_child(question)
        source = Path(answer["file"])
        home = folder / f"{answer['version']}-{_digest(source.parent)}"
        if not home.exists():
            os.replace(source.parent, home)
    return Fetched(answer["version"], home / _FILE)


def from_file(file: Path) -> Fetched:
    """Return a file as the version ``file-<hash of the content>``; it stays where it is.

    Raises
    ------
    NotFound
        When it cannot be read.
    """
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        msg = f"The model file {file} cannot be read: {error.strerror}"
        raise NotFound(msg) from error
    return Fetched(f"file-{digest[:_HASH_LENGTH]}", file)


def keep_only(folder: Path, fetched: Path) -> None:
    """Delete what was fetched before `fetched`, a file that `fetch` returned."""
    for other in folder.iterdir():
        if other != fetched.parent:
            shutil.rmtree(other)


def answer_parent() -> None:
    """Answer one question from stdin on stdout; what the child process of `fetch` runs."""
    question = json.load(sys.stdin)
    answer: dict[str, Any]
    try:
        answer = _download(**question)
    except (NotFound, Unavailable) as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


def _ask_child(question: dict[str, str | None]) -> dict[str, str]:
    what = f"Fetching {question['model']} from the registry {question['uri']}"
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-c", _CHILD],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            check=False,
            timeout=_FETCH_LIMIT_S,
            env=os.environ | _PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"{what} took longer than {_FETCH_LIMIT_S} s"
        raise Unavailable(msg) from error
    if child.returncode != 0:
        last = child.stderr.strip().rpartition("\n")[2]
        msg = f"{what} failed: {last}"
        raise Unavailable(msg)
    answer: dict[str, str] = json.loads(child.stdout.strip().rpartition("\n")[2])
    if "error" in answer:
        raise _ERRORS[answer["error"]](answer["text"])
    return answer


def _download(uri: str, model: str, version: str | None, alias: str, to: str) -> dict[str, str]:
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import ErrorCode

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = mlflow.MlflowClient()
    wanted = f"version {version}" if version else f"alias {alias!r}"
    try:
        if version is None:
            found = client.get_model_version_by_alias(model, alias)
        else:
            found = client.get_model_version(model, version)
        source = client.get_model_version_download_uri(model, found.version)
        local = Path(mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=to))
    except (MlflowException, OSError) as error:
        codes = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
        if getattr(error, "error_code", None) in codes & set(ErrorCode.keys()):
            msg = f"The registry {uri} has no {wanted} of the model {model!r}: {error}"
            raise NotFound(msg) from error
        msg = f"The registry {uri} did not give {wanted} of the model {model!r}: {error}"
        raise Unavailable(msg) from error
    file = next(iter(sorted(local.rglob(_FILE), key=lambda path: len(path.parts))), None)
    if file is None:
        listed = ", ".join(
            sorted(str(path.relative_to(local)) for path in local.rglob("*") if path.is_file())
        )
        msg = f"Version {found.version} of {model!r} has no {_FILE}; it has {listed or 'no files'}"
        raise NotFound(msg)
    return {"version": str(found.version), "file": str(file)}


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
