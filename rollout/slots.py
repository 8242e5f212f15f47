"""The model servers of the two slots, through the repository extension of the Open Inference Protocol."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from rollout.answers import content
from rollout.split import Slot
from spec import ModelSpec, Refused, Settings, Unavailable, read_secret

LOAD_S = 240.0  # the server gives its own fetch 180 s, and warms the model after that
_ASK_S = 5.0


@contextmanager
def held(spec: ModelSpec, settings: Settings) -> Iterator[None]:
    """Wait for, and hold, the right to load into a slot of a model and to move its traffic to that.

    Without it a version that nobody has judged could be loaded into the slot that a person is just giving all
    traffic. The kernel frees it when the process dies.
    """
    path = settings.home / "slots" / f"{spec.model}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load(spec: ModelSpec, settings: Settings, slot: Slot, version: str) -> None:
    """Load a version into a slot; the server swaps once it is warm, until then what was there answers.

    Raises
    ------
    Refused
        The server will not load it, with its reason; what was there stays.
    Unavailable
        The server did not answer within four minutes.
    SettingsError
        The token's file cannot be read.
    """
    body = {"parameters": {"version": version}}
    _told(spec, settings, slot, f"/v2/repository/models/{spec.model}/load", body)


def unload(spec: ModelSpec, settings: Settings, slot: Slot) -> None:
    """Empty a slot; errors as `load`."""
    _told(spec, settings, slot, f"/v2/repository/models/{spec.model}/unload", {})


def ready(spec: ModelSpec, settings: Settings, slot: Slot) -> bool:
    """Whether the slot has a version that answers; `Unavailable` if the server does not."""
    answer = _asked(spec, settings, slot, f"/v2/models/{spec.model}/ready")
    return answer.is_success and bool(content(answer).get("ready", True))


def loaded(spec: ModelSpec, settings: Settings, slot: Slot) -> str | None:
    """Return the version that the slot answers with, None if it is empty; `Unavailable` as `ready`."""
    if not ready(spec, settings, slot):
        return None
    versions = content(_asked(spec, settings, slot, f"/v2/models/{spec.model}")).get("versions") or []
    return str(versions[0]) if versions else None


def _told(spec: ModelSpec, settings: Settings, slot: Slot, path: str, body: dict[str, Any]) -> None:
    token = {"Authorization": f"Bearer {read_secret(settings.serving_token_file)}"}
    url = settings.slot_url(spec, slot)
    try:
        answer = httpx.post(url + path, json=body, headers=token, timeout=LOAD_S, trust_env=False)
    except httpx.TransportError as error:
        raise _silent(spec, slot, url, error) from error
    if not answer.is_success:
        reason = content(answer).get("error", f"HTTP {answer.status_code}")
        msg = f"The model server of {spec.model}/{slot} refused {path}: {reason}"
        raise Refused(msg)


def _asked(spec: ModelSpec, settings: Settings, slot: Slot, path: str) -> httpx.Response:
    url = settings.slot_url(spec, slot)
    try:
        return httpx.get(url + path, timeout=_ASK_S, trust_env=False)
    except httpx.TransportError as error:
        raise _silent(spec, slot, url, error) from error


def _silent(spec: ModelSpec, slot: Slot, url: str, error: httpx.TransportError) -> Unavailable:
    return Unavailable(f"The model server of {spec.model}/{slot} at {url} did not answer: {error!r}")
